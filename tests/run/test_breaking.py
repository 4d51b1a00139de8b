"""What breaks, breaks clearly: other people's code, wrong types, damaged files, the terminal, leaks."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpteval.cli import _run
from gpteval.core.errors import ItemError, OutputError
from gpteval.core.types import Choice, Generate, Rolling
from gpteval.report import build_report
from gpteval.store.documents import LONGEST, sample_file
from gpteval.store.journal import Journal
from gpteval.tasks.registry import task_registry
from tests.breaking import GOOD, Go, folder, go, model, plugin, results  # noqa: F401  (fixtures)


class TestPlugins:
    @pytest.mark.parametrize("end", ["raise SystemExit", "sys.exit(0)", "sys.exit(3)"])
    def test_one_that_ends_the_program_is_reported(
        self, folder: Path, go: Go, capsys: pytest.CaptureFixture[str], end: str
    ) -> None:
        (folder / "t" / "bad.py").write_text(f"import sys\n{end}\n")
        assert go() == 0
        captured = capsys.readouterr()
        assert "plugin not loaded: bad.py, line 2: SystemExit" in captured.err
        assert "good" in captured.out

    @pytest.mark.parametrize(
        ("body", "data"),
        [
            ("sys.exit(0)", "lambda split: [{'n': 1}]"),
            ("return Rolling('x')", "lambda split: sys.exit(0)"),
            ("return Rolling('x')", "lambda split: {}['gone']"),
            ("return Rolling('x')", "lambda split: open('/no/such/file')"),
            ("return Rolling('x')", "lambda split: [int('x')]"),
        ],
    )
    def test_one_that_raises_is_its_tasks_failure(self, folder: Path, go: Go, body: str, data: str) -> None:
        (folder / "t" / "bad.py").write_text(plugin("bad", body, data))
        assert go("bad,good") == 1
        document = results(folder)
        assert [f["task"] for f in document["failures"]] == ["bad"]
        assert {r["task"] for r in document["results"]} == {"good"}

    def test_what_they_print_is_no_part_of_the_document(
        self, folder: Path, go: Go, capsys: pytest.CaptureFixture[str]
    ) -> None:
        body = "print('and here'); return Choice('the dog', [' a', ' b'], 0)"
        (folder / "t" / "loud.py").write_text("print('here')\n" + plugin("loud", body))
        assert go("loud", "--json") == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["results"]
        assert "here\n" in captured.err
        task_registry.cache_clear()
        assert _run(["tasks", "--json", "--task-dir", "t"]) == 0
        assert "loud" in {row["name"] for row in json.loads(capsys.readouterr().out)}

    @pytest.mark.parametrize("name", ["all", "nano", "lm", "mine"])
    def test_a_task_may_not_take_the_name_of_a_group(
        self, folder: Path, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        text = plugin("odd", "return Rolling('x')").replace('metric="acc"', f'metric="acc", name="{name}"')
        (folder / "t" / "odd.py").write_text(text)
        (folder / "t" / "suite.py").write_text(
            plugin("other", "return 1").replace("metric=", 'suites=["mine"], metric=')
        )
        task_registry.cache_clear()
        _run(["tasks", "--task-dir", "t"])
        assert f"odd.py, line 3: a task may not be named '{name}'" in capsys.readouterr().err
        assert name not in task_registry((Path("t"),))

    @pytest.mark.parametrize(
        ("metric", "body"),
        [
            ("bleu", "return Choice('x', [' a', ' b'], 0)"),
            ("acc", "return Generate('x', ['a'])"),
            ("word_perplexity", "return Generate('x', ['a'])"),
        ],
    )
    def test_a_metric_for_other_requests_is_refused_before_scoring(
        self, folder: Path, go: Go, monkeypatch: pytest.MonkeyPatch, metric: str, body: str
    ) -> None:
        (folder / "t" / "bad.py").write_text(plugin("bad", body, metric=metric))
        monkeypatch.setattr("gpteval.engine.engine.Engine.compute", lambda *_: pytest.fail("it was scored"))
        assert go("bad") == 1
        (failure,) = results(folder)["failures"]
        assert f"{metric} cannot score" in failure["error"]

    def test_a_broken_one_in_a_relative_folder_has_its_line(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "t" / "bad.py").write_text("x = 1\n\nx.y\n")
        task_registry.cache_clear()
        _run(["tasks", "--task-dir", "./t"])
        assert "bad.py, line 3: AttributeError" in capsys.readouterr().err


class TestTypes:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Choice("x", [" a", " b"], 1.0), "gold is 1.0, not a whole number"),  # type: ignore[arg-type]
            (lambda: Choice("x", [" a", " b"], "1"), "gold is '1', not a whole number"),  # type: ignore[arg-type]
            (lambda: Choice(3, [" a"], 0), "context is 3, not text"),  # type: ignore[arg-type]
            (lambda: Choice("x", [" a", 4], 0), "continuation 1 is 4, not text"),  # type: ignore[list-item]
            (lambda: Choice("x", [" a"], 0, neutral=5), "neutral is 5, not text"),  # type: ignore[arg-type]
            (lambda: Generate("x", [42]), r"references\[0\] is 42, not text"),  # type: ignore[list-item]
            (lambda: Generate("x", ["a", None]), r"references\[1\] is None, not text"),  # type: ignore[list-item]
            (lambda: Generate("x", 42), "references is 42, not a list"),  # type: ignore[arg-type]
            (lambda: Generate(["x"], ["a"]), r"prompt is \['x'\], not text"),  # type: ignore[arg-type]
            (lambda: Generate("x", ["a"], stop=[1]), r"stop\[0\] is 1, not text"),  # type: ignore[list-item]
            (lambda: Generate("x", ["a"], max_new_tokens=2.5), "max_new_tokens is 2.5"),  # type: ignore[arg-type]
            (lambda: Rolling(b"x"), "text is b'x', not text"),  # type: ignore[arg-type]
            (lambda: Rolling("x", original=1), "original is 1, not text"),  # type: ignore[arg-type]
        ],
    )
    def test_they_are_checked_where_the_request_is_made(self, make: Callable[[], object], message: str) -> None:
        with pytest.raises(ItemError, match=message):
            make()

    def test_a_bool_is_an_index_and_so_is_numpys_number(self) -> None:
        for gold in (True, np.int64(1)):
            assert Choice("x", [" a", " b"], gold).gold == 1  # type: ignore[arg-type]
            assert type(Choice("x", [" a", " b"], gold).gold) is int  # type: ignore[arg-type]

    def test_an_empty_text_among_many_is_left_out(self, folder: Path, go: Go) -> None:
        data = 'lambda split: [{"t": "the dog"}] * 5 + [{"t": ""}]'
        (folder / "t" / "texts.py").write_text(plugin("texts", "return Rolling(item['t'])", data, "bits_per_byte"))
        assert go("texts") == 0
        (row,) = results(folder)["results"]
        assert row["n"] == 5
        assert "1 of 6 rows cannot be posed and are left out" in row["notes"][0]


class TestFiles:
    def test_a_value_with_invalid_bytes_is_computed_again(self, folder: Path, go: Go) -> None:
        assert go("good", "--no-cache") == 0
        before = results(folder)
        with sqlite3.connect("r/journal.sqlite") as db:
            db.execute("UPDATE rows SET value = CAST(X'FFFE' AS TEXT)")
        db.close()
        assert go("good", "--no-cache") == 0
        assert [r["value"] for r in results(folder)["results"]] == [r["value"] for r in before["results"]]

    def test_damage_that_shows_late_sets_the_journal_aside(self, folder: Path, go: Go) -> None:
        assert go("good", "--no-cache") == 0
        warned: list[str] = []
        journal = Journal(Path("r/journal.sqlite"), warned.append)

        class Broken:
            def execute(self, *_: object) -> None:
                raise sqlite3.DatabaseError("database disk image is malformed")

            def close(self) -> None: ...

        real, journal._db = journal._db, Broken()  # type: ignore[assignment]
        real.close()
        assert journal.get([b"x"]) == {}
        journal.close()
        assert "was damaged" in warned[0]
        assert Path("r/journal.sqlite.damaged").exists()

    def test_a_damaged_cache_that_cannot_be_moved_costs_nothing(
        self, folder: Path, go: Go, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cache = folder / "cache"
        cache.mkdir()
        (cache / "outcomes.sqlite").write_bytes(b"garbage" * 1000)
        monkeypatch.setenv("GPTEVAL_CACHE", str(cache))
        replace = Path.replace

        def refuse(self: Path, target: Path) -> Path:
            if self.name == "outcomes.sqlite":
                raise PermissionError(13, "Permission denied")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", refuse)
        assert go() == 0
        assert "going on without the shared cache" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["results.json", "manifest.json"])
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "3",
            '"x"',
            '{"results": 3, "samples": 3}',
            '{"results": [3], "samples": [3]}',
            '{"results": [{"model": 1}], "samples": [{"model": 1}]}',
            '{"results": {"a": 1}, "samples": {}}',
            '{"failures": [1], "models": [1]}',
            '{"run": [], "config": []}',
            '{"results": [{"model": "m", "task": "t", "metric": "acc", "shots": "x"}], "tasks": {"t": 1}}',
            "[" * 100_000,
        ],
    )
    def test_documents_of_another_shape_are_named_and_set_aside(
        self, folder: Path, go: Go, capsys: pytest.CaptureFixture[str], name: str, text: str
    ) -> None:
        assert go() == 0
        whole = results(folder)
        (folder / "r" / name).write_text(text)
        capsys.readouterr()
        code = _run(["report", "r"])
        said = capsys.readouterr().err
        told = code == 1 and name in said and "run the same command again" in said
        assert code == 0 or told or (code == 2 and "these runs have no results" in said)
        if name == "manifest.json":
            assert _run(["samples", "r", "--model", "tiny", "--task", "good"]) in (1, 2)
        assert go() == 0, "the hint says so"
        assert (folder / "r" / f"{name}.damaged").exists()
        assert results(folder)["results"] == whole["results"]
        assert _run(["report", "r"]) == 0

    def test_settings_are_known_when_one_document_is_damaged(
        self, folder: Path, go: Go, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert go() == 0
        (folder / "r" / "manifest.json").write_text("{")
        capsys.readouterr()
        assert go("good", "--seed", "1") == 2
        assert "holds a run with seed=0; this command has seed=1" in capsys.readouterr().err

    def test_garbled_samples_never_give_a_traceback(self, folder: Path, go: Go) -> None:
        assert go() == 0
        (path,) = (folder / "r" / "samples").iterdir()
        data = path.read_bytes()
        rng = random.Random(0)
        for _ in range(25):
            garbled = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                garbled[rng.randrange(len(data))] = rng.randrange(256)
            path.write_bytes(bytes(garbled))
            assert _run(["samples", "r", "--model", "tiny", "--task", "good"]) in (0, 1)
            assert _run(["report", "r"]) in (0, 1)

    def test_long_names_get_short_files(self, folder: Path, go: Go, model: Path) -> None:
        long = "n" * 230
        (folder / "t" / "long.py").write_text(GOOD.replace('metric="acc"', f'metric="acc", name="{long}"'))
        assert go(long) == 0
        assert [f.name for f in (folder / "r" / "samples").iterdir()] == [Path(sample_file("tiny", long, 0)).name]
        others = {sample_file("m" * 300, "t" * n, 10**6) for n in range(200, 320)}
        assert len(others) == 120
        assert max(len(Path(f).name) for f in others) < 2 * LONGEST + 30 < 255

    def test_pretraining_writes_into_a_folder_of_its_own_only(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "mine").mkdir()
        (folder / "mine" / "README.md").write_text("my notes")
        assert _run(["pretrain", "--recipe", "gpt2-nano", "--out", "mine", "--steps", "1"]) == 2
        assert "holds files that are not of a training" in capsys.readouterr().err
        assert [f.name for f in (folder / "mine").iterdir()] == ["README.md"]

    def test_a_failure_stays_until_its_task_is_done(self, folder: Path, go: Go) -> None:
        (folder / "t" / "bad.py").write_text(plugin("bad", "return 1"))
        assert go("bad,good") == 1
        assert go("good") == 0
        (failure,) = results(folder)["failures"]
        assert failure["task"] == "bad"
        (folder / "t" / "bad.py").write_text(plugin("bad", "return Choice('the dog', [' a', ' b'], 0)"))
        assert go("bad") == 0
        assert results(folder)["failures"] == []

    @pytest.mark.parametrize("kind", ["full", "folder"])
    def test_no_half_report_is_left(self, folder: Path, go: Go, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        assert go() == 0
        if kind == "folder":
            (folder / "out.html").mkdir()
        else:

            def full(self: Path, *_: object, **__: object) -> int:
                self.touch()
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError):
            build_report([folder / "r"], folder / "out.html")
        assert not list(folder.glob("*.partial"))
