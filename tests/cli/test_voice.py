"""How a command tells of its work: to people, to programs, or hardly at all."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from gpteval.cli import voice
from gpteval.cli.app import program
from tests.conftest import RunCli
from tests.nanogpt import GPT, save_nanogpt
from tests.tiny import save_tiny
from tests.tuning import write_tasks


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def _asked(model: Path, out: Path, tasks: str = "nano_topic,nano_en_fr") -> list[object]:
    return ["run", "--models", model, "--tasks", tasks, "--limit", 4, "--out", out, "--no-report"]


def _events(stderr: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.splitlines()]


def test_progress_as_json_is_an_object_a_line_and_nothing_else(model: Path, tmp_path: Path, in_process: RunCli) -> None:
    for ended in ("done", "nothing to do"):
        done = in_process(*_asked(model, tmp_path / "r"), "--progress", "json")
        assert (done.returncode, done.stdout) == (0, "")
        events = _events(done.stderr)
        rows = json.loads((tmp_path / "r" / "results.json").read_text())["results"]
        told = [(e["model"], e["task"], e["shots"], e["metric"], e["value"]) for e in events if e["event"] == "result"]
        keys = ("model", "task", "shots", "metric", "value")
        assert told == [tuple(row[key] for key in keys) for row in rows if row["primary"]]
        assert all(event["text"] for event in events)
        assert [event["event"] for event in events][-2:] == ["done", "results"]
        assert ("began" in [event["event"] for event in events]) == (ended == "done")


def test_failures_and_errors_are_events_too(model: Path, tmp_path: Path, in_process: RunCli) -> None:
    (tmp_path / "tasks").mkdir()
    write_tasks(tmp_path / "tasks")
    (tmp_path / "tasks" / "test.jsonl").unlink()
    asked = [*_asked(model, tmp_path / "r", "fox"), "--task-dir", tmp_path / "tasks", "--progress", "json"]
    failed = in_process(*asked)
    assert failed.returncode == 1
    (failure,) = [event for event in _events(failed.stderr) if event["event"] == "failure"]
    assert "test.jsonl" in failure["error"]
    refused = in_process(*_asked(model, tmp_path / "r", "foxes"), "--progress", "json")
    (error,) = _events(refused.stderr)
    assert (error["event"], error["exit_code"], refused.returncode) == ("error", 2, 2)
    assert error["message"] == "unknown task 'foxes'"


def test_quiet_tells_of_what_went_wrong_alone(model: Path, tmp_path: Path, in_process: RunCli) -> None:
    for _ in range(2):  # the second time there is nothing to do
        done = in_process(*_asked(model, tmp_path / "r"), "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    document = in_process(*_asked(model, tmp_path / "r"), "-q", "--json")
    assert json.loads(document.stdout) == json.loads((tmp_path / "r" / "results.json").read_text())
    refused = in_process(*_asked(model, tmp_path / "r", "foxes"), "--quiet")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (2, "error: unknown task 'foxes'")


@pytest.mark.parametrize("form", [["--progress", "xml"], ["--progress", "json", "--quiet"]])
def test_how_it_tells_is_one_of_three(form: list[str], model: Path, tmp_path: Path, in_process: RunCli) -> None:
    refused = in_process(*_asked(model, tmp_path / "r"), *form)
    assert refused.returncode == 2
    assert "--progress" in refused.stderr
    assert not (tmp_path / "r").exists()


def test_every_command_has_a_document() -> None:
    options = {
        name: {flag for one in command.params for flag in one.opts} for name, command in program.commands.items()
    }
    assert {name for name, flags in options.items() if "--json" not in flags} == set()


def test_documents_of_commands_that_make_something(model: Path, tmp_path: Path, in_process: RunCli) -> None:
    """One document and nothing else on stdout."""

    def document(*words: object) -> Any:
        done = in_process(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    tasks = write_tasks(tmp_path)
    tuned = document(
        *("finetune", "--model", model, "--task", "fox", "--task-dir", tasks, "--examples", 20, "--epochs", 1),
        *("--out", tmp_path / "tuned"),
    )
    assert (tuned["folder"], tuned["method"], tuned["examples"]) == (str(tmp_path / "tuned"), "full", 20)
    weights = save_nanogpt(tmp_path / "ckpt.pt", GPT(400))
    made = document("convert", weights, tmp_path / "made", "--tokenizer", model)
    assert (Path(made["folder"]), (tmp_path / "made" / "config.json").is_file()) == (tmp_path / "made", True)
    item = document("show", "nano_topic", "--model", model)
    assert item["answers"][item["gold"]].strip() in ("sports", "weather", "business", "music")
    assert len(item["queries"]) == len(item["answers"])
    speed = document("bench", "--model", model, "--items", 4, "--rounds", 1)
    assert speed["workloads"]
    assert in_process(*_asked(model, tmp_path / "r", "nano_topic")).returncode == 0
    locked = document("lock", tmp_path / "r", "--out", tmp_path / "a.lock")
    assert list(locked["tasks"]) == ["nano_topic"]


def test_a_second_of_silence_is_told_and_nothing_after_what_was_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "PATIENCE", 0.05)
    voice.speak()
    kept, over, dropped = voice.Wait("kept"), voice.Wait("over"), voice.Wait("dropped")
    over.over()
    del dropped
    time.sleep(0.3)
    assert capsys.readouterr().err == "kept\n"
    kept.over()


def test_an_event_is_json_whatever_its_numbers_and_texts_are(capsys: pytest.CaptureFixture[str]) -> None:
    voice.speak(form="json")
    voice.tell("a\u2028b\x1b[31m\x9b", "result", value=math.nan, path=Path("p"))
    voice.speak()
    (line,) = capsys.readouterr().err.splitlines()
    assert "NaN" not in line
    assert json.loads(line) == {"event": "result", "text": "a\u2028b\x1b[31m\x9b", "value": None, "path": "p"}
    assert line.isprintable(), "nothing that a terminal would obey"
