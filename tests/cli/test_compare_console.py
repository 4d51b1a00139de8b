"""``gpteval compare`` on a terminal: what matters, in its width; every row with --all.

``python -m tests.cli.test_compare_console`` writes the screens anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gpteval.cli.compare_console import compared_text
from gpteval.comparison.compare import compare
from tests.conftest import RunCli
from tests.made_runs import FOUR, make_run, scores

SCREENS = Path(__file__).parent / "screens"
TASKS = {"piqa": 0.6, "piqa@5": 0.65, "sst2": 0.7, "lambada": 0.3}


def make(folder: Path) -> Path:
    """Four models, each better than the one before, on three tasks of 300 items, one with examples, too."""
    draw = np.random.default_rng(0)
    answers = {}
    for task, share in TASKS.items():
        hard = draw.random(300)
        for n, model in enumerate(FOUR):
            right = hard + draw.normal(0, 0.1, 300) < share + 0.06 * n
            answers[model, task] = scores(right.astype(float))
    run = make_run(folder / "run", answers, generations=FOUR, metrics={"lambada": "acc_greedy"})
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        if (row["model"], row["task"]) == ("gpt2-xl", "sst2"):
            row["signature"] = "another"
    (run / "results.json").write_text(json.dumps(document))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made"))


def screen(run: Path, width: int) -> str:
    return compared_text(compare([run]), width) + "\n"


@pytest.mark.parametrize("width", [80, 120])
def test_the_screens_are_those_that_were_looked_at(run: Path, width: int) -> None:
    text = screen(run, width)
    assert max(map(len, text.splitlines())) <= width
    assert text == (SCREENS / f"compare-{width}.txt").read_text(encoding="utf-8")


def test_all_prints_every_row(run: Path, in_process: RunCli) -> None:
    short, whole = in_process("compare", run), in_process("compare", run, "--all")
    assert "Not shown: 3 pairs of models" in short.stdout
    for task in ("piqa", "piqa, 5-shot", "sst2", "lambada"):
        assert sum(line.startswith(f"{task}  ") for line in whole.stdout.splitlines()) == 6
    assert "MDE" in whole.stdout


def test_all_pairs_of_a_baseline_are_shown(run: Path, in_process: RunCli) -> None:
    said = in_process("compare", run, "--baseline", "gpt2-xl").stdout
    assert "Not shown" not in said
    assert said.count("  - gpt2-xl") == 3


def test_one_pair_has_its_intervals(run: Path, in_process: RunCli, tmp_path: Path) -> None:
    document = json.loads((run / "results.json").read_text())
    document["results"] = [row for row in document["results"] if row["model"] in ("openai-gpt", "gpt2")]
    (tmp_path / "samples").symlink_to(run / "samples")
    (tmp_path / "manifest.json").write_bytes((run / "manifest.json").read_bytes())
    (tmp_path / "results.json").write_text(json.dumps(document))
    pairs = {(pair.task, pair.shots): pair for pair in compare([tmp_path]).pairs}
    for line in in_process("compare", tmp_path).stdout.splitlines():
        if line.split()[:2] == ["sst2", "acc"]:
            found = pairs["sst2", 0].figure
            assert line.split()[2:4] == [f"{100 * found.value_a:.1f}", f"{100 * found.value_b:.1f}"]
            assert f"{100 * found.effect:+.1f}" in line
            break
    else:
        raise AssertionError("no line of the task")


if __name__ == "__main__":
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made_in:
        made = make(Path(made_in))
        for columns in (80, 120):
            (SCREENS / f"compare-{columns}.txt").write_text(screen(made, columns), encoding="utf-8")
            sys.stdout.write(screen(made, columns))
