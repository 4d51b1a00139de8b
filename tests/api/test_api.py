"""Models behind an API: the numbers of the local model, nothing lost or paid twice, and no key anywhere."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpteval.backends.api_options import ApiOptions
from gpteval.backends.prices import price_of
from gpteval.backends.text_queries import letter_of
from gpteval.core.errors import UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.embedded import nano_models
from gpteval.report import build_report
from gpteval.run.evaluate import evaluate
from gpteval.store.documents import read_statistics, sample_file
from tests.api_runs import KEY, MODEL, QUICK, facts, run, values
from tests.api_server import ApiServer, Body, Fault
from tests.conftest import RunCli
from tests.made_runs import make_run, scores


def test_completions_give_the_local_models_numbers(server: ApiServer, tmp_path: Path) -> None:
    tasks = ["nano_topic", "nano_prose", "nano_en_fr", "nano_lastword", "nano_facts"]
    made = run(server, tmp_path, [MODEL, f"completions:{MODEL}"], tasks, shots=(0, 2), limit=8)
    assert made.failures == ()
    local, served = values(made, MODEL), values(made, f"completions:{MODEL}")
    assert set(local) == set(served)
    for unit, value in local.items():
        assert served[unit] == pytest.approx(value, abs=1e-3), unit
    of_blocks = [
        read_statistics(tmp_path / sample_file(name, "nano_prose", 0))["blocks"]
        for name in (MODEL, f"completions:{MODEL}")
    ]
    for ours, theirs in zip(*of_blocks, strict=True):
        assert np.array(theirs) == pytest.approx(np.array(ours), abs=1e-2)
    facts = json.loads((tmp_path / "manifest.json").read_text())["models"][f"completions:{MODEL}"]
    assert (facts["answered_as"], facts["system_fingerprints"], facts["generation"]) == (MODEL, ["fp_1"], "gpt2")
    (row, *_) = (r for r in made.results if r.model != MODEL)
    assert (row.seconds > 0, row.tokens > 0, row.dollars) == (True, True, None)


def test_a_chat_writes_what_the_local_model_writes(server: ApiServer, tmp_path: Path) -> None:
    made = run(server, tmp_path, [MODEL, f"openai:{MODEL}"], ["nano_en_fr", "nano_summary"], limit=10)
    assert made.failures == ()
    assert values(made, f"openai:{MODEL}") == pytest.approx(values(made, MODEL))


def test_what_is_under_way_at_a_time_has_the_clocks_seconds_too(server: ApiServer, tmp_path: Path) -> None:
    server.seconds = 0.05
    begun = time.time()
    made = run(server, tmp_path, [MODEL, f"openai:{MODEL}"], "nano_en_fr", replace(QUICK, in_flight=8), limit=16)
    elapsed = time.time() - begun
    assert server.most > 1
    local, served = (next(r for r in made.results if r.model == name) for name in (MODEL, f"openai:{MODEL}"))
    assert local.wall_seconds is None
    assert served.wall_seconds is not None
    assert served.seconds > 16 * 0.05
    assert 0.05 <= served.wall_seconds <= min(elapsed, served.seconds)


def test_what_a_chat_cannot_be_asked_is_told_and_no_fault(
    server: ApiServer, tmp_path: Path, in_process: RunCli
) -> None:
    done = in_process(
        *("run", "--models", f"openai:{MODEL}", "--tasks", "nano_prose,nano_lastword,nano_en_fr", "--limit", 3),
        *("--base-url", server.url, "--out", tmp_path / "r", "--no-cache"),
    )
    assert done.returncode == 0, done.stderr
    assert "nano_prose          0-shot  not available: perplexity needs" in done.stdout
    assert "nano_lastword       0-shot  not available: the likelihood" in done.stdout
    rows = json.loads((tmp_path / "r" / "results.json").read_text())
    assert {row["task"] for row in rows["results"]} == {"nano_en_fr"}
    assert [failure["unavailable"] for failure in rows["failures"]] == [True, True]
    assert "a server that echoes them can be asked" in (tmp_path / "r" / "report.html").read_text()


def _letters(server: ApiServer, wanted: str) -> None:
    """The model cannot tell letters; what it says is put where a chat model says it."""

    def change(document: Body) -> Body:
        top = [{"token": t, "logprob": n} for t, n in (("B", -0.9), (" B", -1.1), ("A", -0.7), ("The", -2.0))]
        document["choices"][0]["logprobs"] = {"content": [top[0] | {"top_logprobs": top}]} if wanted == "top" else None
        document["choices"][0]["message"] |= {"content": wanted}
        return document

    server.fault = lambda number, body: Fault(change=change)


def test_letters_by_log_probabilities_or_by_the_text(server: ApiServer, tmp_path: Path) -> None:
    golds = [row["label"] for row in _items()]
    _letters(server, "top")
    made = run(server, tmp_path / "top", f"openai:{MODEL}", "nano_topic", limit=30)
    share = sum(gold == 1 for gold in golds) / 30
    assert values(made, f"openai:{MODEL}")["nano_topic:letters", 0, "acc"] == pytest.approx(share), "B: two spellings"
    asked = server.seen[0][2]
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][1]["content"].endswith("\nD. music\nAnswer:")
    for text, letter in (("C", 2), ("(C)", 2), ("C. sport", 2), ("The answer is C.", 2), ("Answer: c", 2)):
        _letters(server, text)
        made = run(server, tmp_path / "text", f"openai:{MODEL}", "nano_topic", limit=30)
        (tmp_path / "text" / "journal.sqlite").unlink()
        assert made.results[0].value == pytest.approx(sum(gold == letter for gold in golds) / 30), text


def _items() -> list[dict[str, Any]]:
    from gpteval.prompts.build import load_task
    from gpteval.tasks.registry import task_registry

    return [dict(item) for item in load_task(task_registry()["nano_topic"], limit=30).items]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        *(
            ("B", "B"),
            (" B.", "B"),
            ("**B**", "B"),
            ("(B) because", "B"),
            ("B) up", "B"),
            ("B: up", "B"),
            ("B\nA", "B"),
        ),
        *(("The correct option is B", "B"), ("I think the answer is (B).", "B"), ("A", "A"), ("A. up", "A")),
        *(("A dog is an animal", ""), ("I do not know", ""), ("Both A and B", ""), ("b", ""), ("", ""), ("E", "")),
        ("The answer is A. Or the answer is B.", ""),
    ],
)
def test_the_letter_of_a_text(text: str, letter: str) -> None:
    assert letter_of(text, "ABCD") == letter


def test_refusals_and_filters_are_wrong_and_shown(server: ApiServer, tmp_path: Path) -> None:
    def refuse(document: Body) -> Body:
        document["choices"][0]["message"]["refusal"] = "I cannot help with that."
        return document

    def stop(document: Body) -> Body:
        document["choices"][0]["finish_reason"] = "content_filter"
        return document

    filtered = {"error": {"message": "content management policy", "code": "content_filter"}}
    faults = [Fault(change=refuse), Fault(change=stop), Fault(400, document=filtered), None]
    server.fault = lambda number, body: faults[number % 4]
    made = run(server, tmp_path, f"openai:{MODEL}", "nano_topic", limit=40)
    result = made.results[0]
    assert (result.value, result.n, result.coverage) == (0.0, 40, 1.0)
    notes = " ".join(result.notes)
    assert "10 answers count as wrong (refusal), the first: refusal: I cannot help with that." in notes
    assert "20 answers count as wrong (content filter)" in notes
    assert "10 answers count as wrong (no letter)" in notes


def test_the_dialects_of_chat_servers(server: ApiServer, tmp_path: Path) -> None:
    """Newer models want max_completion_tokens, and know neither temperature nor log-probabilities."""

    def picky(number: int, body: Body) -> Fault | None:
        for name, said in (
            ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
            ("temperature", "Unsupported value: 'temperature' does not support 0"),
            ("top_logprobs", "logprobs are not supported with this model"),
        ):
            if name in body:
                return Fault(400, document={"error": {"message": said}})
        return None

    server.fault = picky
    made = run(server, tmp_path, f"openai:{MODEL}", "nano_topic", replace(QUICK, in_flight=1), limit=3)
    assert made.failures == ()
    last = server.seen[-1][2]
    assert not {"max_tokens", "temperature", "logprobs", "top_logprobs"} & set(last)
    assert last["max_completion_tokens"] > 1000, "room to think"


def test_prices() -> None:
    assert price_of("gpt-4o") == price_of("gpt-4o-2024-08-06")
    assert price_of("gpt-4o-mini-2024-07-18") == price_of("gpt-4o-mini")
    assert price_of("gpt-4o-realtime") is None, "another model, not a version of it"
    assert price_of("gpt-4-0613") == price_of("gpt-4")
    found = price_of("gpt-4o")
    assert found is not None
    assert found.of(1_000_000, 100_000) == pytest.approx(2.5 + 1.0)


def test_the_cost_is_told_and_kept_to(server: ApiServer, tmp_path: Path, in_process: RunCli) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(f"model,dollars_per_million_in,dollars_per_million_out,date\n{MODEL},10,20,2026-01-01\n")
    common = ("run", "--models", f"openai:{MODEL}", "--tasks", "nano_en_fr", "--limit", 20, "--no-cache")
    common = (*common, "--base-url", server.url, "--prices", prices)
    done = in_process(*common, "--out", tmp_path / "dry", "--dry-run", "--json")
    (estimate,) = json.loads(done.stdout)["estimates"]
    assert estimate["rows"] == estimate["queries"], "the name before is still given"
    assert (estimate["rows"], server.seen) == (20, [])
    assert "at most" in in_process(*common, "--out", tmp_path / "dry", "--dry-run").stdout
    done = in_process(*common, "--out", tmp_path / "r", "--json")
    (row, *_) = json.loads(done.stdout)["results"]
    read = sum(len(server.tokenizer(b["messages"][0]["content"])["input_ids"]) for _, _, b in server.seen)
    assert 0 < row["dollars"] <= estimate["dollars"]
    assert row["dollars"] == pytest.approx((10 * read + 20 * (row["tokens"] - read)) / 1e6)
    assert f"{row['dollars']:.4f}" in (tmp_path / "r" / "report.html").read_text()
    server.seen.clear()
    limit = row["dollars"] / 2
    done = in_process(*common, "--out", tmp_path / "c", "--max-cost", limit)
    assert done.returncode == 1
    assert "is reached" in done.stderr
    spent = len(server.seen)
    assert 0 < spent < 20
    done = in_process(*common, "--out", tmp_path / "c", "--max-cost", 1)
    assert done.returncode == 0, done.stderr
    assert len(server.seen) == 20, "what was paid for is not asked again"


def test_an_unknown_price_is_none_on_this_machine_and_else_has_to_be_given(server: ApiServer, tmp_path: Path) -> None:
    made = run(server, tmp_path / "a", f"openai:{MODEL}", "nano_en_fr", replace(QUICK, max_cost=0.0), limit=4)
    assert [result.dollars for result in made.results if result.primary] == [0.0]
    assert facts(tmp_path / "a")["price"]["date"] == "served by this machine, which sends no bill"
    elsewhere = ApiOptions(max_cost=1, base_url="http://192.0.2.1/v1")  # of a network that there is none of
    asked = evaluate(f"openai:{MODEL}", "nano_en_fr", out=tmp_path / "b", cache=False, limit=4, api=elsewhere)
    assert "--max-cost needs the price of gpt2-nano, which is not known" in asked.failures[0].error


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://[::1]:80/v1", True),
        ("http://localhost.example.com/v1", False),
        ("http://10.0.0.1/v1", False),
        ("https://api.openai.com/v1", False),
        ("", False),
    ],
)
def test_which_servers_are_of_this_machine(address: str, own: bool) -> None:
    assert ApiOptions(base_url=address).of_this_machine == own


def test_answers_that_are_asked_for_again_count(server: ApiServer, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(f"model,dollars_per_million_in,dollars_per_million_out,date\n{MODEL},1000,1000,2026-01-01\n")
    api = replace(QUICK, prices=prices, max_cost=0.4, in_flight=1)
    server.fault = lambda number, body: Fault(document={"model": MODEL, "choices": []})
    made = run(server, tmp_path / "r", f"openai:{MODEL}", "nano_en_fr", api, limit=10)
    assert "--max-cost 0.4 is reached" in made.failures[0].error
    assert 1 < len(server.seen) < 8, "answers that cannot be read are paid for like others"


def test_the_report_counts_the_parts_of_a_benchmark(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "r", {("paid", task): scores([1, 0]) for task in ("part_a", "part_b", "whole")})
    document = json.loads((folder / "results.json").read_text())
    for row, dollars in zip(document["results"], (0.25, 0.5, None), strict=True):
        row |= {"dollars": dollars, "part_of": "" if row["task"] == "whole" else "whole"}
    (folder / "results.json").write_text(json.dumps(document))
    assert "0.7500 dollars for paid" in build_report([folder], tmp_path / "r.html").read_text()


def test_no_trace_of_the_key(server: ApiServer, tmp_path: Path) -> None:
    """Not in what a run writes or prints, not among the processes, not where the server says it back."""
    said = {"error": {"message": f"your key {KEY} is over its quota"}}
    server.fault = lambda number, body: Fault(400, document=said) if number % 3 == 2 else Fault(seconds=0.02)
    command = [
        sys.executable,
        "-m",
        "gpteval",
        "run",
        "--models",
        f"openai:{MODEL}",
        "--tasks",
        "nano_en_fr,nano_topic",
    ]
    command += ["--limit", "20", "--base-url", server.url, "--out", str(tmp_path / "r")]
    env = {**os.environ, "OPENAI_API_KEY": KEY, "GPTEVAL_CACHE": str(tmp_path / "cache"), "OPENAI_LOG": "debug"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    listed = b""
    while process.poll() is None and len(server.seen) < 10:
        listed += Path(f"/proc/{process.pid}/cmdline").read_bytes() if Path("/proc").is_dir() else b""
        time.sleep(0.02)
    out, _ = process.communicate(timeout=900)
    assert server.seen[0][1]["authorization"] == f"Bearer {KEY}", "the server has it"
    assert KEY.encode() not in out + listed
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == []


def test_keys_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="OPENAI_API_KEY is not set"):
        ApiOptions().key()
    assert ApiOptions("http://localhost:1/v1").key() == "none"
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert ApiOptions(key_file=tmp_path / "key").key() == KEY
    (tmp_path / "key").write_text("two words")
    with pytest.raises(UsageError, match="holds no key") as caught:
        ApiOptions(key_file=tmp_path / "key").key()
    assert "two words" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot read the key file"):
        ApiOptions(key_file=tmp_path / "absent").key()
    with pytest.raises(UsageError, match="begins with http"):
        ApiOptions("localhost:8000")


def test_names_behind_an_api() -> None:
    found = resolve_models(["openai:gpt-4o-2024-08-06", "openai:mine", f"completions:{MODEL}", "openai:gpt-4.1"])
    assert [(i.name, i.location, i.generation, i.backend) for i in found] == [
        ("openai:gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "gpt4", "openai"),
        ("openai:mine", "mine", "other", "openai"),
        (f"completions:{MODEL}", MODEL, "gpt2", "completions"),
        ("openai:gpt-4.1", "gpt-4.1", "gpt4", "openai"),
    ]
    folder = str(nano_models()[MODEL].resolve())
    assert len({i.name for i in resolve_models([folder, f"openai:{folder}"])}) == 2, "a folder, and what serves it"
    with pytest.raises(UsageError, match="names no model"):
        resolve_models(["openai:"])


def test_the_server_is_true(server: ApiServer) -> None:
    """The numbers it echoes are those of the naive computation."""
    ids = server.tokenizer("On Friday, Anna met Tom.")["input_ids"]
    document = server.answer("/v1/completions", {"model": MODEL, "prompt": ids, "max_tokens": 0, "echo": True})
    found = document["choices"][0]["logprobs"]["token_logprobs"]
    with torch.inference_mode():
        logits = server.model(input_ids=torch.tensor([ids])).logits[0].double()
    for place, token in enumerate(ids[1:], 1):
        row = logits[place - 1]
        assert found[place] == pytest.approx(float(row[token] - torch.logsumexp(row, 0)), abs=1e-4)
    assert math.isfinite(sum(found[1:]))


def test_a_tokenizer_folder_without_a_configuration_is_named(server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "tokenizer.json").write_text("{}")
    api = replace(QUICK, tokenizer=str(tmp_path / "words"))
    (failure,) = run(server, tmp_path / "out", f"completions:{MODEL}", "nano_facts", api, limit=2).failures
    assert "config.json is missing" in failure.error
    assert "that folder needs the served model's config.json" in failure.error
    assert "name the served model's folder" not in failure.error
