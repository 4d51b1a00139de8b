"""The engine against the naive computation, one text at a time, on all six architectures."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from gpteval.core.outcomes import Generated, Rolled, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.engine.score import Scorer
from gpteval.engine.trees import BEGINNING
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from tests.tiny import ARCHITECTURES, TEXT, save_tiny, score_row


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    folder = save_tiny(tmp_path_factory.mktemp("tiny") / request.param, request.param)
    return HFModel(ModelInfo(name=request.param, location=str(folder), local=True), LoadOptions(device="cpu"))


def naive_logprob(model: HFModel, context: list[int], targets: list[int]) -> tuple[float, bool]:
    """One row, every logit, float64 log-softmax."""
    ids = torch.tensor([context + targets[:-1]])
    with torch.inference_mode():
        logits = model.module(input_ids=ids).logits[0].double()
    logprobs = torch.log_softmax(logits, dim=-1)
    total, greedy = 0.0, True
    for place, target in enumerate(targets, len(context)):
        total += float(logprobs[place - 1, target])
        greedy = greedy and int(logits[place - 1].argmax()) == target
    return total, greedy


def naive_ids(model: HFModel, text: str) -> list[int]:
    """Ids of a text without newlines, as the tokenizer itself gives them."""
    return list(model.codec.tokenizer(text)["input_ids"])


def words(seed: int, count: int) -> str:
    generator = random.Random(seed)
    return " ".join(generator.choice(" ".join(TEXT).split()) for _ in range(count))


def test_choice_log_probs_equal_the_naive_ones(model: HFModel) -> None:
    prompts = [
        Prompt(f"i{n}", Choice(words(n, 1 + n % 7) + " is", [" the dog", " a", " quick brown fox over"], gold=0))
        for n in range(23)
    ]
    outcomes = Engine(model, batch_tokens=300).run(prompts)
    for prompt, outcome in zip(prompts, outcomes, strict=True):
        assert isinstance(outcome, Scored)
        context = naive_ids(model, prompt.text())
        for continuation, score in zip(prompt.request.continuations, outcome.scores, strict=True):  # type: ignore[union-attr]
            whole = naive_ids(model, prompt.text() + continuation)
            logprob, greedy = naive_logprob(model, whole[: len(context)], whole[len(context) :])
            assert score.logprob == pytest.approx(logprob, abs=1e-4)
            assert score.greedy is greedy
            assert score.tokens == len(whole) - len(context)


def test_rows_that_read_the_same_pass_once(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choices of one token share their context's forward, and their cost is counted once."""
    ids = model.codec.encode(["the quick dog"])[0]
    scorer = Scorer(model.module)
    rows = [score_row(ids, (target,)) for target in (5, 6, 7)] + [score_row(ids[:-1], (8, 9))]
    alone = [scorer.score([row])[0] for row in rows]
    read = watch(model, monkeypatch)
    together = scorer.score(rows)
    assert [shape[0] for shape in read] == [2]
    assert [r.processed for r in together] == [len(ids), 0, 0, len(ids)]
    assert [r.logprob for r in together] == pytest.approx([r.logprob for r in alone], abs=1e-4)


