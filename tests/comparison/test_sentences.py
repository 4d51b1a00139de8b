"""All that is printed in words, on one page (sentences.txt), to be read aloud when it changes.

``python -m tests.comparison.test_sentences`` writes the page anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gpteval.comparison.compare import compare
from gpteval.comparison.place import place
from gpteval.comparison.sentences import sentences
from gpteval.experiments.cells import Cell
from gpteval.experiments.fewshot import analyse
from gpteval.metrics.named import metric_registry
from gpteval.report.leaderboard import leaderboard
from gpteval.report.pairs_view import paired
from gpteval.report.summary import answer
from gpteval.store.runs import read_runs
from tests.made_runs import Stats, make_run, scores

PAGE = Path(__file__).with_name("sentences.txt")
Levels = Mapping[str, tuple[tuple[str, int], float]]  # by model: generation and size, share of right answers

DEMO: Levels = {
    "gpt1-nano": (("gpt1", 100), 0.45),
    "gpt2-nano": (("gpt2", 110), 0.7),
    "gpt2-nano-medium": (("gpt2", 300), 0.74),
    "gpt3-nano": (("gpt3", 310), 0.78),
    "gpt3-nano-medium": (("gpt3", 900), 0.8),
}
TWO: Levels = {"gpt2": (("gpt2", 124), 0.6), "pythia-160m": (("gpt3", 130), 0.62)}
TRAINING: Levels = {
    "gpt2": (("gpt2", 124), 0.5),
    "gpt2-medium": (("gpt2", 355), 0.7),
    "ckpt-100": (("other", 124), 0.3),
    "ckpt-900": (("other", 124), 0.68),
}
API: Levels = {"gpt2-xl": (("gpt2", 1558), 0.6), "gpt-4o": (("gpt4", 0), 0.93)}
KINDS: Levels = {
    f"{name}-{number}": ((generation, 100 * 4**number), level + 0.02 * number)
    for name, generation, level in (("gpt2", "gpt2", 0.5), ("neo", "gpt3", 0.68))
    for number in range(3)
}


def made(folder: Path, levels: Levels, *, others: bool = False) -> Path:
    """Answers of three tasks; ``others``: and a translation and a perplexity."""
    answers: dict[tuple[str, str], Stats] = {}
    for number, (model, (_, level)) in enumerate(levels.items()):
        for task in range(3):
            hard = np.random.default_rng(task).random(250)
            own = np.random.default_rng((task, number)).random(250)
            luck = np.where(np.random.default_rng((task, number, 1)).random(250) < 0.6, hard, own)
            answers[model, f"task{task}"] = scores((luck < level).astype(float))
        if others:
            words = np.random.default_rng(number).normal(0, 2, (60, 1))
            answers[model, "prose"] = [(330 - 150 * level + w, 100.0, 100.0, 400.0) for w in words[:, 0]]
    metrics = {"prose": "token_perplexity"}
    chance = {f"task{task}": 0.25 for task in range(3)}
    kinds = {model: kind for model, (kind, _) in levels.items()}
    run = make_run(folder, answers, metrics=metrics, generations=kinds, chance=chance)
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        error = 0.03 if row["metric"] == "acc" else 0.2
        row |= {"ci_low": row["value"] - 2 * error, "ci_high": row["value"] + 2 * error, "stderr": error}
        row["n_params"] = row["n_params"] or None
        if row["model"].startswith("ckpt-"):
            row |= {"model_family": "out", "step": int(row["model"].removeprefix("ckpt-"))}
    (run / "results.json").write_text(json.dumps(document))
    return run


def said(name: str, run: Path) -> Iterator[str]:
    """What is printed of a run by the report, ``compare`` and ``place``, of a training for its last checkpoint."""
    yield f"# {name}"
    yield "## the report"
    yield answer(leaderboard(read_runs([run]).merged)).replace("\u00a0", " ").replace("\u2011", "-")
    of = paired(read_runs([run]))
    for first, others in of.groups:
        yield first
        yield from (f"  {other}" for other in others)
    yield from of.about
    yield "## compare"
    yield from sentences(compare(run))
    yield "## place"
    models = dict.fromkeys(row["model"] for row in read_runs([run]).merged.rows)
    for model in ["ckpt-900"] if "ckpt-900" in models else models:
        yield from (found.sentence for found in place([run], (), model))


def few_shots() -> Iterator[str]:
    yield "# examples in the prompt"
    metric = metric_registry()["acc"]
    shapes = {"helped": (0.3, 0.5, 0.62, 0.62), "steady": (0.5, 0.5, 0.5, 0.5), "hurt": (0.7, 0.4, 0.68, 0.7)}
    for seeds in (3, 1):
        yield f"## {seeds} set{'s' if seeds > 1 else ''} of examples"
        cells = []
        for model, levels in shapes.items():
            luck = np.random.default_rng(len(model)).random(200)
            for shots, level in zip((0, 1, 2, 4), levels, strict=True):
                for seed in range(seeds if shots else 1):
                    right = luck + np.random.default_rng((shots, seed)).normal(0, 0.05, 200) < level
                    ids = tuple(f"i{n:03}" for n in range(200))
                    what = (model, "gpt2", 1, "task", "default", "qa", metric, shots)
                    cells.append(
                        Cell(
                            *what, ids, ids, np.array(scores(right.astype(float))), seed, "", np.zeros(200, bool), None
                        )
                    )
        yield from analyse(cells).sentences


def page(folder: Path) -> str:
    lines: list[str] = []
    runs = {
        "the demo's models": made(folder / "demo", DEMO, others=True),
        "two base models": made(folder / "two", TWO),
        "a training": made(folder / "training", TRAINING),
        "a model behind an API": made(folder / "api", API),
        "three models a side": made(folder / "kinds", KINDS),
    }
    for name, run in runs.items():
        lines += said(name, run)
    lines += few_shots()
    return "\n".join(lines) + "\n"


def test_what_is_printed_is_on_the_page(tmp_path: Path) -> None:
    assert page(tmp_path) == PAGE.read_text(encoding="utf-8"), (
        "read it aloud: python -m tests.comparison.test_sentences"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_in:
        PAGE.write_text(page(Path(made_in)), encoding="utf-8")
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))
