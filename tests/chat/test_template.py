"""Prompts of local chats are what transformers' own apply_chat_template gives, of every kind of template."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from gpteval.backends.by_prefix import open_backend
from gpteval.backends.chat_options import ChatOptions
from gpteval.backends.opening import Computing, Opening
from gpteval.backends.text_queries import SYSTEM
from gpteval.chat.chat_engine import ChatEngine
from gpteval.chat.template import _CLOCK
from gpteval.core.errors import ModelError, NotAvailable
from gpteval.core.outcomes import Failed, Generated, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling, digest
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.tokens.queries import ScoreQuery
from tests.chat_models import CHANNELS, KINDS, PLAIN, save_chat

LETTERS = Choice("Which is a fruit?\nA. pear\nB. stone\nC. café\nAnswer:", [" A", " B", " C"], 0)
WRITES = Generate("Translate: the dog sleeps.\nFrench:", ["le chien dort"], max_new_tokens=6)
SHOTS = ("Which is a colour?\nA. red\nB. tree\nAnswer: A\n\n", "Which is big?\nA. ant\nB. whale\nAnswer: B\n\n")
AT = tuple(text.rindex(":") + 1 for text in SHOTS)
FOLDED = ("no-system", "alternating")  # templates that take no system message


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("chats")
    return {kind: save_chat(root / kind, template) for kind, template in KINDS.items()}


def engine(folder: Path, **how: Any) -> ChatEngine:
    (info,) = resolve_models([f"chat:{folder}"])
    found = open_backend(info, Opening(Computing(LoadOptions("cpu"), chat=ChatOptions(**how))))
    assert isinstance(found, ChatEngine)
    return found


def context_of(backend: ChatEngine, prompt: Prompt) -> list[int]:
    (query, *_) = backend.plan([prompt]).queries.values()
    return list(query.context if isinstance(query, ScoreQuery) else query.prompt)  # type: ignore[union-attr]


def expected(backend: ChatEngine, kind: str, messages: list[dict[str, str]]) -> list[int]:
    """transformers' own token ids, and those of what ends a thought of channels before it begins."""
    tokenizer = backend.model.codec.tokenizer
    ids: list[int] = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=False, enable_thinking=False
    )
    opened = "<|channel|>final<|message|>" if kind == "channels" else ""
    today, fixed = datetime.now().strftime("%Y-%m-%d"), "2025-01-01"
    if kind == "channels":
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text.replace(today, fixed), add_special_tokens=False)["input_ids"]
    return ids + tokenizer(opened, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_token_ids_are_those_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    backend = engine(folders[kind])
    asked = {"role": "user", "content": LETTERS.context}
    system = {"role": "system", "content": SYSTEM}
    folded = [{"role": "user", "content": f"{SYSTEM}\n\n{LETTERS.context}"}]
    messages = folded if kind in FOLDED else [system, asked]
    assert context_of(backend, Prompt("a", LETTERS)) == expected(backend, kind, messages)
    said = [{"role": "user", "content": WRITES.prompt}]
    assert context_of(backend, Prompt("b", WRITES)) == expected(backend, kind, said)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_one_message_or_turns(kind: str, folders: dict[str, Path]) -> None:
    prompt = Prompt("a", LETTERS, SHOTS, "Choose.\n\n", answers_at=AT)
    one = "Choose.\n\n" + "".join(SHOTS) + LETTERS.context
    questions = ["Choose.\n\n" + SHOTS[0][: AT[0]], SHOTS[1][: AT[1]], LETTERS.context]
    turns = [{"role": "user", "content": questions[0]}]
    for answer, question in zip("AB", questions[1:], strict=True):
        turns += [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    for how, messages in (("text", [{"role": "user", "content": one}]), ("turns", turns)):
        backend = engine(folders[kind], shots_as=how, system="Be brief.")
        system = f"Be brief.\n\n{SYSTEM}"
        if kind in FOLDED:
            messages = [{"role": "user", "content": f"{system}\n\n{messages[0]['content']}"}, *messages[1:]]
        else:
            messages = [{"role": "system", "content": system}, *messages]
        assert context_of(backend, prompt) == expected(backend, kind, messages), how


@pytest.mark.parametrize("kind", KINDS)
def test_letters_are_those_of_a_naive_forward(kind: str, folders: dict[str, Path]) -> None:
    backend = engine(folders[kind])
    tokenizer, module = backend.model.codec.tokenizer, backend.model.module
    (outcome,) = backend.run([Prompt("a", LETTERS)])
    assert isinstance(outcome, Scored)
    with torch.inference_mode():
        logits = module(torch.tensor([context_of(backend, Prompt("a", LETTERS))])).logits[0, -1].double()
    logprobs = torch.log_softmax(logits, 0)
    for letter, score in zip("ABC", outcome.scores, strict=True):
        single = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (letter, f" {letter}")]
        assert [len(ids) for ids in single] == [1, 1]
        naive = torch.logsumexp(logprobs[[ids[0] for ids in single]], 0)
        assert score.logprob == pytest.approx(float(naive), abs=1e-5)
    assert outcome.share == pytest.approx(sum(float(torch.tensor(s.logprob).exp()) for s in outcome.scores), abs=1e-9)
    assert [score.greedy for score in outcome.scores].index(True) == max(
        range(3), key=lambda n: outcome.scores[n].logprob or 0
    )


def test_choices_as_text_are_likelihoods_behind_the_template(folders: dict[str, Path]) -> None:
    backend = engine(folders["plain"])
    request = Choice("The sky is", [" blue", " full of red stones"], 0, neutral="Answer:")
    alone = Choice("The sky is", [" blue"], 0, leads=[" very"])
    outcome, led = backend.run([Prompt("a", request), Prompt("b", alone)])
    assert isinstance(outcome, Scored)
    assert isinstance(led, Scored)
    tokenizer, module = backend.model.codec.tokenizer, backend.model.module

    def naive(message: str, lead: str, answer: str) -> float:
        said = [{"role": "user", "content": message}]
        ids = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
        lead_ids = tokenizer(lead, add_special_tokens=False)["input_ids"]
        targets = tokenizer(lead + answer, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logprobs = torch.log_softmax(module(torch.tensor([ids + targets])).logits[0].double(), -1)
        places = range(len(ids) + len(lead_ids), len(ids) + len(targets))
        return sum(float(logprobs[at - 1, (ids + targets)[at]]) for at in places)

    found = [score.logprob for score in outcome.scores + outcome.neutral + led.scores]
    texts = ["blue", "full of red stones"]
    wanted = [naive("The sky is", "", text) for text in texts] + [naive("Answer:", "", text) for text in texts]
    assert found == pytest.approx([*wanted, naive("The sky is", "very", " blue")], abs=1e-4)
    assert not led.scores[0].greedy, "one choice is right where it is what the model would write, not always"


def test_what_a_chat_writes(folders: dict[str, Path]) -> None:
    backend = engine(folders["plain"])
    (outcome,) = backend.run([Prompt("b", WRITES)])
    tokenizer, module = backend.model.codec.tokenizer, backend.model.module
    ids = context_of(backend, Prompt("b", WRITES))
    with torch.inference_mode():
        for _ in range(WRITES.max_new_tokens):
            ids.append(int(module(torch.tensor([ids])).logits[0, -1].argmax()))
    text = tokenizer.decode(ids[-WRITES.max_new_tokens :])
    ends = [at for mark in ("\n", "<|im_end|>", "<|endoftext|>") if (at := text.lstrip().find(mark)) >= 0]
    assert isinstance(outcome, Generated)
    assert outcome.text == text.lstrip()[: min(ends, default=None)]


def test_the_end_of_a_turn_ends_an_answer(folders: dict[str, Path]) -> None:
    tokenizer = engine(folders["plain"]).model.codec.tokenizer
    mark = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert mark in engine(folders["plain"]).model.codec.eos
    thinks = engine(folders["channels"], thinking=True).model.codec
    assert tokenizer.convert_tokens_to_ids("<|end|>") not in thinks.eos, "there a thought ends so, too"


def test_a_date_is_one_day_whenever_it_is(folders: dict[str, Path]) -> None:
    tokenizer = engine(folders["plain"]).model.codec.tokenizer
    for form in ("%Y-%m-%d", "%d %b %Y", "%A, %B %-d, %y %H:%M:%S"):
        source = _CLOCK + "{{ strftime_now('" + form + "') }}"
        text = tokenizer.apply_chat_template([{"role": "user", "content": ""}], chat_template=source, tokenize=False)
        assert text == datetime(2025, 1, 1).strftime(form)


def test_what_identifies_a_chat(folders: dict[str, Path]) -> None:
    plain = engine(folders["plain"])
    others = [engine(folders["plain"], **how) for how in ({"system": "x"}, {"shots_as": "turns"}, {"thinking": True})]
    raw = open_backend(resolve_models([str(folders["plain"])])[0], Opening())
    assert len({backend.model.key for backend in (raw, plain, *others)}) == 5
    assert len({backend.model.fingerprint for backend in (raw, plain, *others)}) == 5
    assert plain.model.key == engine(folders["plain"]).model.key
    assert [backend.rule for backend in others] == [
        f"system message {digest('x', size=3)}",
        "shots as turns",
        "thinking",
    ]
    assert "has a chat template" not in plain.notes()[0]
    assert "by its template" in plain.notes()[0]


def test_a_question_is_cut_and_not_its_template(folders: dict[str, Path]) -> None:
    backend = engine(folders["channels"])
    window = backend.model.window
    long = "Which one? " + "many words of a long text " * window
    request = Choice(f"{long}\nA. pear\nB. stone\nAnswer:", [" A", " B"], 0)
    prompts = [Prompt("a", request, SHOTS, answers_at=AT), Prompt("b", Generate(f"{long}\nEnd:", ["x"]))]
    outcomes = backend.run(prompts)
    for prompt, outcome, tail in zip(prompts, outcomes, ("B. stone\nAnswer:", "End:"), strict=True):
        assert isinstance(outcome, Scored | Generated)
        assert outcome.tokens_cut > window
        ids = context_of(backend, prompt)
        text = backend.model.codec.decode(ids)
        assert len(ids) <= window
        assert text.startswith("<|start|>system")
        assert tail in text
        assert text.endswith("final<|message|>")
    assert isinstance(outcomes[0], Scored)
    assert outcomes[0].shots_dropped == 2


def test_what_no_chat_can_be_asked(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="has no place in a chat template"):
        engine(folders["plain"]).plan([Prompt("a", Rolling("a text"))])
    raising = save_chat(tmp_path / "raising", "{{ raise_exception('no one may ask') }}")
    with pytest.raises(ModelError, match="its chat template says: no one may ask"):
        engine(raising)
    silent = save_chat(tmp_path / "silent", "<|im_start|>hello")
    with pytest.raises(ModelError, match="leaves out what the user says"):
        engine(silent)
    once = save_chat(tmp_path / "once", "{{ messages[-1]['content'] }}")
    assert not engine(once).template.takes_system
    with pytest.raises(ModelError, match="no conversation of several turns"):
        engine(once, shots_as="turns")
    tight = save_chat(tmp_path / "tight", "{{ 'word ' * 3000 }}" + PLAIN)
    (outcome,) = engine(tight).run([Prompt("a", LETTERS)])
    assert isinstance(outcome, Failed)
    assert "the template alone has more tokens" in outcome.error


def test_templates_that_always_think_are_answered_past_the_thought(tmp_path: Path) -> None:
    opened = PLAIN.replace("assistant\n' }}{% endif %}", "assistant\n<think>\n' }}{% endif %}")
    ends = "{% set seen = '</think>' %}" + PLAIN
    for name, template, end in (
        ("opened", opened, "assistant\n<think>\n\n</think>\n\n"),
        ("unopened", ends, "assistant\n<think>\n\n</think>\n\n"),
    ):
        folder = save_chat(tmp_path / name, template)
        assert engine(folder).template.frame.endswith(end)
        assert not engine(folder, thinking=True).template.opened
    assert engine(save_chat(tmp_path / "channels", CHANNELS)).template.opened == "<|channel|>final<|message|>"
