"""Runs whose models have one name and other weights: none vanishes, in no command."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpteval.comparison.compare import compare
from gpteval.report import build_report
from gpteval.store.apart import names_apart
from gpteval.store.runs import read_runs
from tests.conftest import RunCli
from tests.made_runs import make_run, scores

NAME = "checkpoint-500"


def two(tmp_path: Path, *, first: str = "f1", second: str = "f2") -> tuple[Path, Path]:
    """The first answers 150 of 200, the second 50."""
    made = []
    for folder, fingerprint, right in (("runA", first, 150), ("runB", second, 50)):
        models = {NAME: {"fingerprint": fingerprint}} if fingerprint else {}
        answers = {(NAME, "piqa"): scores([int(n < right) for n in range(200)])}
        made.append(make_run(tmp_path / folder, answers, models=models))
    return made[0], made[1]


@pytest.mark.parametrize("turned", [False, True])
def test_both_are_compared_by_their_folders_names(tmp_path: Path, turned: bool, in_process: RunCli) -> None:
    runs = two(tmp_path)[:: -1 if turned else 1]
    (pair,) = compare(list(runs)).pairs
    assert {pair.model_a, pair.model_b} == {f"runA/{NAME}", f"runB/{NAME}"}
    assert abs(pair.figure.effect) == pytest.approx(0.5)
    done = in_process("compare", *runs, "--no-worse-than", f"runA/{NAME}", "--margin", 5)
    assert done.returncode == 1
    assert f"runB/{NAME} on piqa (0-shot) may be worse than runA/{NAME}" in done.stdout + done.stderr
    done = in_process("compare", *runs, "--no-worse-than", f"runB/{NAME}", "--margin", 5)
    assert done.returncode == 0, done.stderr
    done = in_process("compare", *runs, "--no-worse-than", NAME, "--margin", 5)
    assert done.returncode == 2
    assert f"runA/{NAME}" in done.stderr


def test_they_stand_beside_each_other_in_the_report(tmp_path: Path) -> None:
    runs = two(tmp_path)
    loaded = read_runs(runs).merged
    assert [row["model"] for row in loaded.rows] == [f"runA/{NAME}", f"runB/{NAME}"]
    assert "told apart by the folders of their runs" in " ".join(loaded.remarks)
    text = build_report(runs, tmp_path / "report.html").read_text()
    assert f"runA/{NAME}" in text
    assert f"runB/{NAME}" in text


@pytest.mark.parametrize("fingerprints", [("f", "f"), ("", ""), ("f", "")])
def test_the_same_model_in_two_runs_is_one(tmp_path: Path, fingerprints: tuple[str, str]) -> None:
    first, second = fingerprints
    runs = two(tmp_path, first=first, second=second)
    (row,) = read_runs(runs).merged.rows
    assert (row["model"], row["value"]) == (NAME, 0.25), "of what two have, the later one counts"


def test_trainings_of_one_name_are_two_lines(tmp_path: Path) -> None:
    import json

    runs = two(tmp_path)
    for run in runs:
        document = json.loads((run / "results.json").read_text())
        document["results"] = [row | {"model_family": "out", "step": 500} for row in document["results"]]
        (run / "results.json").write_text(json.dumps(document))
    assert {row["model_family"] for row in read_runs(runs).merged.rows} == {"runA/out", "runB/out"}


def test_names() -> None:
    paths = [Path("/x/a/run"), Path("/x/b/run"), Path("/x/c")]
    known = [{"m": "1", "n": "7"}, {"m": "2", "n": "7"}, {"m": "1", "o": ""}]
    assert names_apart(paths, known) == [
        {"m": "a/run/m", "n": "n"},
        {"m": "b/run/m", "n": "n"},
        {"m": "a/run/m", "o": "o"},
    ]
    assert names_apart(paths[:1] * 2, [{"m": "1"}, {"m": "1"}]) == [{"m": "m"}] * 2, "one run, named twice"


def test_experiments_of_one_name(tmp_path: Path, in_process: RunCli) -> None:
    """The curves of few shots, too."""
    from gpteval.report.fewshot_view import _renamed

    document = {"model": NAME, "sentences": [f"{NAME} gains 3 points over {NAME}-x and other/{NAME}."]}
    assert _renamed(document, {NAME: f"runA/{NAME}"}) == {
        "model": f"runA/{NAME}",
        "sentences": [f"runA/{NAME} gains 3 points over {NAME}-x and other/{NAME}."],
    }
