"""Runs: results, resuming, caching, failures. On random models and task files made here."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpteval.cli import _run
from gpteval.core.errors import OutputError, StoreError, UnknownNameError, UsageError
from gpteval.engine.engine import Engine
from gpteval.run.api import evaluate
from gpteval.run.config import RunConfig
from gpteval.run.journal import Journal
from gpteval.run.runner import execute
from tests.tiny import save_tiny

TASKS = '''
from pathlib import Path
from gpteval import Choice, Generate, Rolling, file, task

HERE = Path(__file__).parent

@task(family="classification", source=file(HERE / "rows.jsonl"), metric="acc", metrics=["macro_f1"])
def colours(item):
    """Which word comes next."""
    return Choice(f"{item['text']} is", [" red", " blue sky", " green"], gold=item["label"])

@task(family="lm", source=file(HERE / "rows.jsonl"), metric="bits_per_byte")
def texts(item):
    return Rolling(item["text"])

@task(family="translation", source=file(HERE / "rows.jsonl"), metric="bleu", metrics=["chrf"])
def copies(item):
    return Generate(f"{item['text']}\\nCopy:", [item["text"]], max_new_tokens=6)

@task(family="qa", source=file(HERE / "missing.jsonl"), metric="exact_match")
def missing(item):
    return Generate(item["text"], ["x"])

@task(family="qa", source=file(HERE / "rows.jsonl"), metric="exact_match")
def wrong_column(item):
    return Generate(item["no such column"], ["x"])

@task(family="qa", source=file(HERE / "empty.jsonl"), metric="exact_match")
def empty_data(item):
    return Generate(item["text"], ["x"])
'''
GOOD = ("colours", "texts", "copies")


@pytest.fixture(scope="module")
def task_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "things.py").write_text(TASKS)
    rows = [{"text": f"The quick dog number {n} jumps over {n % 7} lazy foxes", "label": n % 3} for n in range(40)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "empty.jsonl").write_text("\n")
    return folder


@pytest.fixture(scope="module")
def model_a(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("m") / "model-a", "gpt2", seed=1))


@pytest.fixture(scope="module")
def model_b(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("m") / "model-b", "gpt2", seed=2))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))


def run(models: list[str], tasks: tuple[str, ...], out: Path, task_dir: Path, **settings: Any) -> dict[str, Any]:
    evaluate(models, tasks, out=out, device="cpu", task_dirs=(task_dir,), **settings)
    document: dict[str, Any] = json.loads((out / "results.json").read_text())
    return document


def without_timings(document: dict[str, Any]) -> dict[str, Any]:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in document["results"]]
    return document | {"results": rows, "run": document["run"] | {"name": ""}}


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows in each batch that went through a model."""
    counted: list[int] = []
    begin = Engine.begin

    def count(self: Engine, rows: Any) -> Any:
        counted.append(len(rows))
        return begin(self, rows)

    monkeypatch.setattr(Engine, "begin", count)
    return counted


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
    with pytest.raises(OutputError, match="limit=10.*limit=20"):
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


