"""Groups of tasks: their number is that of their items, their interval comes from these, and they stand for parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import matthews_corrcoef

from gpteval.comparison.compare import compare
from gpteval.core.errors import TaskError
from gpteval.core.outcomes import Rolled
from gpteval.core.types import Rolling
from gpteval.metrics.benchmarks import GLUE_SCORE, SUPERGLUE_SCORE
from gpteval.report import build_report
from gpteval.report.leaderboard import leaderboard
from gpteval.run.benchmark_results import add_groups
from gpteval.run.evaluate import evaluate
from gpteval.store.folder import ResultTable, RunFolder
from gpteval.store.runs import read_runs
from gpteval.tasks.groups import GROUPS
from gpteval.tasks.registry import task_registry, task_suites
from tests.conftest import RunCli
from tests.made_runs import make_run, scores
from tests.tiny import save_tiny

SIZES = {task: 40 + 60 * n for n, task in enumerate(SUPERGLUE_SCORE.parts)}


def grouped(run: Path, name: str, model: str = "m") -> tuple[list[Any], list[str]]:
    """The results that the group ``name`` adds to a run's folder, and the warnings."""
    tasks = [task.name for task in task_suites(task_registry())[name]]
    table = ResultTable(json.loads((run / "results.json").read_text()))
    manifest = json.loads((run / "manifest.json").read_text())
    folder, warnings = RunFolder(run), list[str]()
    try:
        places = {"folder": folder, "table": table, "manifest": manifest}
        found = add_groups(model, {name: tasks}, **places, published=lambda *_: None, warn=warnings.append)  # type: ignore[arg-type]
        folder.write_json("results.json", table.document({}))
        folder.write_json("manifest.json", manifest)
    finally:
        folder.close()
    return found, warnings


def answers(seed: int, right: float = 0.7) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    return {task: (random.random(size) < right).astype(float) for task, size in SIZES.items()}


def test_a_mean_over_tasks_has_the_error_that_its_items_give(tmp_path: Path) -> None:
    right = answers(1)
    run = make_run(tmp_path / "run", {("m", task): scores(values) for task, values in right.items()})
    ((result,), _) = grouped(run, "superglue")
    assert result.value == pytest.approx(np.mean([values.mean() for values in right.values()]))
    expected = np.sqrt(sum(values.var() / len(values) for values in right.values())) / len(right)
    assert result.stderr == pytest.approx(expected, rel=0.08), "1,000 draws"
    assert result.ci_low < result.value < result.ci_high
    assert result.ci_high - result.ci_low == pytest.approx(2 * 1.96 * expected, rel=0.12)
    assert (result.n, result.metric, result.chance) == (sum(SIZES.values()), "superglue_score", None)


