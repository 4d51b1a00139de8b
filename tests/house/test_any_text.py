"""Any text anywhere: names of models, tasks and folders, and items, through every command that shows them."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gpteval.cli import _run
from gpteval.report.export import export
from gpteval.tasks.registry import task_registry
from tests.report_runs import items_of
from tests.tiny import save_tiny

ODD = "/\\ab -.,@[](){}<>&'\"`|*_#%$~:;=\x00\x07\x1b\x7f\x85\x9b\u200d\u202e\u2028\ufeff\ud800éß中😀\n\t\r"
texts = st.text(st.sampled_from(ODD), max_size=30) | st.sampled_from(
    ["[red]", "[/x]", "{{ 7 * 7 }}", "</script><b>", "-" * 5, "--help", "é" * 300, "=1+1", "\x1b[2J", "../../x", "nul"]
)
# What a folder of a file system may be called.
names = texts.map(
    lambda t: "".join(c for c in t if c not in "/\x00\ud800")[:80].encode()[:200].decode("utf-8", "ignore")
)
names = names.filter(lambda name: name.strip(" .") not in ("",) and not name.startswith("~"))

TASK = """
import json
from pathlib import Path
from gpteval import Choice, Generate, generated, task
ROWS = json.loads((Path(__file__).parent / "rows.json").read_text())
@task(family="qa", source=generated(lambda split: ROWS["rows"], revision="1"), metric="acc", licence=ROWS["licence"])
def scored(item):
    return Choice("x" + item["a"], [" y" + item["b"], " n"], 0)
@task(family="translation", source=generated(lambda split: ROWS["rows"], revision="1"), metric="bleu")
def written(item):
    return Generate("x" + item["a"], ["y" + item["b"]], stop=["\\n"], max_new_tokens=3)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "tiny", window=2048)


def raw_controls(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"} | set(text) & set(
        "\u202e\u2028"
    )


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain a failure takes minutes
)
@given(name=names, out=names, a=texts, b=texts, licence=texts)
def test_it_is_shown_and_never_obeyed(
    model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    out: str,
    a: str,
    b: str,
    licence: str,
) -> None:
    here = tmp_path_factory.mktemp("any")
    monkeypatch.chdir(here)
    folder, run = here / "models" / name, here / "runs" / out
    shutil.copytree(model, folder)
    (here / "t").mkdir()
    (here / "t" / "odd.py").write_text(TASK)
    (here / "t" / "rows.json").write_text(json.dumps({"rows": [{"a": a, "b": b}] * 3, "licence": licence}))
    task_registry.cache_clear()
    before = {path for path in here.rglob("*") if run not in path.parents}
    relative = f"models/{name}"
    words = ["run", f"--models={relative}", "--tasks=scored,written", "--task-dir=t", f"--out=runs/{out}", "--json"]
    monkeypatch.setattr(sys, "argv", ["gpteval", *words])
    assert _run(words) == 0
    said = capsys.readouterr()
    assert not raw_controls(said.out + said.err)
    document: dict[str, Any] = json.loads(said.out)
    (shown,) = {row["model"] for row in document["results"]}
    for task in ("scored", "written"):
        for more in ([], ["--jsonl"]):
            assert _run(["samples", f"runs/{out}", f"--model={shown}", f"--task={task}", *more]) == 0
        assert _run(["show", task, "--task-dir=t", f"--model={relative}"]) == 0
    assert _run(["report", "--", f"runs/{out}"]) == 0
    said = capsys.readouterr()
    assert not raw_controls(said.out + said.err)
    for kind in ("csv", "md"):
        for full in (False, True):
            assert not raw_controls(export([run], kind, full=full).replace("\r", ""))
    after = {path for path in here.rglob("*") if run not in path.parents and path not in (run, run.parent)}
    assert after == before, "no file outside of the run's folder"
    for path in run.rglob("*"):
        if path.suffix in (".json", ".html"):
            text = path.read_text(encoding="utf-8")
            assert str(here) not in text
            assert path.suffix == ".json" or "</script><b>" not in text
            assert str(here) not in json.dumps(items_of(path))
