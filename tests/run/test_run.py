"""Runs: results, resuming, caching, failures. On random models and task files made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpteval.core.errors import OutputError, UnknownNameError
from gpteval.run.config import RunConfig
from gpteval.run.runner import execute
from tests.run_tasks import GOOD, forwards, model_a, run, task_dir, without_timings  # noqa: F401  (fixtures)
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def model_b(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("m") / "model-b", "gpt2", seed=2))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))


def test_results_follow_the_public_contract(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    document = run([model_a], GOOD, tmp_path / "run", task_dir, shots=[0, 2], limit=20)
    assert document["schema"] == 1
    assert document["failures"] == []
    contract = (
        "model generation n_params task family shots protocol profile metric primary higher_is_better value "
        "ci_low ci_high stderr n coverage truncated chance seconds tokens published"
    ).split()
    for row in document["results"]:
        assert set(contract) <= set(row)
        assert row["n"] == 20
        assert row["coverage"] == 1
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["seconds"] > 0
        assert row["generation"] == "gpt2"
    made = [(r["task"], r["shots"], r["metric"]) for r in document["results"] if r["primary"]]
    assert made == [
        ("colours", 0, "acc"),
        ("colours", 2, "acc"),
        ("texts", 0, "bits_per_byte"),  # whole texts take no examples
        ("copies", 0, "bleu"),
        ("copies", 2, "bleu"),
    ]
    assert {r["protocol"] for r in document["results"] if r["shots"] == 2} == {"few_shot"}
    chance = [r["chance"] for r in document["results"] if r["metric"] == "acc"]
    assert chance == pytest.approx([1 / 3, 1 / 3])


def test_nothing_of_the_machine_is_written(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    run([model_a], GOOD, tmp_path / "run", task_dir, limit=5, command=f"gpteval run --models {Path(model_a).name}")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for secret in (str(tmp_path), str(Path.home()), str(task_dir), model_a):
                assert secret.encode() not in data, f"{path.name} holds {secret}"


def test_the_same_command_twice_computes_nothing_again(
    model_a: str, task_dir: Path, tmp_path: Path, forwards: list[int]
) -> None:
    first = run([model_a], GOOD, tmp_path / "run", task_dir)
    assert forwards
    forwards.clear()
    assert run([model_a], GOOD, tmp_path / "run", task_dir) == first, "to the last digit, costs included"
    assert forwards == []
    elsewhere = run([model_a], GOOD, tmp_path / "other", task_dir)
    assert forwards == [], "the shared cache serves other folders"
    assert without_timings(elsewhere) == without_timings(first)
    run([model_a], GOOD, tmp_path / "third", task_dir, cache=False)
    assert forwards


def test_another_model_never_reads_the_first_ones_outcomes(
    model_a: str, model_b: str, task_dir: Path, tmp_path: Path
) -> None:
    alone = run([model_b], GOOD, tmp_path / "alone", task_dir, cache=False)
    run([model_a], GOOD, tmp_path / "both", task_dir)
    both = run([model_b], GOOD, tmp_path / "both", task_dir)
    of_b = [r for r in without_timings(both)["results"] if r["model"] == "model-b"]
    assert of_b == without_timings(alone)["results"]
    of_a = [r for r in both["results"] if r["model"] == "model-a"]
    assert [r["value"] for r in of_a] != [r["value"] for r in of_b]


def test_changed_weights_under_the_same_name_are_another_model(
    task_dir: Path, tmp_path: Path, forwards: list[int]
) -> None:
    folder = save_tiny(tmp_path / "model", seed=1)
    first = run([str(folder)], ("texts",), tmp_path / "run", task_dir)
    save_tiny(folder, seed=2)
    forwards.clear()
    second = run([str(folder)], ("texts",), tmp_path / "run", task_dir)
    assert forwards
    assert first["results"][0]["value"] != second["results"][0]["value"]
    assert len(second["results"]) == 1


def test_a_folder_takes_more_tasks_but_no_other_settings(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    run([model_a], ("colours",), tmp_path / "run", task_dir, limit=10)
    both = run([model_a], ("texts",), tmp_path / "run", task_dir, limit=10)
    assert {r["task"] for r in both["results"]} == {"colours", "texts"}
    with pytest.raises(OutputError, match="limit=10.*limit=5"):
        run([model_a], ("texts",), tmp_path / "run", task_dir, limit=5)
    with pytest.raises(OutputError, match="fewer items a task, which this command would not make again: model-a"):
        run([model_a], ("texts",), tmp_path / "run", task_dir, limit=20)


def test_failures_leave_the_others_standing(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    names = ("colours", "missing", "texts", "wrong_column", "empty_data")
    document = run([model_a], names, tmp_path / "run", task_dir, limit=5)
    assert {r["task"] for r in document["results"]} == {"colours", "texts"}
    errors = {f["task"]: f["error"] for f in document["failures"]}
    assert set(errors) == {"missing", "wrong_column", "empty_data"}
    assert "missing.jsonl" in errors["missing"]
    assert "'no such column'" in errors["wrong_column"]
    assert "'text', 'label'" in errors["wrong_column"]
    assert "holds no rows" in errors["empty_data"]
    assert all(f["model"] == "model-a" for f in document["failures"])


def test_a_model_that_cannot_load_fails_alone(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{not json")
    document = run([str(broken), model_a], ("texts",), tmp_path / "run", task_dir, limit=5)
    assert [r["model"] for r in document["results"]] == ["model-a"]
    assert [(f["model"], f["task"]) for f in document["failures"]] == [("broken", "texts")]


def test_unknown_names_are_refused_before_any_work(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    for models, tasks in (([model_a, "gpt-2-xl"], ("texts",)), ([model_a], ("text",))):
        with pytest.raises(UnknownNameError) as caught:
            run(models, tasks, tmp_path / "run", task_dir)
        assert {"gpt2-xl", "texts"} & set(caught.value.near)
    assert not (tmp_path / "run").exists()


def test_k_larger_than_the_pool_is_a_clear_failure(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    document = run([model_a], ("colours",), tmp_path / "run", task_dir, shots=[40])
    assert "40 examples asked for, but only 39" in document["failures"][0]["error"]


@pytest.mark.parametrize("weights", ["nan", "inf"])
def test_a_model_that_gives_nan_is_a_failure_that_says_so(task_dir: Path, tmp_path: Path, weights: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = save_tiny(tmp_path / "model")
    module = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        module.transformer.ln_f.weight.fill_(float(weights))
    module.save_pretrained(folder)
    document = run([str(folder)], GOOD, tmp_path / "run", task_dir, limit=4)
    assert document["results"] == []
    assert len(document["failures"]) == 3
    assert all("not finite" in f["error"] for f in document["failures"])


def test_one_bad_item_counts_as_wrong_and_lowers_the_coverage(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"text": "The dog", "label": 0, "long": ""} for _ in range(9)]
    rows.append({"text": "The fox", "label": 0, "long": " word" * 200})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "t.py").write_text(
        "from pathlib import Path\nfrom gpteval import Choice, file, task\n"
        '@task(family="qa", source=file(Path(__file__).parent / "rows.jsonl"), metric="acc")\n'
        "def uneven(item):\n"
        '    return Choice(item["text"], [" a" + item["long"], " b"], gold=item["label"])\n'
    )
    (row,) = run([model_a], ("uneven",), tmp_path / "run", folder)["results"]
    assert row["coverage"] == pytest.approx(0.9)
    assert row["value"] in (0.0, 0.9), "nine equal items agree; the failed one is wrong"
    assert any("longer than the window" in note for note in row["notes"])


def test_execute_is_what_evaluate_calls(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    config = RunConfig(models=(model_a,), tasks=("texts",), limit=3, out=tmp_path / "run", task_dirs=(task_dir,))
    outcome = execute(config)
    assert outcome.folder == tmp_path / "run"
    assert [r.metric for r in outcome.results] == ["bits_per_byte"]
    assert outcome.failures == ()
