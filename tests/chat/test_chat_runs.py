"""Runs of local chats: both protocols side by side, what is said of a template that is there or is not."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import gpteval
from gpteval.backends.chat_options import ChatOptions
from gpteval.core.kinds import RAW
from gpteval.models.catalogue import as_chats, resolve_models
from tests.chat_models import PLAIN, SWITCH, save_chat
from tests.conftest import RunCli

ASKED = ("--tasks", "nano_capitals,nano_en_fr", "--limit", "12")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_chat(tmp_path_factory.mktemp("chat") / "talker", PLAIN)


def test_both_protocols_side_by_side(folder: Path, tmp_path: Path, in_process: RunCli) -> None:
    out = tmp_path / "run"
    tasks = ("--tasks", "nano_topic,nano_en_fr,nano_prose", "--limit", "8", "--out", out)
    done = in_process("run", "--models", f"{folder},chat:{folder}", *tasks)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("talker is asked without its chat template") == 1
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    rows = {(row["model"], row["task"]): row for row in document["results"] if row["primary"]}
    assert set(rows) == {
        *(("talker", task) for task in ("nano_topic", "nano_en_fr", "nano_prose")),
        *(("chat:talker", task) for task in ("nano_topic:letters", "nano_en_fr")),
    }
    assert {row["protocol"] for (model, _), row in rows.items() if model == "chat:talker"} == {"chat"}
    for (model, _), row in rows.items():
        notes = " ".join(row["notes"])
        assert (RAW in notes, "by its template" in notes) == (model == "talker", model == "chat:talker")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    chat = manifest["models"]["chat:talker"]["chat"]
    assert chat["question_in_it"].endswith("<|im_start|>assistant\n")
    assert "one model under" not in done.stderr, "raw and in its template they are not the same"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"Chat models were {RAW} (talker)" in page
    (lettered,) = (row for (_, task), row in rows.items() if task == "nano_topic:letters")
    assert "letters hold less than half" in " ".join(lettered["notes"]), "this one has not learnt to answer by letter"
    samples = pq.read_table(next((out / "samples").glob("*chat*letters*"))).to_pylist()
    assert all(0 < row["letter_share"] < 1 and len(row["logprobs"]) == 4 for row in samples)


def test_a_base_model_has_no_template(tmp_path: Path, in_process: RunCli) -> None:
    asked = ("--protocol", "chat", "--tasks", "nano_topic", "--limit", "4", "--out", tmp_path / "run")
    done = in_process("run", "--models", "gpt2-nano", *asked)
    assert done.returncode == 1
    assert "model chat:gpt2-nano has no chat template: it is a base model" in done.stderr
    assert "name it as gpt2-nano, without --protocol chat" in done.stderr


def test_workers_compute_the_same(folder: Path, tmp_path: Path) -> None:
    found = []
    for executor in ({}, {"executor": "process", "workers": 2}):
        how = {"chat": ChatOptions(system="Be brief.", shots_as="turns"), "shots": 2, "limit": 6, **executor}
        out = tmp_path / str(len(found))
        gpteval.evaluate(f"chat:{folder}", ["nano_topic", "nano_en_fr"], out=out, cache=False, device="cpu", **how)
        document = json.loads((out / "results.json").read_text(encoding="utf-8"))
        found.append([(row["task"], row["metric"], row["value"], row["signature"]) for row in document["results"]])
    assert found[0] == found[1]
    assert all("system message" in signature and "shots as turns" in signature for *_, signature in found[0])


def test_a_folder_holds_one_way_of_asking(folder: Path, tmp_path: Path, in_process: RunCli) -> None:
    asked = ("--models", f"chat:{folder}", "--tasks", "nano_topic", "--limit", "3", "--out", tmp_path / "run")
    assert in_process("run", *asked, "--system", "Be brief.").returncode == 0
    for other in ((), ("--system", "Be long."), ("--system", "Be brief.", "--shots-as", "turns")):
        refused = in_process("run", *asked, *other)
        assert refused.returncode == 2, refused.stderr
        assert "holds a run with chat_" in refused.stderr


def test_a_thought_that_never_ends_counts_as_no_answer(tmp_path: Path, in_process: RunCli) -> None:
    """A nano model that is told to think writes on until its window is full."""
    folder = save_chat(tmp_path / "thinker", SWITCH.replace("assistant\n' }}", "assistant\n<think>' }}", 1))
    asked = ("--models", f"chat:{folder}", "--tasks", "nano_topic", "--limit", "3", "--thinking")
    done = in_process("run", *asked, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    (row,) = (row for row in document["results"] if row["primary"])
    assert row["coverage"] == 1.0
    assert row["value"] == 0.0
    assert any("answers count as wrong" in note for note in row["notes"])
    assert any("it may think before it answers" in note for note in row["notes"])


def test_names(folder: Path) -> None:
    (info,) = resolve_models([f"chat:{folder}"])
    assert (info.name, info.backend, info.local) == ("chat:talker", "chat", True)
    both = resolve_models([str(folder), f"chat:{folder}", f"chat:{folder}"])
    assert [one.name for one in both] == ["talker", "chat:talker"]
    assert [one.name for one in resolve_models(["chat:gpt2"])] == ["chat:gpt2"]
    assert {one.name for one in resolve_models(["chat:nano"])} == {
        f"chat:{one.name}" for one in resolve_models(["nano"])
    }
    assert as_chats(["gpt2", "openai:gpt-4o", "chat:gpt2"]) == ("chat:gpt2", "openai:gpt-4o", "chat:gpt2")
    with pytest.raises(gpteval.GptevalError, match="is no chat"):
        as_chats(["completions:x"])
    for text_alone in ("gguf:x.gguf", "vllm:gpt2"):
        with pytest.raises(gpteval.GptevalError, match="has no chat template"):
            as_chats([text_alone])
    for nameless in ("chat:", "gguf:"):
        with pytest.raises(gpteval.GptevalError, match="names no model"):
            resolve_models([nameless])
    with pytest.raises(gpteval.GptevalError, match="is for models whose weights are here"):
        resolve_models(["chat:openai:gpt-4o"])


def test_other_commands_ask_by_the_template(folder: Path, in_process: RunCli) -> None:
    told = json.loads(in_process("generate", "--model", f"chat:{folder}", "--prompt", "The cat:", "--json").stdout)
    raw = json.loads(in_process("generate", "--model", folder, "--prompt", "The cat:", "--json").stdout)
    assert told["continuations"] != raw["continuations"]
    shown = in_process("show", "nano_topic", "--model", f"chat:{folder}").stdout
    assert "<|im_start|>" in shown
    assert "chat:talker: 4 queries" in shown
    for command in (("generate", "--prompt", "x"), ("show", "nano_topic")):
        refused = in_process(*command, "--model", "openai:gpt-4o")
        assert refused.returncode == 2
        assert "is not loaded here" in refused.stderr
    refused = in_process("finetune", "--model", "chat:gpt2-nano", "--task", "nano_topic")
    assert "train gpt2-nano, and ask that" in refused.stderr


def test_from_python(folder: Path, tmp_path: Path) -> None:
    how = {"limit": 2, "device": "cpu", "cache": False}
    run = gpteval.evaluate(str(folder), "nano_topic", out=tmp_path / "run", protocol="chat", **how)
    assert {row.model for row in run.results} == {"chat:talker"}
