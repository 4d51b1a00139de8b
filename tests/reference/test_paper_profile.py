"""--profile paper: each protocol's arithmetic once more, by hand, on a small model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from gpteval.core.outcomes import Scored
from gpteval.core.types import Choice, Item, Prompt, Rolling
from gpteval.data.sources import generated
from gpteval.engine.engine import Engine
from gpteval.metrics.named import metric_registry
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.prompts.build import build_prompts, load_task
from gpteval.reference.comparability import OF_GPT2, UNTOLD
from gpteval.reference.counterpart import beside
from gpteval.tasks.profiles import PAPER
from gpteval.tasks.registry import task_registry
from gpteval.tasks.task import Task
from tests.tiny import TEXT, save_tiny

WINDOW = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    folder = save_tiny(tmp_path_factory.mktemp("tiny") / "gpt2", window=WINDOW)
    return HFModel(ModelInfo(name="tiny", location=str(folder), local=True), LoadOptions(device="cpu"))


def of_paper(name: str) -> Task:
    task = task_registry()[name].under(PAPER)
    assert task is not None
    return task


def on(name: str, rows: Sequence[Mapping[str, Any]]) -> Task:
    """The paper's task on rows of ours."""
    return of_paper(name).with_source(generated(lambda split: rows, revision="1"))


def value(model: HFModel, task: Task) -> float:
    """The primary metric over a task's items."""
    prompts = build_prompts(load_task(task))
    outcomes = Engine(model).run(prompts)
    metric = metric_registry()[task.metric]
    stats = [metric.stats(p.request, o) for p, o in zip(prompts, outcomes, strict=True)]
    return float(metric.value(torch.tensor(stats, dtype=torch.float64).sum(dim=0).numpy()))


@torch.inference_mode()
def logprobs(model: HFModel, ids: Sequence[int]) -> torch.Tensor:
    """[tokens - 1, vocabulary]: after each token but the last."""
    return model.module(input_ids=torch.tensor([ids[:-1]])).logits[0].double().log_softmax(dim=-1)


def half_window_nats(model: HFModel, text: str) -> float:
    """Token by token: the first window from its start on, then each token in the one window of the row of windows,
    half a window apart, whose second half it lies in.
    """
    ids = [model.codec.condition, *model.codec.encode([text])[0]]
    half = WINDOW // 2
    nats = 0.0
    for place in range(1, len(ids)):
        step = max(0, math.ceil((place - WINDOW) / half))
        end = min(WINDOW + step * half, len(ids) - 1)
        begin = max(0, end - WINDOW)
        nats -= float(logprobs(model, ids[begin : place + 1])[-1, ids[place]])
    return nats


SENTENCES = [line.replace("\n", " ") for line in TEXT * 3]
LINES = ["", "= A title =", "", 'He said " no " , and left ; she did n\'t .', "", *SENTENCES, "The <unk> of N men 's"]


@pytest.mark.parametrize("name", ["wikitext2", "wikitext103", "ptb"])
def test_a_test_set_is_one_text_and_counts_its_words_and_ends_of_line(model: HFModel, name: str) -> None:
    column = "sentence" if name == "ptb" else "text"
    rows = [{column: f" {line} \n" if line and name != "ptb" else line} for line in LINES]
    task = on(name, rows)
    (item,) = load_task(task).items
    text = task.prompt(item).text  # type: ignore[union-attr]
    assert ("She" in text, " ," in text, "didn't" in text) == (False, False, True)
    units = sum(len(line.split()) + 1 for line in LINES)
    nats = half_window_nats(model, text)
    assert value(model, task) == pytest.approx(math.exp(nats / units), rel=1e-4)


def test_a_stray_quotation_mark_does_not_turn_the_rest_round() -> None:
    rows = [{"text": text} for text in (' he was 5 " tall \n', ' " so " he said \n', ' " no " \n')]
    task = on("wikitext2", rows)
    (item,) = load_task(task).items
    assert task.prompt(item).text.split("\n")[1:] == ['"so" he said', '"no"', ""]  # type: ignore[union-attr]


def test_a_sentence_of_one_billion_words_stands_alone_with_its_end(model: HFModel) -> None:
    sentences = ["The dog sleeps .", "A man is n't in the sky , or on ."]
    texts = ["The dog sleeps.\n", "A man isn't in the sky, or on.\n"]
    nats = sum(half_window_nats(model, text) for text in texts)
    task = on("lm1b", [{"text": sentence} for sentence in sentences])
    assert value(model, task) == pytest.approx(math.exp(nats / (5 + 12)), rel=1e-4)


