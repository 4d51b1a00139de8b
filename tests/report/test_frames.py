"""From Python: scores and answers as frames, figures and pages, in a notebook too."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gpteval
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.report.paper_figures import figures_of
from gpteval.run.units import RunOutcome
from tests.conftest import RunCli
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    folder = tmp_path_factory.mktemp("frames")
    models = [str(save_tiny(folder / name, seed=seed)) for seed, name in enumerate(("one", "two"))]
    return gpteval.evaluate(
        models, ["nano_topic", "nano_en_fr"], shots=(0, 1), limit=6, out=folder / "run", device="cpu"
    )


def test_scores_are_what_the_command_prints(made: RunOutcome, in_process: RunCli) -> None:
    frame = gpteval.table(made)
    printed = pd.read_csv(io.StringIO(in_process("table", made.folder, "--format", "csv").stdout))
    assert list(frame.columns) == list(printed.columns)
    assert frame["value"].tolist() == pytest.approx(printed["value"].tolist())
    rows = json.loads((made.folder / "results.json").read_text())["results"]
    own = {(row["model"], row["task"], row["shots"]): row["value"] for row in rows if row["primary"]}
    assert {(row.model, row.task, row.shots): row.value for row in frame.itertuples()} == own
    chosen = gpteval.table([made], tasks="nano_topic", models="two", shots=1, metric="macro_f1")
    assert [(row.model, row.task, row.shots, row.metric) for row in chosen.itertuples()] == [
        ("two", "nano_topic", 1, "macro_f1")
    ]
    with pytest.raises(UnknownNameError, match="unknown model 'three'"):
        gpteval.table(made.folder, models="three")


def test_answers_are_what_the_command_prints(made: RunOutcome, in_process: RunCli) -> None:
    frame = gpteval.samples(made, "one", "nano_topic", shots=0)
    asked = ("samples", made.folder, "--model", "one", "--task", "nano_topic", "--shots", 0, "--json")
    printed = json.loads(in_process(*asked).stdout)
    assert frame["item_id"].tolist() == [row["item_id"] for row in printed]
    assert frame["acc"].tolist() == [row["metrics"]["acc"] for row in printed]
    assert frame["acc"].mean() == pytest.approx(
        gpteval.table(made, tasks="nano_topic", models="one", shots=0)["value"][0]
    )
    with pytest.raises(UsageError, match="several numbers of examples\n  --shots is one of 0, 1"):
        gpteval.samples(made, "one", "nano_topic")


def test_figures_by_name(made: RunOutcome) -> None:
    known = figures_of([made.folder])
    for name, plain in known.items():
        drawn = gpteval.figure(made, name)
        assert len(drawn.data) == len(plain["data"]), name
    with pytest.raises(UnknownNameError, match="unknown figure 'chart'\n  these runs have charts-"):
        gpteval.figure(made, "chart")


def test_a_page_is_shown_and_saved(made: RunOutcome, tmp_path: Path) -> None:
    page = gpteval.page(made, samples=2)
    (shown,) = re.findall(r'^<iframe title="gpteval" style="[^"]*" srcdoc="([^"]*)"></iframe>$', page._repr_html_())
    assert "&lt;title&gt;" in shown
    assert page.save(tmp_path / "page.html").read_text() == page.html


def test_outcomes_stand_for_their_folder_and_show_themselves(made: RunOutcome) -> None:
    comparison = gpteval.compare(made)
    assert len(comparison.pairs) == 4
    assert "nano_topic" in comparison._repr_html_()
    (shown,) = pd.read_html(io.StringIO(made._repr_html_()))
    assert shown["value"].tolist() == pytest.approx(gpteval.table(made)["value"].tolist())


def test_failures_are_shown_as_text(tmp_path: Path) -> None:
    from gpteval.core.outcomes import Failure

    shown = RunOutcome(tmp_path, (), (Failure("m", "t", "<script>", 0, unavailable=False),))._repr_html_()
    assert shown == "<pre>m on t: &lt;script&gt;</pre>"


def test_bars_show_results_tokens_and_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(**settings: Any) -> str:
        gpteval.evaluate("gpt2-nano", ["nano_topic"], limit=4, device="cpu", cache=False, **settings)
        return capsys.readouterr().err

    told = run(out=tmp_path / "a", listener=gpteval.Bars())
    assert "1/1" in told
    assert "gpt2-nano on nano_topic, 0-shot" in told
    assert "1/1" not in run(out=tmp_path / "b")
    monkeypatch.setitem(__import__("sys").modules, "ipykernel", io)
    assert "1/1" in run(out=tmp_path / "c")
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path))
    bars = gpteval.Bars()
    failed = gpteval.evaluate("gpt2-nano", "hellaswag", out=tmp_path / "d", device="cpu", listener=bars)
    assert len(failed.failures) == 1
    assert "gpt2-nano on hellaswag, " in capsys.readouterr().err


def test_what_is_known_is_listed(in_process: RunCli) -> None:
    models = json.loads(in_process("models", "--json").stdout)
    assert set(gpteval.known_models()["name"]) == {one["name"] for one in models}
    tasks = json.loads(in_process("tasks", "--json").stdout)
    assert gpteval.known_tasks().set_index("name")["metric"].to_dict() == {one["name"]: one["metric"] for one in tasks}
