"""Chat models for tests: the embedded nano models' weights with chat templates of several kinds."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from gpteval.models.embedded import nano_models

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


@cache
def _nano(name: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = nano_models()[name]
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


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
    model = AutoModelForCausalLM.from_pretrained(source)
    torch.manual_seed(0)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if ends:
        own = model.config.eos_token_id
        model.generation_config.eos_token_id = [own, *(tokenizer.convert_tokens_to_ids(mark) for mark in ends)]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def template_of(folder: Path) -> str:
    """The template that lies in a folder."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    return str(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"])