@pytest.mark.parametrize(("name", "end"), [("enwik8", "\n"), ("text8", "")])
def test_the_last_bytes_are_the_test_set(model: HFModel, name: str, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = on(name, [{"text": text} for text in TEXT])
    whole = "".join(f"{text}{end}" for text in TEXT).encode()
    monkeypatch.setitem(task.prepare.func.__globals__, "TEST_BYTES", 150)  # type: ignore[union-attr]
    kept = whole[-150:]
    text = kept.decode()
    assert value(model, task) == pytest.approx(half_window_nats(model, text) / math.log(2) / len(kept), rel=1e-4)


def test_a_book_is_answered_by_the_word_that_makes_it_and_the_rest_likeliest(model: HFModel) -> None:
    row = {
        "sentences": ["The fox sleeps .", "A dog is here ."],
        "question": "Then the XXXXX jumps over it .",
        "options": ["fox", "dog", "man", "hat"],
        "answer": "dog",
    }
    start = "The fox sleeps. A dog is here. Then the"
    begun = len(model.codec.encode([start])[0])
    sums = []
    for option in row["options"]:
        ids = model.codec.encode([f"{start} {option} jumps over it."])[0]
        found = logprobs(model, ids)[begun - 1 :].gather(1, torch.tensor(ids[begun:])[:, None])
        sums.append(float(found.sum()))
    right = float(sums.index(max(sums)) == 1)
    for name in ("cbt_cn", "cbt_ne"):
        assert of_paper(name).source.split == "validation"  # type: ignore[attr-defined]
        assert value(model, on(name, [row])) == right
    (outcome,) = Engine(model).run(build_prompts(load_task(on("cbt_cn", [row]))))
    assert isinstance(outcome, Scored)
    assert [score.logprob for score in outcome.scores] == pytest.approx(sums, abs=1e-4)


class TestStopWords:
    CONTEXT = "\nThe quick brown fox jumps over the lazy"

    def ranked(self, model: HFModel) -> list[int]:
        """All tokens, the likeliest after the context first."""
        ids = model.codec.encode([self.CONTEXT])[0]
        return logprobs(model, [*ids, 0])[-1].argsort(descending=True).tolist()

    def greedy(self, model: HFModel, word: str, stop_words: Sequence[str]) -> bool:
        request = Choice(self.CONTEXT, [word], 0, stop_words=stop_words)
        (outcome,) = Engine(model).run([Prompt("1", request)])
        assert isinstance(outcome, Scored)
        return outcome.scores[0].greedy

    def test_decoding_passes_over_them_and_takes_the_next_word(self, model: HFModel) -> None:
        words = {}  # those that are one token after a space, by rank
        for rank, token in enumerate(self.ranked(model)):
            text = model.codec.decode([token])
            if text[:1] == " " and text.strip() and model.codec.encode([f"a{text}"])[0][-1] == token:
                words[rank] = text
        rank, word = next((rank, text) for rank, text in words.items() if rank > 0)
        before = [model.codec.decode([token]) for token in self.ranked(model)[:rank]]
        assert not self.greedy(model, word, ())
        spaced = [text for text in before if text in words.values()]
        assert self.greedy(model, word, [text.strip() for text in spaced]) == (len(spaced) == len(before))
        first = next(iter(words.values()))
        assert not self.greedy(model, first, [first.strip()]), "a stop word is never the answer"

    def test_only_where_the_word_begins(self, model: HFModel) -> None:
        """A barred token may follow within the word."""
        ids = model.codec.encode([self.CONTEXT])[0]
        first = int(logprobs(model, [*ids, 0])[-1].argmax())
        second = int(logprobs(model, [*ids, first, 0])[-1].argmax())
        from gpteval.engine.score import Scorer
        from gpteval.tokens.queries import ScoreQuery, Tokens

        scorer = Scorer(model.module)
        rows = [
            ScoreQuery(Tokens(ids), Tokens([first, second]), Tokens(barred))
            for barred in ([], [second] if second != first else [], [first])
        ]
        assert [result.greedy for result in scorer.score(rows)] == [True, True, False]
        runner_up = self.ranked(model)[1]
        rows = [
            ScoreQuery(Tokens(ids), Tokens([runner_up]), Tokens(barred)) for barred in ([], [first], [first, second])
        ]
        assert [result.greedy for result in scorer.score(rows)] == [False, True, runner_up != second]

    def test_lambada_has_them(self) -> None:
        task = of_paper("lambada_openai")
        request = task.prompt(Item("1", {"text": "“He,” she said, “was at the very end” of the road"}))
        assert isinstance(request, Choice)
        assert request.context == '\n"He," she said, "was at the very end" of the'
        assert list(request.continuations) == [" road"]
        assert {"the", "him", "you"} < set(request.stop_words)
        assert not {"door", "end", "man"} & set(request.stop_words)


@pytest.mark.shared_data
def test_wikitext_has_as_many_tokens_as_is_published(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """245,569 with the ends of lines (Merity et al. 2017, Table 1)."""
    monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
    task = of_paper("wikitext2")
    (item,) = load_task(task).items
    request = task.prompt(item)
    assert isinstance(request, Rolling)
    assert len(request.counted.split()) == 245_569


# Figures of appendix G of the GPT-3 paper: context, right answer.
FIGURES: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "rte",
        {"sentence1": "It was found in 1995.", "sentence2": "It is the last of six.", "label": 1},
        "It was found in 1995.\nquestion: It is the last of six. True or False?\nanswer:",
        " False",
    ),
    (
        "cb",
        {"premise": "It does n't.", "hypothesis": "Manhattan comes cheap", "label": 1},
        "It does n't.\nquestion: Manhattan comes cheap. true, false, or neither?\nanswer:",
        " false",
    ),
    (
        "anli_r2",
        {"premise": "A hotel.", "hypothesis": "It is cheap.", "label": 1},
        "anli 2: anli 2: A hotel.\nQuestion: It is cheap. True, False, or Neither?",
        " Neither",
    ),
    (
        "boolq",
        {"passage": "Normal force -- In a simple case", "question": "is it gravity", "label": 1},
        "Normal force -- In a simple case\nquestion: is it gravity?\nanswer:",
        " yes",
    ),
    (
        "wic",
        {"sentence1": "An outfitter came.", "sentence2": "The outfitter.", "start1": 3, "end1": 12, "label": 0},
        "An outfitter came.\nThe outfitter.\nquestion: Is the word 'outfitter' used in the same way in the two "
        "sentences above?\nanswer:",
        " no",
    ),
    ("piqa", {"goal": "How to seal wood.", "sol1": "Brush it.", "sol2": "Drip.", "label": 0}, "How to seal wood.", ""),
    ("webqs", {"question": "What school?", "answers": ["Arts"]}, "Q: What school?\n\nA:", " Arts"),
    ("nq_open", {"question": "who played tess", "answer": ["Della"]}, "Q: who played tess?\n\nA:", " Della"),
    ("wmt14_fr_en", {"translation": {"fr": "Une femme.", "en": "A woman."}}, "Une femme. =", " A woman."),
    ("arithmetic_2da", {"asked": "98 plus 45", "result": 143}, "Q: What is 98 plus 45?\n\nA:", " 143"),
    (
        "lambada_cloze",
        {"text": "there's more than a step"},
        "there's more than a ____. ->",
        " step",
    ),
]


