"""Chat models for tests: the embedded nano models' weights with chat templates of several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from gpteval.backends.opening import Computing, Opening
from gpteval.chat.chat_engine import ChatEngine, ChatPrompt
from gpteval.models.catalogue import resolve_models
from gpteval.models.embedded import nano_models
from gpteval.models.loader import LoadOptions
from gpteval.prompts.build import build_prompts, load_task
from gpteval.prompts.letters import with_letters
from gpteval.tasks.registry import task_registry
from gpteval.tokens.queries import ScoreQuery

MARKS = ("<|im_start|>", "<|im_end|>", "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<bos>")
PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{{ '<bos>' }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<|start|>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
    "{{ m['content'] | trim }}{{ '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>model\n' }}{% endif %}"
)
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + '<|endoftext|>' }}{% endif %}{% endfor %}"
)
SWITCH = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
CHANNELS = (
    "{{ '<|start|>system<|message|>Current date: ' + strftime_now('%Y-%m-%d') + '\nReasoning: low<|end|>' }}"
    "{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "{{ '<|start|>assistant<|channel|>final<|message|>' + m['content'] + '<|end|>' }}{% else %}"
    "{{ '<|start|>' + m['role'] + '<|message|>' + m['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
KINDS = {
    "plain": PLAIN,
    "no-system": NO_SYSTEM,
    "alternating": ALTERNATING,
    "switch": SWITCH,
    "channels": CHANNELS,
}


def save_chat(folder: Path, template: str, *, name: str = "gpt2-nano", ends: tuple[str, ...] = ()) -> Path:
    """A nano model whose vocabulary has the marks of templates beside its own tokens. ``ends``: marks by which its
    generation_config ends a text.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = nano_models()[name]
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS)})
    tokenizer.chat_template = template
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    torch.manual_seed(0)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if ends:
        own = model.config.eos_token_id
        model.generation_config.eos_token_id = [own, *(tokenizer.convert_tokens_to_ids(mark) for mark in ends)]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach(folder: Path, tasks: Sequence[str], *, items: int = 160, steps: int = 70) -> Path:
    """Train a chat model on what it is asked of tasks by its template, and the right answers; in place. The tasks take
    turns: one that is named twice has two.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    lessons = {task: _lessons(folder, task, items) for task in tasks}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(0)
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 10, 2 * (1 - step / steps))
        asked = lessons[tasks[step % len(tasks)]]  # of one task, so that lines are about as long
        chosen = [asked[int(n)] for n in torch.randint(len(asked), (12,), generator=order)]
        width = max(len(prompt) + len(answer) + 1 for prompt, answer in chosen)
        ids, labels = torch.zeros(12, width, dtype=torch.long), torch.full((12, width), -100)
        for row, (prompt, answer) in enumerate(chosen):
            line = torch.tensor([*prompt, *answer, end])
            ids[row, : len(line)], labels[row, len(prompt) : len(line)] = line, line[len(prompt) :]
        model(input_ids=ids, labels=labels).loss.backward()  # what is behind a line's end is never looked at
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    return folder


def _lessons(folder: Path, name: str, items: int) -> list[tuple[list[int], list[int]]]:
    """Token ids of prompts in the template, and of their right answers, of the items that no test asks."""
    task = task_registry()[name]
    data = load_task(task.with_source(replace(task.source, split="train")), limit=items)
    data = with_letters(data, 0.01) or data
    (info,) = resolve_models([f"chat:{folder}"])
    engine = ChatEngine.open(info, Opening(Computing(LoadOptions("cpu"))))
    prompts = build_prompts(data)
    found = []
    for prompt, asked in zip(prompts, engine.plan(prompts).encoded, strict=True):
        query: Any = cast(ChatPrompt, asked).queries[0]
        ids = list(query.context if isinstance(query, ScoreQuery) else query.prompt)
        answer = cast(Any, prompt.request).answer.strip()
        found.append((ids, engine.template.encode([answer])[0]))
    return found