def test_glue_counts_mnli_once_and_cola_by_its_correlation(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    made: dict[tuple[str, str], Any] = {}
    for task in GLUE_SCORE.parts:
        made["m", task] = scores((random.random(60) < 0.6).astype(float))
    true, said = random.integers(0, 2, 80), random.integers(0, 2, 80)
    said[:40] = true[:40]
    eye = np.eye(2)
    made["m", "cola"] = [(*(eye[t] * (t == s)), *eye[s], *eye[t]) for t, s in zip(true, said, strict=True)]
    run = make_run(tmp_path / "run", made, metrics={"cola": "mcc"})
    ((result,), _) = grouped(run, "glue")
    accuracy = {task: np.mean(made["m", task], axis=0)[0] for task in GLUE_SCORE.parts}
    parts = [accuracy[task] for task in ("sst2", "mrpc", "qqp", "qnli", "rte", "wnli")]
    parts += [matthews_corrcoef(true, said), (accuracy["mnli"] + accuracy["mnli_mismatched"]) / 2]
    assert result.value == pytest.approx(np.mean(parts))


def test_parts_are_one_benchmark_with_the_interval_of_all_its_items(tmp_path: Path) -> None:
    tasks = [task.name for task in task_suites(task_registry())["mmlu"]]
    random = np.random.default_rng(3)
    right = {task: (random.random(5 + n) < 0.4).astype(float) for n, task in enumerate(tasks)}
    run = make_run(tmp_path / "run", {("m", t): scores(v) for t, v in right.items()}, chance=dict.fromkeys(tasks, 0.25))
    ((result,), _) = grouped(run, "mmlu")
    every = np.concatenate(list(right.values()))
    assert (result.n, result.value, result.chance) == (len(every), pytest.approx(every.mean()), 0.25)
    exact = binomtest(int(every.sum()), len(every)).proportion_ci(method="exact")
    assert (result.ci_low, result.ci_high) == pytest.approx((exact.low, exact.high))
    rows = json.loads((run / "results.json").read_text())["results"]
    assert {row["part_of"] for row in rows if row["task"] in tasks} == {"mmlu"}
    board = leaderboard(read_runs([run]).merged)
    assert [column.task for column in board.columns] == ["mmlu"], "one column, not 57"
    assert board.models[0].tasks == 1, "and one task in the mean of centred scores"


def test_questions_of_one_passage_stay_together(tmp_path: Path) -> None:
    right = answers(4) | {"multirc": np.repeat([0.0, 1.0], 80)}
    made = {("m", task): scores(values) for task, values in right.items()}
    passages = {"multirc": [f"passage {n // 20}" for n in range(160)]}
    alone, _ = grouped(make_run(tmp_path / "alone", made), "superglue")
    together, _ = grouped(make_run(tmp_path / "together", made, clusters=passages), "superglue")
    assert together[0].value == pytest.approx(alone[0].value)
    assert together[0].stderr > 1.5 * alone[0].stderr
    assert "clusters" in together[0].interval


def test_two_models_are_compared_on_the_groups_items(tmp_path: Path) -> None:
    weak, strong = answers(5, 0.5), answers(5, 0.75)
    made = {(m, t): scores(v) for m, of in (("m", weak), ("n", strong)) for t, v in of.items()}
    run = make_run(tmp_path / "run", made)
    for model in ("m", "n"):
        grouped(run, "superglue", model)
    pairs = {pair.task: pair for pair in compare(run, draws=1000).pairs}
    figure = pairs["superglue"].figure
    assert figure.n == sum(SIZES.values())
    sides = [np.mean([values.mean() for values in of.values()]) for of in (weak, strong)]
    assert sorted([figure.value_a, figure.value_b]) == pytest.approx(sides)
    spread = [np.var(strong[t] - weak[t]) / len(strong[t]) for t in SIZES]
    assert figure.stderr == pytest.approx(np.sqrt(sum(spread)) / len(SIZES), rel=0.1), "paired"
    assert compare(run, draws=1000).overall[0].figure.value_a == pytest.approx(
        compare(make_run(tmp_path / "without", made, chance={}), draws=1000).overall[0].figure.value_a
    ), "a mean of tasks that are counted already does not count again"


def test_a_group_that_lacks_a_task_has_no_number(tmp_path: Path) -> None:
    made = {("m", task): scores(values) for task, values in answers(6).items() if task != "wic"}
    assert grouped(make_run(tmp_path / "run", made), "superglue") == ([], [])


def test_a_model_with_some_of_the_parts_is_shown_with_them(tmp_path: Path) -> None:
    tasks = [task.name for task in task_suites(task_registry())["unscramble"]]
    made: dict[tuple[str, str], Any] = {("whole", task): scores([1.0, 0.0]) for task in tasks}
    made["some", tasks[0]] = scores([1.0, 1.0])
    run = make_run(tmp_path / "run", made, metrics=dict.fromkeys(tasks, "exact_match"))
    grouped(run, "unscramble", "whole")
    build_report([run], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    table = page[page.index("Its 5 parts") :]
    table = table[: table.index("</table>")]
    assert "<bdi>some</bdi>" in table
    assert "100.0" in table


def test_a_groups_metric_scores_no_task_by_itself() -> None:
    with pytest.raises(TaskError, match="made of several tasks' statistics"):
        GLUE_SCORE.stats(Rolling("x"), Rolled(0.0, 1, 0))


def test_samples_that_are_gone_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", task): scores(values) for task, values in answers(7).items()})
    next((run / "samples").glob("*wic*")).unlink()
    found, (warning,) = grouped(run, "superglue")
    assert found == []
    assert "m has no result for superglue" in warning
    assert "wic" in warning


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_made_of_the_tasks_that_their_suite_has(name: str) -> None:
    tasks = task_suites(task_registry())[name]
    mean = {"glue": GLUE_SCORE, "superglue": SUPERGLUE_SCORE}.get(name)
    if mean is None:
        assert len({task.metric for task in tasks}) == 1
    else:
        assert {task.name for task in tasks} == set(mean.parts)
        assert all(mean.parts[task.name].metric.name == task.metric for task in tasks)


def test_a_run_adds_the_group_once_all_parts_are_there(tmp_path: Path, run_cli: RunCli) -> None:
    tiny = str(save_tiny(tmp_path / "tiny", "gpt2"))
    parts = [task.name for task in task_suites(task_registry())["arithmetic"]]
    first = evaluate(tiny, parts[:4], limit=4, out=tmp_path / "run")
    assert "arithmetic" not in {result.task for result in first.results}
    rest = evaluate(tiny, parts[4:], limit=4, out=tmp_path / "run")
    assert rest.results[-1].task == "arithmetic"
    assert rest.results[-1].n == 40
    written = (tmp_path / "run" / "results.json").read_bytes()
    again = evaluate(tiny, "arithmetic", limit=4, out=tmp_path / "run")
    assert again.results[-1] == rest.results[-1]
    assert (tmp_path / "run" / "results.json").read_bytes() == written
    done = run_cli("report", tmp_path / "run", "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert 'id="task=arithmetic-0"' in page
    assert "Its 10 parts" in page
    assert 'id="task=arithmetic_2da-0"' not in page
