"""Kinds of reports: the model card, and one of a user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import OutputError, UnknownNameError
from gpteval.report import build_report
from tests.conftest import RunCli
from tests.report_runs import HOSTILE, run  # noqa: F401  (fixture)


def test_the_hubs_library_reads_the_card(run: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    text = build_report([run], tmp_path / "card.md", kind="card").read_text(encoding="utf-8")
    front = text.split("---\n")[1]
    rows = [row for row in json.loads((run / "results.json").read_text())["results"] if row["primary"]]
    names = {row["model"] for row in rows if row["value"] is not None}
    one = ModelCard(only(text, front, "gpt2"))
    found = {(result.dataset_name, result.metric_type): result.metric_value for result in one.data.eval_results}
    expected = {
        (row["task"], row["metric"]): row["value"]
        for row in rows
        if row["model"] == "gpt2" and row["value"] is not None
    }
    assert found == expected
    assert all(json.dumps(name, ensure_ascii=False) in front for name in names)


def only(text: str, front: str, model: str) -> str:
    """A card whose metadata have one model: the Hub's library takes no more."""
    entries = front.removeprefix("model-index:\n").split("\n- name: ")
    (own,) = (entry for entry in entries if entry.removeprefix("- name: ").startswith(f'"{model}"\n'))
    return f"---\nmodel-index:\n- name: {own.removeprefix('- name: ')}\n---\n{text.split('---', 2)[2]}"


def test_a_card_shows_hostile_names_as_they_are(run: Path, tmp_path: Path) -> None:
    text = build_report([run], tmp_path / "card.md", kind="card").read_text(encoding="utf-8")
    body = text.split("---\n", 2)[2]
    assert "<script" not in body
    assert "\x1b" not in text
    assert "\u202e" not in text
    tables = [line for line in body.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {7}, "no name makes or breaks a column"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "template.html").write_text(
        "<style>{{ style }}</style><script>{{ script }}</script>"
        "{% for model in board.models %}"
        "<p>{{ model.name }}{% for cell in model.cells %} {{ cell.text }}{% endfor %}</p>\n"
        "{% endfor %}"
    )
    (folder / "a.js").write_text("let first;")
    (folder / "b.js").write_text("let second;")
    return folder


def test_a_kind_of_ones_own(run: Path, mine: Path, in_process: RunCli) -> None:
    done = in_process("report", run, "--kind", mine)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == run / "mine.html"
    page = (run / "mine.html").read_text()
    assert "<style></style><script>let first;\nlet second;</script>" in page
    assert "<p>gpt2 " in page
    assert HOSTILE[:9] not in page.partition("</script>")[2]


def test_an_edited_template_counts_at_once(run: Path, mine: Path) -> None:
    build_report([run], run / "m.html", kind=str(mine))
    (mine / "template.html").write_text("edited, and longer than it was: {{ version }}" * 9)
    assert "edited" in build_report([run], run / "m.html", kind=str(mine)).read_text()


def test_kinds_that_are_not_there(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown report 'crad'") as caught:
        build_report([run], tmp_path / "x.md", kind="crad")
    assert "card" in str(caught.value.hint)
    with pytest.raises(UnknownNameError):
        build_report([run], tmp_path / "x.md", kind=str(tmp_path))


def test_anothers_card_is_left_as_it_is(run: Path, tmp_path: Path, in_process: RunCli) -> None:
    (tmp_path / "README.md").write_text("# mine\n")
    with pytest.raises(OutputError, match="was not made by gpteval"):
        build_report([run], tmp_path / "README.md", kind="card")
    assert (tmp_path / "README.md").read_text() == "# mine\n"
    done = in_process("report", run, "--kind", "card")
    assert done.stdout.strip() == str(run / "card.md")
    assert in_process("report", run, "--kind", "card").returncode == 0, "its own it may write again"


def test_items_are_not_for_tables(run: Path, in_process: RunCli) -> None:
    done: Any = in_process("report", run, "--format", "csv", "--samples-in-report", "5")
    assert done.returncode == 2
    assert "--samples-in-report is for html" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--figures", "f", "--format", "csv"], "--figures stands alone"),
        (["--figures", "f", "--out", "x.html"], "--figures stands alone"),
        (["--kind", "card", "--format", "md"], "--format md has no kinds"),
    ],
)
def test_no_option_is_passed_over_in_silence(run: Path, in_process: RunCli, options: list[str], told: str) -> None:
    done = in_process("report", run, *options)
    assert done.returncode == 2
    assert told in done.stderr
