"""Several runs in one report, odd files, and errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpteval.core.errors import OutputError, StoreError, UnknownNameError, UsageError
from gpteval.report import build_report
from gpteval.report.citation import citation
from gpteval.report.leaderboard import leaderboard
from gpteval.store import runs as store_runs
from gpteval.store.documents import read_document
from gpteval.store.runs import read_runs
from tests.conftest import RunCli
from tests.made_runs import make_run, scores
from tests.report_runs import (
    items_of,
    result,
    rewritten,
    run,  # noqa: F401  (fixtures)
    visible,
)


class TestMerging:
    def test_the_later_run_counts_and_the_page_says_so(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        document["results"] = [r | {"value": 0.99} for r in document["results"] if r["task"] == "sst2"]
        (tmp_path / "results.json").write_text(json.dumps(document))
        both = read_runs([run, tmp_path]).merged
        assert [r["value"] for r in both.rows if r["task"] == "sst2"] == [0.99] * 4
        assert len(both.rows) == 19
        text = visible(build_report([run, tmp_path], tmp_path / "r.html"))
        assert f"4 results were in several runs: those of {tmp_path.name} are shown" in text

    def test_a_failure_that_a_later_run_mended_is_gone(self, run: Path, tmp_path: Path) -> None:
        row = result("neo", "gpt3", 10, "wmt", "translation", "bleu", 5.0)
        (tmp_path / "results.json").write_text(json.dumps({"results": [row]}))
        assert read_runs([run, tmp_path]).merged.failures == ()
        assert [f["task"] for f in read_runs([tmp_path, run]).merged.failures] == ["wmt"]

    def test_other_data_under_the_same_name_is_remarked_on(self, run: Path, tmp_path: Path) -> None:
        folders = []
        for revision in ("a", "b"):
            folder = tmp_path / revision
            folder.mkdir()
            folders.append(rewritten(run, folder, lambda r: False))
            (folder / "manifest.json").write_text(json.dumps({"tasks": {"piqa": {"revision": revision}}}))
        assert "piqa is not the same in these runs: its revision was a and is b" in read_runs(folders).merged.remarks


def test_a_page_reads_each_document_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counted(path: Path, *, members: bool = True) -> dict[str, object]:
        opened.append(path)
        return read_document(path, members=members)

    monkeypatch.setattr(store_runs, "read_document", counted)
    build_report([run, run], tmp_path / "r.html")
    files = [run / name for name in ("results.json", "manifest.json") if (run / name).is_file()]
    assert sorted(opened) == sorted(files * 2)


class TestTolerance:
    def test_a_row_with_three_keys_is_enough(self, tmp_path: Path) -> None:
        rows = [{"model": "m", "task": "t", "metric": "mine", "value": 3}, {"model": "m"}, "no row"]
        (tmp_path / "results.json").write_text(json.dumps({"results": rows}))
        text = visible(build_report([tmp_path], tmp_path / "r.html"))
        assert "3.00" in text
        assert "2 rows of" in text
        assert "no manifest.json" in text

    def test_infinite_values_are_missing_values(self, run: Path, tmp_path: Path) -> None:
        folder = rewritten(run, tmp_path, lambda r: r["task"] == "wikitext2", value=float("inf"), ci_high=float("nan"))
        assert "the value is not finite" in visible(build_report([folder], tmp_path / "r.html"))

    def test_samples_are_found_without_a_manifest(self, run: Path, tmp_path: Path) -> None:
        rewritten(run, tmp_path, lambda r: False)
        (tmp_path / "samples").mkdir()
        source = run / "samples" / "gpt2__piqa.parquet"
        (tmp_path / "samples" / "gpt2__piqa__0shot.parquet").write_bytes(source.read_bytes())
        assert list(read_runs([tmp_path]).merged.samples) == [("piqa", 0)]

    def test_a_manifest_cannot_point_outside_its_run(self, run: Path, tmp_path: Path) -> None:
        rewritten(run, tmp_path, lambda r: False)
        elsewhere = {"model": "gpt2", "task": "piqa", "shots": 0, "file": str(run / "samples" / "gpt2__piqa.parquet")}
        (tmp_path / "manifest.json").write_text(json.dumps({"samples": [elsewhere]}))
        assert read_runs([tmp_path]).merged.samples == {}


class TestErrors:
    def test_a_folder_that_is_no_runs(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no results\.json"):
            build_report([tmp_path], tmp_path / "r.html")

    def test_a_broken_file(self, tmp_path: Path) -> None:
        (tmp_path / "results.json").write_text('{"results": [')
        with pytest.raises(StoreError, match=r"results\.json cannot be read"):
            build_report([tmp_path], tmp_path / "r.html")

    def test_a_broken_samples_file(self, run: Path, tmp_path: Path) -> None:
        for path in run.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / "samples").mkdir()
        (tmp_path / "samples" / "gpt2__piqa.parquet").write_text("no parquet")
        with pytest.raises(StoreError, match=r"gpt2__piqa\.parquet cannot be read"):
            build_report([tmp_path], tmp_path / "r.html")

    def test_an_unknown_kind(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="leaderboard"):
            build_report([run], tmp_path / "r.html", kind="leaderbord")

    def test_a_place_that_cannot_be_written(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write"):
            build_report([run], tmp_path / "file" / "r.html")


def test_numbers_can_be_cited(tmp_path: Path) -> None:
    names = ("gpt2_xl", "50%{nano}")
    run = make_run(tmp_path / "my run", {(name, "piqa"): scores([1.0, 0.0]) for name in names})
    manifest = json.loads((run / "manifest.json").read_text())
    manifest |= {"command": "gpteval run --models a_b", "created": "2026-11-30T08:00:00+00:00", "gpteval": "0.1.0"}
    (run / "manifest.json").write_text(json.dumps(manifest | {"versions": {"torch": "2.13.0", "python": "3.11"}}))
    loaded = read_runs([run]).merged
    entry = citation(loaded, leaderboard(loaded))
    assert entry.splitlines() == [
        "@misc{gpteval-my-run,",
        r"  title        = {Evaluation of 50\%\{nano\} and gpt2\_xl on 1 task},",
        "  year         = {2026},",
        r"  howpublished = {gpteval run --models a\_b},",
        "  note         = {Made with gpteval 0.1.0, torch 2.13.0},",
        "}",
    ]
    assert "To cite these numbers" in build_report([run], run / "r.html").read_text()


def test_what_cannot_be_had_is_no_failure(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(run, folder)
    document = json.loads((folder / "results.json").read_text())
    document["failures"] = [
        {"model": "gpt-4", "task": "lambada", "error": "it tells no log-probabilities", "unavailable": True},
        {"model": "gpt2", "task": "boolq", "error": "the disk is full"},
    ]
    (folder / "results.json").write_text(json.dumps(document))
    page = build_report([folder], folder / "r.html").read_text()
    assert "Not available (1)" in page
    assert "Failures (1)" in page
    away, failed = page.index('id="unavailable"'), page.index('id="failures"')
    assert away < page.index("it tells no log-probabilities", away) < failed < page.index("the disk is full", failed)


def test_nothing_heavy_is_imported(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gpteval.report import build_report\n"
        f"build_report([Path({str(run)!r})], Path({str(tmp_path / 'r.html')!r}))\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_as_many_items_as_are_asked_for(run: Path, tmp_path: Path, in_process: RunCli) -> None:
    for asked, count in (("all", 30), ("7", 7), ("0", 0)):
        out = tmp_path / f"{asked}.html"
        assert in_process("report", run, "--out", out, "--samples-in-report", asked).returncode == 0
        found = items_of(out)
        assert {len(column["items"]) for column in found.values()} == ({count} if count else set())
    done = in_process("report", run, "--out", tmp_path / "x.html", "--samples-in-report", "many")
    assert (done.returncode, "takes a number or all" in done.stderr) == (2, True)