def watch(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of what the model reads from now on."""
    trunk = type(model.module.base_model)
    forward = trunk.forward
    read: list[torch.Size] = []

    def noting(self: Any, *arguments: Any, **inputs: Any) -> Any:
        read.append((inputs.get("input_ids", arguments[0] if arguments else None)).shape)
        return forward(self, *arguments, **inputs)

    monkeypatch.setattr(trunk, "forward", noting)
    return read


def test_choices_share_their_context(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the architecture takes a mask, an item is one line; each token passes once."""
    context = model.codec.encode([words(1, 9)])[0]
    rows = [score_row(context, target) for target in ((5, 6, 7), (8,), (9, 10), (5, 6, 7, 8))]
    alone = [naive_logprob(model, list(row.context), list(row.targets)) for row in rows]
    scorer = Scorer(model.module)
    read = watch(model, monkeypatch)
    found = scorer.score(rows)
    tree = scorer.reach
    assert [tuple(shape) for shape in read] == [(1, len(context) + 6) if tree else (4, len(context) + 3)]
    assert sum(r.processed for r in found) == (read[0].numel() if tree else sum(row.length for row in rows))
    assert [r.logprob for r in found] == pytest.approx([a for a, _ in alone], abs=1e-4)
    assert [r.greedy for r in found] == [b for _, b in alone]


def test_examples_that_items_share_pass_once(model: HFModel, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = (words(7, 30)[:52], words(8, 30)[:50])
    prompts = [
        Prompt(f"i{n}", Choice(words(n, 1) + " is", [" the dog", " a", " lazy"], gold=0), shared) for n in range(12)
    ]
    engine = Engine(model, batch_tokens=30)
    prefix = len(model.codec.encode(["".join(shared)])[0])
    assert engine.scorer.head is not None
    read = watch(model, monkeypatch)
    outcomes = engine.run(prompts)
    assert all(isinstance(outcome, Scored) and not outcome.shots_dropped for outcome in outcomes)
    if engine.scorer.reach:
        assert prefix > BEGINNING
        assert [shape[0] for shape in read].count(1) == 1, "the prefix passes once, for all batches"
        assert len(read) > 2
        assert sum(shape.numel() for shape in read) < 12 * prefix
    monkeypatch.undo()
    for prompt, outcome in zip(prompts, outcomes, strict=True):
        assert isinstance(outcome, Scored)
        context = naive_ids(model, prompt.text())
        for continuation, score in zip(prompt.request.continuations, outcome.scores, strict=True):  # type: ignore[union-attr]
            whole = naive_ids(model, prompt.text() + continuation)
            expected, greedy = naive_logprob(model, whole[: len(context)], whole[len(context) :])
            assert score.logprob == pytest.approx(expected, abs=1e-4)
            assert score.greedy is greedy


def test_greedy_flag_is_true_for_the_models_own_choice(model: HFModel) -> None:
    context = "the quick brown"
    ids = naive_ids(model, context)
    with torch.inference_mode():
        best = int(model.module(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
    other = (best + 1) % model.module.config.vocab_size
    results = Scorer(model.module).score([score_row(ids, (best,)), score_row(ids, (other,))])
    assert [r.greedy for r in results] == [True, False]


def test_rolling_equals_a_loop_over_windows(model: HFModel) -> None:
    text = words(3, 90)
    ids = list(model.codec.tokenizer(text, add_special_tokens=False)["input_ids"])
    start = [] if model.codec.condition is None else [model.codec.condition]
    sequence, window = start + ids, model.window
    assert len(sequence) > 2 * window, "the text must span several windows"
    expected, position = 0.0, 1
    while position < len(sequence):
        end = min(position + window, len(sequence))
        context = sequence[max(0, end - 1 - window) : position]
        expected += naive_logprob(model, context, sequence[position:end])[0]
        position = end
    (outcome,) = Engine(model).run([Prompt("doc", Rolling(text))])
    assert isinstance(outcome, Rolled)
    assert outcome.logprob == pytest.approx(expected, rel=1e-5)
    assert outcome.tokens + outcome.unscored == len(ids)


def naive_generate(model: HFModel, ids: list[int], stop: tuple[str, ...], limit: int) -> tuple[str, str]:
    """One prompt, no cache: the whole sequence again for each token."""
    new: list[int] = []
    while len(new) < limit:
        with torch.inference_mode():
            token = int(model.module(input_ids=torch.tensor([ids + new])).logits[0, -1].argmax())
        if token in model.codec.eos:
            return model.codec.decode(new), "eos"
        new.append(token)
        text = model.codec.decode(new)
        for at in sorted(text.find(s) for s in stop if s in text):
            return text[:at], "stop"
    return model.codec.decode(new), "length"


@pytest.mark.parametrize("budget", [16, 100, 400])
def test_greedy_texts_are_identical(model: HFModel, budget: int) -> None:
    stop = ("e", "\n", "q")
    prompts = [Prompt(f"i{n}", Generate(words(n, 1 + 2 * n), [""], stop, max_new_tokens=12)) for n in range(9)]
    prompts += [Prompt(f"j{n}", Generate(words(n, 3), [""], ("zzz",), max_new_tokens=3 + 2 * n)) for n in range(9)]
    outcomes = Engine(model, batch_tokens=budget).run(prompts)
    finishes = set()
    for prompt, outcome in zip(prompts, outcomes, strict=True):
        assert isinstance(outcome, Generated)
        request = prompt.request
        assert isinstance(request, Generate)
        limit = request.max_new_tokens
        ids = naive_ids(model, prompt.text())[-(model.window - limit) :]
        expected = naive_generate(model, ids, model.codec.stops(request.stop), limit)
        assert (outcome.text, outcome.finish) == expected
        finishes.add(outcome.finish)
    assert {"stop", "length"} <= finishes, "the prompts must show rows that leave early and rows that do not"


def test_numbers_do_not_depend_on_the_batch(model: HFModel) -> None:
    prompts = [Prompt(f"i{n}", Choice(words(n, 1 + n % 9), [" dog", " lazy sky"], gold=0)) for n in range(12)]
    one = Engine(model, batch_tokens=1).run(prompts)
    many = Engine(model, batch_tokens=100_000).run(prompts)
    for a, b in zip(one, many, strict=True):
        assert isinstance(a, Scored)
        assert isinstance(b, Scored)
        assert [s.logprob for s in a.scores] == pytest.approx([s.logprob for s in b.scores], abs=1e-4)


def test_tests_use_the_architectures_they_name(model: HFModel) -> None:
    assert model.module.config.model_type == model.info.name
    assert Path(model.info.location).name == model.info.name


def test_a_drawn_text_is_one_of_those_of_the_likeliest_tokens(tmp_path: Path) -> None:
    model = HFModel(ModelInfo("gpt2", str(save_tiny(tmp_path / "gpt2", "gpt2")), local=True), LoadOptions(device="cpu"))
    prompt = words(3, 6)

    def continuations(ids: list[int], left: int) -> list[list[int]]:
        if not left:
            return [[]]
        with torch.inference_mode():
            likeliest = model.module(input_ids=torch.tensor([ids])).logits[0, -1].topk(2).indices.tolist()
        return [[token, *rest] for token in likeliest for rest in continuations([*ids, token], left - 1)]

    possible = {model.codec.tokenizer.decode(found) for found in continuations(naive_ids(model, prompt), 4)}
    asked = [Prompt(str(n), Generate(prompt, ["x"], stop=(), max_new_tokens=4, top_k=2)) for n in range(2)]
    others = [Prompt(f"o{n}", Generate(words(n, 9), ["x"], stop=(), max_new_tokens=4, top_k=2)) for n in range(6)]
    drawn = Engine(model).run([*asked, *others])
    assert drawn[0] == drawn[1], "a text is drawn by its prompt and the seed"
    assert drawn[0].text in possible
    assert drawn[:1] == Engine(model).run(asked[:1]), "whatever else is drawn"
    greedy = Engine(model).run([Prompt(p.item_id, Generate(p.request.prompt, ["x"], (), 4)) for p in others])
    assert [outcome.text for outcome in drawn[2:]] != [outcome.text for outcome in greedy]