def test_out_of_memory_halves_the_batch_and_goes_on(
    model_a: str, task_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    calm = run([model_a], GOOD, tmp_path / "calm", task_dir, cache=False)
    begin, sizes = Engine.begin, []

    def small_memory(self: Engine, rows: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return begin(self, rows)

    monkeypatch.setattr(Engine, "begin", small_memory)
    tight = run([model_a], GOOD, tmp_path / "tight", task_dir, cache=False)
    assert max(sizes) > 4
    for a, b in zip(calm["results"], tight["results"], strict=True):
        assert a["value"] == pytest.approx(b["value"], abs=1e-5)
    monkeypatch.setattr(Engine, "begin", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory")))
    document = run([model_a], ("texts",), tmp_path / "none", task_dir, cache=False)
    assert "out of memory on a single row" in document["failures"][0]["error"]


def test_odd_texts_go_through(model_a: str, tmp_path: Path) -> None:
    """Empty answers, control characters, lone surrogates, right-to-left text, a very long line."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    odd = [
        "\\ud83d alone",
        "nul \\u0000 here",
        "\\u202eright to left",
        "x" * 50_000,
        "<script>alert(1)</script>",
        "早安 ☃",
    ]
    (folder / "rows.jsonl").write_text("\n".join(f'{{"text": "{text}"}}' for text in odd))
    (folder / "t.py").write_text(
        "from pathlib import Path\nfrom gpteval import Choice, Generate, Rolling, file, task\n"
        'rows = file(Path(__file__).parent / "rows.jsonl")\n'
        '@task(family="lm", source=rows, metric="bits_per_byte")\n'
        'def odd_texts(item): return Rolling(item["text"])\n'
        '@task(family="qa", source=rows, metric="acc_byte")\n'
        'def odd_choices(item): return Choice(item["text"], [" a", " " + item["text"][:9]], gold=0)\n'
        '@task(family="translation", source=rows, metric="bleu", metrics=["f1", "rouge1"])\n'
        'def odd_answers(item): return Generate(item["text"], [item["text"], ""], max_new_tokens=3)\n'
    )
    document = run([model_a], ("odd_texts", "odd_choices", "odd_answers"), tmp_path / "run", folder)
    assert document["failures"] == []
    assert {r["coverage"] for r in document["results"]} == {1.0}


class TestDamage:
    def test_a_damaged_journal_is_set_aside(self, model_a: str, task_dir: Path, tmp_path: Path) -> None:
        first = run([model_a], ("texts",), tmp_path / "run", task_dir, cache=False)
        journal = tmp_path / "run" / "journal.sqlite"
        journal.write_bytes(b"this is no database at all" * 100)
        again = run([model_a], ("texts",), tmp_path / "run", task_dir, cache=False)
        assert without_timings(again) == without_timings(first)
        assert (tmp_path / "run" / "journal.sqlite.damaged").exists()

    def test_a_damaged_cache_costs_time_only(self, model_a: str, task_dir: Path, tmp_path: Path) -> None:
        first = run([model_a], ("texts",), tmp_path / "run", task_dir)
        cache = tmp_path / "cache" / "outcomes.sqlite"
        cache.write_bytes(b"garbage" * 1000)
        again = run([model_a], ("texts",), tmp_path / "other", task_dir)
        assert without_timings(again) == without_timings(first)

    def test_an_unreadable_value_is_computed_again(
        self, model_a: str, task_dir: Path, tmp_path: Path, forwards: list[int]
    ) -> None:
        first = run([model_a], ("texts",), tmp_path / "run", task_dir, cache=False)
        db = sqlite3.connect(tmp_path / "run" / "journal.sqlite")
        with db:
            db.execute("UPDATE rows SET value = 'no json' WHERE key = (SELECT key FROM rows LIMIT 1)")
        db.close()
        forwards.clear()
        again = run([model_a], ("texts",), tmp_path / "run", task_dir, cache=False)
        assert forwards == [1]
        assert again["results"][0]["value"] == pytest.approx(first["results"][0]["value"], rel=1e-6)

    def test_unreadable_results_are_kept_and_made_anew(self, model_a: str, task_dir: Path, tmp_path: Path) -> None:
        first = run([model_a], ("texts",), tmp_path / "run", task_dir)
        (tmp_path / "run" / "results.json").write_text('{"results": [')
        again = run([model_a], ("texts",), tmp_path / "run", task_dir)
        assert again["results"] == first["results"]
        assert (tmp_path / "run" / "results.json.damaged").read_text() == '{"results": ['

    def test_a_full_disk_stops_the_run_and_says_how_to_go_on(
        self, model_a: str, task_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put = Journal.put

        def full(self: Journal, results: Any) -> None:
            self._db.execute("PRAGMA max_page_count = 1")  # SQLite's own way to have no more space
            put(self, results)

        monkeypatch.setattr(Journal, "put", full)
        with pytest.raises(StoreError, match="full(.|\n)*run the same command again"):
            run([model_a], GOOD, tmp_path / "run", task_dir)
        monkeypatch.undo()
        assert len(run([model_a], GOOD, tmp_path / "run", task_dir)["results"]) == 5

    def test_an_output_path_that_is_a_file_is_refused(self, model_a: str, task_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/gpteval")):
            with pytest.raises(OutputError, match="cannot write to the output folder"):
                run([model_a], ("texts",), out, task_dir)
        assert (tmp_path / "file").read_text() == "mine"

    def test_two_runs_on_one_folder_are_refused(self, model_a: str, task_dir: Path, tmp_path: Path) -> None:
        from gpteval.run.folder import RunFolder

        held = RunFolder(tmp_path / "run")
        with pytest.raises(OutputError, match="another run"):
            run([model_a], ("texts",), tmp_path / "run", task_dir)
        held.close()
        run([model_a], ("texts",), tmp_path / "run", task_dir)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, "--limit"),
        ({"shots": (-1,)}, "--shots"),
        ({"stride": 0}, "--stride"),
        ({"profile": "helm"}, "profile"),
        ({"shots_mode": "both"}, "--shots-mode"),
        ({"models": ()}, "no models"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RunConfig(**({"models": ("nano",), "tasks": ("all",)} | settings))


def journalled(path: Path) -> dict[bytes, str]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        return dict(db.execute("SELECT key, value FROM rows"))
    except sqlite3.OperationalError:  # not created yet
        return {}
    finally:
        db.close()


def killable(model: str, task_dir: Path, out: Path) -> list[str]:
    words = f"run --models {model} --tasks {','.join(GOOD)} --out {out} --task-dir {task_dir}"
    return [*words.split(), "--batch-tokens", "60", "--no-report", "--no-cache"]


@pytest.fixture(scope="module")
def calm(model_a: str, task_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """results.json of the same command, undisturbed."""
    out = tmp_path_factory.mktemp("calm") / "run"
    assert _run(killable(model_a, task_dir, out)) == 0
    document: dict[str, Any] = json.loads((out / "results.json").read_text())
    return document


@pytest.mark.parametrize("rows", [3, 25, 70])
def test_a_killed_run_continues_and_loses_at_most_the_batch_in_flight(
    model_a: str, task_dir: Path, tmp_path: Path, calm: dict[str, Any], rows: int
) -> None:
    """SIGKILL once ``rows`` results are journalled; then the same command again."""
    command = killable(model_a, task_dir, tmp_path / "killed")
    journal = tmp_path / "killed" / "journal.sqlite"
    words = [sys.executable, "-m", "gpteval", *command]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and len(journalled(journal)) >= rows:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    assert process.wait(30) == -signal.SIGKILL, "it must have been killed before it was done"
    survived = journalled(journal)
    assert _run(command) == 0
    after = journalled(journal)
    assert len(survived) >= rows
    assert {key: after[key] for key in survived} == survived, "what had been finished was not computed again"
    killed = json.loads((tmp_path / "killed" / "results.json").read_text())
    for document in (killed, calm):
        document["run"] |= {"command": "", "name": ""}
    assert without_timings(killed) == without_timings(calm)


def test_execute_is_what_evaluate_calls(model_a: str, task_dir: Path, tmp_path: Path) -> None:
    config = RunConfig(models=(model_a,), tasks=("texts",), limit=3, out=tmp_path / "run", task_dirs=(task_dir,))
    outcome = execute(config)
    assert outcome.folder == tmp_path / "run"
    assert [r.metric for r in outcome.results] == ["bits_per_byte"]
    assert outcome.failures == ()
