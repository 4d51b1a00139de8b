"""What a run would take: foretold by what the machine was measured to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gpteval.engine import speed
from gpteval.engine.speed import Speed, remember, remembered
from tests.conftest import RunCli


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))


def _measured(flops: float, shares: tuple[float, ...] = (0.9, 0.5, 0.4, 0.25), size: int = 1_000_000) -> None:
    workloads = [{"share": share} for share in shares]
    numbers = {"parameters": size, "gemm_flops": flops, "copy_bytes": 1e15, "workloads": workloads}
    remember({"device": "cpu", "dtype": "float32", **numbers})


def _foretold(in_process: RunCli, out: Path, tasks: str) -> dict[str, Any]:
    asked = ("run", "--models", "gpt2-nano", "--tasks", tasks, "--out", out, "--limit", 20, "--dry-run", "--json")
    done = in_process(*asked)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_seconds_are_floating_point_operations_by_the_rate_and_the_share(in_process: RunCli, tmp_path: Path) -> None:
    """Of texts, which share nothing: two operations a weight and token, four a layer, unit and pair of tokens."""
    assert _foretold(in_process, tmp_path, "nano_prose")["seconds"] is None
    _measured(1e6)
    (found,) = _foretold(in_process, tmp_path, "nano_prose")["estimates"]
    weights, head, layers, width = _shape()
    per_text = found["tokens_in"] / found["items"]  # all about as long: what each token sees is half of that
    operations = found["tokens_in"] * (2 * weights + 2 * head + 4 * layers * width * per_text / 2)
    assert found["seconds"] == pytest.approx(operations / 1e6 / 0.5, rel=0.05)
    _measured(2e6)
    assert _foretold(in_process, tmp_path, "nano_prose")["seconds"] == pytest.approx(found["seconds"] / 2)


def _shape() -> tuple[int, int, int, int]:
    """The embedded model's, as its configuration states it."""
    from gpteval.models.embedded import nano_models

    config = json.loads((nano_models()["gpt2-nano"] / "config.json").read_text())
    layers, width = config["n_layer"], config["n_embd"]
    return 12 * layers * width**2, config["vocab_size"] * width, layers, width


def test_what_is_written_is_foretold_by_its_own_share(in_process: RunCli, tmp_path: Path) -> None:
    _measured(1e6)
    slow = _foretold(in_process, tmp_path, "nano_en_fr")["seconds"]
    _measured(1e6, (0.1, 0.1, 0.1, 0.5))
    assert _foretold(in_process, tmp_path, "nano_en_fr")["seconds"] == pytest.approx(slow / 2)


def test_the_nearest_size_counts() -> None:
    assert remembered("cpu", "float32", 1000) is None
    _measured(1e9, size=100_000_000)
    _measured(1e6, size=1_000_000)
    assert remembered("cpu", "float32", 3_000_000) == Speed(1e6, 1e15, 0.5, 0.25)
    assert remembered("cpu:0", "float32", 50_000_000) == Speed(1e9, 1e15, 0.5, 0.25)
    assert remembered("cuda", "float32", 3_000_000) is None
    speed._file().write_text('{"cpu float32": [1]}')
    assert remembered("cpu", "float32", 3_000_000) is None


def test_the_screen_has_the_dearest_and_what_a_limit_would_make_of_it(in_process: RunCli, tmp_path: Path) -> None:
    asked = ("run", "--models", "gpt2-nano,gpt1-nano", "--tasks", "nano", "--out", tmp_path, "--dry-run")
    plain = in_process(*asked)
    assert "To have seconds foretold, measure this machine once: gpteval bench --model gpt" in plain.stdout
    _measured(1e11)
    table, _, sentences = in_process(*asked).stdout.partition("\n\n")
    head, *rows, further = table.splitlines()
    assert head.split() == "model task items requests tokens in tokens out at most seconds".split()
    assert len(rows) == 10
    assert further == "and 10 further results, which take less each"
    seconds = [int(row.split()[-1].replace(",", "")) for row in rows]
    assert seconds == sorted(seconds, reverse=True)
    totals = re.findall(r"(?m)^(In all|With --limit 100): ([\d,]+) tokens, about (\d+) s on this machine\.$", sentences)
    (all_, all_tokens, _), (limited, fewer_tokens, _) = totals
    assert (all_, limited) == ("In all", "With --limit 100")
    assert 0 < int(fewer_tokens.replace(",", "")) < int(all_tokens.replace(",", ""))


def test_what_is_there_is_not_foretold(in_process: RunCli, tmp_path: Path) -> None:
    asked = ("run", "--models", "gpt2-nano", "--tasks", "nano_topic", "--limit", 4, "--out", tmp_path, "--no-report")
    assert in_process(*asked).returncode == 0
    assert in_process(*asked, "--dry-run").stdout == "1 result is computed already.\n"
