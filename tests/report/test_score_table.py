"""``gpteval table``: scores for a paper and a terminal, held to results.json and to stored screens.

``python -m tests.report.test_score_table`` writes the screens anew.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from pathlib import Path

import pytest

from gpteval.core.grid import shortened
from gpteval.core.show import footnote
from gpteval.report.score_table import score_table
from gpteval.report.score_texts import as_text
from gpteval.store.runs import read_runs
from tests.conftest import RunCli
from tests.made_runs import FOUR, make_run, scores

SCREENS = Path(__file__).parent / "screens"


def make(folder: Path) -> Path:
    """Four models on three tasks of 100 items, one with examples, too; remarks, a model without one of the tasks."""
    answers = {}
    for n, model in enumerate(FOUR):
        for task in ("piqa", "piqa@5", "sst2", "lambada"):
            answers[model, task] = scores([1.0] * (40 + 10 * n + 2 * len(task)) + [0.0] * (60 - 10 * n - 2 * len(task)))
    del answers["openai-gpt", "lambada"]
    made = make_run(
        folder / "run",
        answers,
        generations=FOUR,
        metrics={"lambada": "acc_greedy"},
    )
    document = json.loads((made / "results.json").read_text())
    for row in document["results"]:
        row |= {"ci_low": row["value"] - 0.09, "ci_high": row["value"] + 0.07}
        if row["task"] == "sst2" and row["model"] == "gpt2":
            row["notes"] = ["lossy & odd: 100 % of_it"]
        if row["task"] == "piqa" and (row["model"], row["shots"]) == ("gpt2", 5):
            row["truncated"] = 7
    (made / "results.json").write_text(json.dumps(document))
    return made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path)


def screen(run: Path, width: int) -> str:
    return as_text(score_table(read_runs(run)), width) + "\n"


def rows_of(run: Path) -> dict[tuple[str, str, int], dict[str, object]]:
    rows = json.loads((run / "results.json").read_text())["results"]
    return {(row["model"], row["task"], row["shots"]): row for row in rows}


@pytest.mark.parametrize("width", [80, 120])
def test_the_screens_are_those_that_were_looked_at(run: Path, width: int) -> None:
    text = screen(run, width)
    assert max(map(len, text.splitlines())) <= width
    assert text == (SCREENS / f"table-{width}.txt").read_text(encoding="utf-8")


def test_many_models_stand_below_each_other(run: Path) -> None:
    first, second, *lines = as_text(score_table(read_runs(run), tasks=["lambada"]), 60).splitlines()
    assert (first.split(), second.split()) == (["lambada"], ["acc_greedy", "%", "↑"])
    assert [line.split()[0] for line in lines[:4]] == list(FOUR)


@pytest.mark.parametrize("width", [40, 57, 80, 101, 300])
def test_every_score_is_there_at_any_width(run: Path, width: int) -> None:
    table = score_table(read_runs(run), interval="none")
    words = as_text(table, width).replace("*", " ").split()
    for score in (score for row in table.scores for score in row if score.text != "–"):
        assert words.count(score.text) >= sum(s.text == score.text for row in table.scores for s in row)


def test_csv_and_json_have_what_results_json_has(run: Path, in_process: RunCli) -> None:
    known = rows_of(run)
    found = list(csv.DictReader(io.StringIO(in_process("table", run, "--format", "csv").stdout)))
    assert len(found) == len(known) == 15
    for row in found:
        own = known[row["model"], row["task"], int(row["shots"])]
        assert float(row["value"]) == own["value"]
        assert float(row["ci_low"]) == own["ci_low"]
    document = json.loads(in_process("table", run, "--json").stdout)
    assert [score["value"] for score in document["scores"]] == [float(row["value"]) for row in found]
    best = {(s["task"], s["shots"]) for s in document["scores"] if s["best"]}
    assert best == {("piqa", 0), ("piqa", 5), ("sst2", 0), ("lambada", 0)}


def test_latex_is_for_booktabs(run: Path, in_process: RunCli) -> None:
    text = in_process("table", run, "--format", "latex", "--tasks", "sst2,piqa", "--shots", "0").stdout
    assert r"\begin{tabular}{lrr}" in text
    assert text.count(r"\midrule") == 3, "after the head, and before each further generation"
    assert r"& \textbf{78.0} $\pm$8.0" in text
    assert r"& 68.0 $\pm$8.0" in text
    assert r"\textsuperscript{a}~lossy \& odd: 100 \% of\_it" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    assert {line.count(" & ") for line in rows} == {2}


def test_markdown_shows_names_as_they_are(run: Path, in_process: RunCli) -> None:
    text = in_process("table", run, "--format", "md", "--interval", "range", "--models", "gpt2,gpt2-xl").stdout
    assert r"| 58.0 \[49.0, 65.0\] |" in text
    assert r"<sup>a</sup> 7 of 100 prompts shortened to the window" in text
    assert "openai-gpt" not in text


def test_another_metric_takes_the_place_of_each_tasks_own(run: Path) -> None:
    document = json.loads((run / "results.json").read_text())
    other = [row | {"metric": "acc_char", "primary": False, "value": 0.111} for row in document["results"]]
    document["results"] += [row for row in other if row["task"] == "piqa"]
    (run / "results.json").write_text(json.dumps(document))
    table = score_table(read_runs(run), metric="acc_char")
    assert [task.label for task in table.tasks] == ["piqa", "piqa, 5-shot"]
    assert {score.text for row in table.scores for score in row} == {"11.1"}


def test_the_caption_is_of_what_is_shown(run: Path) -> None:
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row["n"] = {"sst2": 872, "lambada": 5153}.get(row["task"], 100)
    (run / "results.json").write_text(json.dumps(document))
    runs = read_runs(run)
    assert score_table(runs, tasks=["sst2"]).caption.startswith("Scores on 872 items a task;")
    assert score_table(runs, tasks=["sst2", "lambada"]).caption.startswith("Scores on 872 to 5,153 items a task;")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tasks", "pica"], "unknown task 'pica'\n  nearest: piqa; these runs have "),
        (["--models", "gpt3"], "unknown model 'gpt3'"),
        (["--metric", "bleu"], "unknown metric 'bleu'\n  these runs have acc, acc_greedy"),
        (["--shots", "3"], "no score is left of what was chosen\n  numbers of examples that there are: 0, 5"),
        (["--shots", "x"], "--shots takes numbers"),
        (["--format", "pdf"], "unknown format 'pdf'"),
        (["--interval", "all"], "unknown interval 'all'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(run: Path, in_process: RunCli, words: list[str], says: str) -> None:
    done = in_process("table", run, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_names_keep_beginning_and_end() -> None:
    assert shortened("EleutherAI/pythia-160m-deduped", 18) == "EleutherA…-deduped"
    assert [len(shortened("abcdefgh", n)) for n in (1, 2, 3, 8, 9)] == [1, 2, 3, 8, 8]
    assert [footnote(n) for n in (1, 26, 27, 52, 53)] == ["a", "z", "aa", "az", "ba"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_in:
        made = make(Path(made_in))
        for columns in (80, 120):
            (SCREENS / f"table-{columns}.txt").write_text(screen(made, columns), encoding="utf-8")
            sys.stdout.write(screen(made, columns))
