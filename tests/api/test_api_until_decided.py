"""Until decided, with models behind an API: paid once, within what was allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpteval.core.errors import UsageError
from gpteval.run.config import RunConfig
from gpteval.run.decide import run_until_decided
from gpteval.run.runner import execute
from tests.api_runs import MODEL, QUICK
from tests.api_server import ApiServer, Fault


def test_until_decided_pays_for_no_item_twice(server: ApiServer, tmp_path: Path) -> None:
    pair = ("gpt1-nano", f"completions:{MODEL}")
    asked = {"shots": (0,), "limit": 200, "out": tmp_path, "cache": False, "until_decided": pair}
    config = RunConfig(pair, ("nano_facts",), api=replace(QUICK, base_url=server.url), **asked)  # type: ignore[arg-type]
    outcome, (found,) = run_until_decided(config, 0.0)
    assert not outcome.failures
    assert found.pair.verdict == f"completions:{MODEL} is better"
    assert 50 <= found.items < 200
    prompts = [json.dumps(body["prompt"]) for _, _, body in server.seen if "prompt" in body]
    assert len(prompts) == len(set(prompts)) >= found.items


def test_until_decided_spends_no_more_than_was_allowed(server: ApiServer, tmp_path: Path) -> None:
    """All parts together: a budget for each part would never have been reached."""
    prices = tmp_path / "prices.csv"
    prices.write_text(f"model,dollars_per_million_in,dollars_per_million_out,date\n{MODEL},1000,1000,2026-01-01\n")
    pair = ("gpt2-nano-medium", f"completions:{MODEL}")
    api = replace(QUICK, base_url=server.url, prices=prices, in_flight=1)
    config = RunConfig(pair, ("nano_facts",), shots=(0,), limit=50, cache=False, out=tmp_path / "a", api=api)
    first = sum(result.dollars or 0.0 for result in execute(config).results if result.primary)
    assert first > 0
    api = replace(api, max_cost=1.4 * first)
    config = replace(config, limit=200, out=tmp_path / "b", api=api, until_decided=pair)
    outcome, _ = run_until_decided(config, 0.0)
    assert f"--max-cost {1.4 * first:g} is reached" in outcome.failures[0].error
    rows = json.loads((tmp_path / "b" / "results.json").read_text())["results"]
    (paid,) = [row for row in rows if row["primary"] and row["dollars"]]
    assert first < paid["dollars"] <= 1.4 * first
    assert 50 < paid["n"] < 85


def test_until_decided_where_nothing_works(server: ApiServer, tmp_path: Path) -> None:
    server.fault = lambda number, body: Fault(400, document={"error": {"message": "no"}})
    pair = (f"completions:{MODEL}", "gpt1-nano")
    api = replace(QUICK, base_url=server.url)
    config = RunConfig(pair, ("nano_facts",), shots=(0,), cache=False, out=tmp_path, api=api, until_decided=pair)
    outcome, found = run_until_decided(config, 0.0)
    assert (len(outcome.failures), found) == (1, ())


def test_until_decided_needs_the_same_question(server: ApiServer, tmp_path: Path) -> None:
    pair = (f"openai:{MODEL}", "gpt1-nano")
    api = replace(QUICK, base_url=server.url)
    config = RunConfig(pair, ("nano_topic",), shots=(0,), cache=False, out=tmp_path, api=api, until_decided=pair)
    with pytest.raises(UsageError, match="no question in common"):
        run_until_decided(replace(config, limit=5), 0.0)
