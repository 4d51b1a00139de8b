"""What SECURITY.md promises and is not tested where it belongs."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpteval.comparison.compare import compare
from gpteval.comparison.formats import render
from gpteval.core.errors import DataError
from gpteval.data.sources import local_copy
from gpteval.report import build_report
from gpteval.report.export import export
from gpteval.store.documents import LONGEST, sample_file
from tests.conftest import RunCli
from tests.made_runs import make_run, scores

EVIL = "</td><script>alert(1)</script>"
TEX = r"\input{secret}"
FORMULA = "=cmd|'/c calc'!A1"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a/../../b", "x\0y", "con\n", "é" * 500, ""])
def test_file_names_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    path = tmp_path / sample_file(name, name, 0)
    assert path.resolve().parent == (tmp_path / "samples").resolve()
    assert len(path.name) <= 2 * LONGEST + 20
    path.parent.mkdir()
    path.touch()  # a name that the system takes


@pytest.mark.parametrize(
    ("dataset", "config", "split"),
    [("../secret", "default", "test"), ("a/b", "..", "test"), ("a/b", "default", "../test"), ("/etc", "x", "y")],
)
def test_data_sets_stay_in_the_data_folder(
    dataset: str, config: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path))
    with pytest.raises(DataError, match="would leave the data folder"):
        local_copy(dataset, config, split)


def test_samples_are_read_from_the_runs_own_folder(tmp_path: Path, in_process: RunCli) -> None:
    run = make_run(tmp_path / "run", {("gpt2", "piqa"): scores([1, 0])})
    asked = ("samples", run, "--model", "gpt2", "--task", "piqa")
    assert "prompt 0" in in_process(*asked).stdout
    manifest = json.loads((run / "manifest.json").read_text())
    outside = tmp_path / "outside.parquet"
    (run / "samples" / Path(manifest["samples"][0]["file"]).name).rename(outside)
    manifest["samples"][0]["file"] = "../outside.parquet"
    (run / "manifest.json").write_text(json.dumps(manifest))
    done = in_process(*asked)
    assert done.returncode != 0
    assert "prompt 0" not in done.stdout


def test_what_models_and_tasks_are_called_is_no_markup(tmp_path: Path) -> None:
    answers = {(model, task): scores([1, 0, 1]) for model in (EVIL, FORMULA, TEX) for task in (EVIL, "piqa")}
    run = make_run(tmp_path / "run", answers)
    page = build_report([run], tmp_path / "report.html").read_text()
    assert EVIL not in page
    assert html.escape(EVIL) in page
    found = compare([run])
    for text in (export([run], "md"), render(found, "md")):
        assert not re.search(r"(?<!\\)<script", text), "Markdown takes a backslash before it for text"
    for text in (export([run], "csv"), render(found, "csv")):
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert f"'{FORMULA}" in cells
        assert FORMULA not in cells
    latex = render(found, "latex")
    assert r"\input" not in latex
    assert r"\textbackslash{}input" in latex


def test_task_files_of_the_current_folder_do_not_run(tmp_path: Path) -> None:
    for name in ("tasks", "."):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    environment = {key: value for key, value in os.environ.items() if key != "GPTEVAL_TASK_PATH"}
    command = [sys.executable, "-m", "gpteval", "tasks"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    assert not (tmp_path / "ran").exists()
    subprocess.run([*command, "--task-dir", "tasks"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (tmp_path / "ran").exists(), "named, it does"


LISTENING = """
import time
from pathlib import Path
from gpteval.run.executors.ray_actors import _connected

def tree(process):
    yield process
    for child in Path("/proc", process, "task").glob("*/children"):
        for one in child.read_text().split():
            yield from tree(one)

ray = _connected("")
assert ray.get(ray.remote(lambda: 7).remote()) == 7
time.sleep(2)  # for what begins late
links = [link for one in tree("self") for link in Path("/proc", one, "fd").glob("*") if link.is_symlink()]
sockets = {link.readlink().name for link in links}
for table in ("tcp", "tcp6"):
    for line in Path("/proc/net", table).read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and f"socket:[{inode}]" in sockets:
            print(local.partition(":")[0])
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_a_ray_cluster_of_ones_own_listens_on_this_machine_only() -> None:
    pytest.importorskip("ray")
    done = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, timeout=900, check=False)
    addresses = done.stdout.split()
    assert len(addresses) > 3, done.stderr
    assert set(addresses) <= LOOPBACK
