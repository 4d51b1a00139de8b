"""The nano suite's rows are generated once, and what is read is what was generated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpteval.nano import kept_rows as module
from gpteval.nano import world
from gpteval.nano.kept_rows import kept_rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path))
    return tmp_path / "nano"


@pytest.mark.parametrize("kind", world.KINDS)
def test_what_is_read_is_what_was_generated(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generated = json.loads(json.dumps(world.rows(kind, "test", 20)))
    assert kept_rows(kind, "test", 20) == generated
    monkeypatch.setattr(world, "rows", lambda *asked: pytest.fail("generated again"))
    assert kept_rows(kind, "test", 20) == generated


@pytest.mark.parametrize("change", ["", "[]", "{}", '{"digest": 1, "rows": 2}', "altered", "cut", "bytes"])
def test_a_file_that_is_not_as_it_was_written_is_not_used(folder: Path, change: str) -> None:
    right = kept_rows("topic", "test", 20)
    (file,) = folder.iterdir()
    text = file.read_text()
    changed = {"altered": text.replace("News", "news", 1), "cut": text[:-40], "bytes": ""}.get(change, change)
    file.write_bytes(b"\xff\xfe" if change == "bytes" else changed.encode())
    if change == "altered":
        file.write_text(text.replace('"label": 0', '"label": 1'))
    assert kept_rows("topic", "test", 20) == right


def test_other_code_generates_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_rows("topic", "test", 20)
    monkeypatch.setattr(module, "_code", lambda: "0" * 16)
    monkeypatch.setattr(world, "rows", lambda *asked: [{"text": "new"}])
    assert kept_rows("topic", "test", 20) == [{"text": "new"}]


def test_a_cache_that_cannot_be_written_is_gone_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "file"))
    assert kept_rows("topic", "test", 5) == json.loads(json.dumps(world.rows("topic", "test", 5)))
