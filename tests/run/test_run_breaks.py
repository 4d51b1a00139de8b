"""Runs that are killed, damaged, or meet odd texts and settings."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from gpteval.cli import _run
from gpteval.core.errors import OutputError, StoreError, UsageError
from gpteval.engine.engine import Engine
from gpteval.run.config import RunConfig
from gpteval.store.journal import Journal
from tests import forks
from tests.run_tasks import GOOD, forwards, model_a, run, task_dir, without_timings  # noqa: F401  (fixtures)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))


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
    assert "out of memory on a single query" in document["failures"][0]["error"]


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
        from gpteval.store.folder import RunFolder

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


KILLED = """
import os, signal, sys
from gpteval.cli import _run
from gpteval.store.journal import ResultStore
rows, *command = sys.argv[1:]
put, done = ResultStore.put, 0
def counted(self, results):
    global done
    if done >= int(rows):
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, results)
    done += len(results)
ResultStore.put = counted
sys.exit(_run(command))
"""


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
    """SIGKILL once ``rows`` results are journalled and the next are computed; then the same command again."""
    command = killable(model_a, task_dir, tmp_path / "killed")
    journal = tmp_path / "killed" / "journal.sqlite"
    words = [sys.executable, "-c", KILLED, str(rows), *command]
    done = forks.run(words)
    assert done.returncode == -signal.SIGKILL, done.stderr
    survived = journalled(journal)
    assert _run(command) == 0
    after = journalled(journal)
    assert len(survived) >= rows
    assert {key: after[key] for key in survived} == survived, "what had been finished was not computed again"
    killed = json.loads((tmp_path / "killed" / "results.json").read_text())
    for document in (killed, calm):
        document["run"] |= {"command": "", "name": ""}
    assert without_timings(killed) == without_timings(calm)