@pytest.mark.parametrize(("name", "row", "context", "answer"), FIGURES, ids=[figure[0] for figure in FIGURES])
def test_a_prompt_of_gpt3s_appendix(name: str, row: dict[str, Any], context: str, answer: str) -> None:
    request = of_paper(name).prompt(Item("1", row))
    assert request.prompt == context
    assert request.answer == (answer or " Brush it.")


def test_questions_of_an_article_follow_each_other() -> None:
    rows = [
        {"article": article, "question": f"{n}?", "options": list("wxyz"), "answer": "ABCD"[n]}
        for article, n in (("one", 0), ("one", 1), ("two", 2))
    ]
    found = [of_paper("race_high").prompt(item).prompt for item in load_task(on("race_high", rows)).items]
    assert found[1] == "Article:\none\n\nQ: 0?\n\nA: w\n\nQ: 1?\n\nA:"
    assert found[2] == "Article:\ntwo\n\nQ: 2?\n\nA:"


def test_as_many_examples_as_the_paper_showed() -> None:
    from gpteval.reference.published import published_for

    checked = 0
    for name, task in task_registry().items():
        found = task.under(PAPER)
        published = {row.shots for row in published_for(name) if row.source.startswith("Brown et al. 2020")}
        if found and name not in OF_GPT2 and published:
            assert found.shots == max(int(shots) for shots in published), name
            checked += 1
    assert checked > 30


def test_only_what_a_paper_does_not_tell_stands_between_the_numbers() -> None:
    def reasons(model: str, task: str, metric: str, shots: int = 0, profile: str = PAPER, split: str = "test") -> Any:
        found = beside({model}, task, metric, shots, split=split, limit=None, profile=profile)
        assert found is not None
        return found["value"], found["reasons"]

    assert reasons("gpt2-xl", "lambada_openai", "acc_greedy") == (0.6324, [UNTOLD["lambada_openai"]])
    assert reasons("gpt2-xl", "wikitext2", "word_perplexity") == (18.34, [UNTOLD["wikitext2"]])
    assert reasons("gpt2-xl", "cbt_cn", "acc", split="validation") == (0.933, [UNTOLD["cbt_cn"]])
    assert reasons("gpt3-13b", "piqa", "acc_token", 50, split="validation")[1] == []
    assert "the GPT-3 paper's own protocol" in reasons("gpt3-13b", "piqa", "acc_token", 50, "gpteval", "validation")[1]
    assert set(UNTOLD) <= {name for name, task in task_registry().items() if task.under(PAPER)}
    assert {name for name, task in task_registry().items() if task.under(PAPER)} >= OF_GPT2


def test_shots_are_the_papers_and_the_run_says_whose_protocol_it_was(tmp_path: Path) -> None:
    from gpteval.run.evaluate import evaluate

    outcome = evaluate(["gpt2-nano"], ["arithmetic_1dc"], profile=PAPER, limit=4, out=tmp_path / "run", device="cpu")
    (row,) = [result for result in outcome.results if result.primary]
    assert (row.shots, row.profile) == (50, PAPER)
