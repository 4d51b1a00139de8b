"""Runs against a server of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpteval.backends.api_options import ApiOptions
from gpteval.run.evaluate import evaluate
from gpteval.run.units import RunOutcome
from tests.api_server import ApiServer, Body, Fault

MODEL = "gpt2-nano"
KEY = "sk-test-7Qz9secretKey42"
QUICK = ApiOptions(backoff=0.002)


def run(server: ApiServer, out: Path, models: Any, tasks: Any, api: ApiOptions = QUICK, **settings: Any) -> RunOutcome:
    return evaluate(models, tasks, out=out, cache=False, api=replace(api, base_url=server.url), **settings)


def values(made: RunOutcome, model: str) -> dict[tuple[str, int, str], float]:
    return {(r.task, r.shots, r.metric): r.value for r in made.results if r.model == model}


def changing(change: Callable[[Body], Body]) -> Callable[[int, Body], Fault]:
    """Every answer is changed."""
    return lambda number, body: Fault(change=change)


def says(text: str | None, reason: str = "stop", **more: Any) -> Callable[[Body], Body]:
    """A chat's answer, in the place of the model's."""

    def change(document: Body) -> Body:
        choice = document["choices"][0]
        choice["message"] = {"role": "assistant", "content": text, "refusal": None, **more}
        return document | {"choices": [choice | {"finish_reason": reason, "logprobs": None}]}

    return change


def refusal(message: str, parameter: str | None = None, status: int = 400) -> Fault:
    return Fault(status, document={"error": {"message": message, "param": parameter}})


def prices(folder: Path, read: float = 1000, written: float = 2000) -> Path:
    """A file with the model's price, in dollars a million tokens."""
    path = folder / "prices.csv"
    path.write_text(f"model,dollars_per_million_in,dollars_per_million_out,date\n{MODEL},{read},{written},2026-01-01\n")
    return path


def facts(folder: Path, model: str = f"openai:{MODEL}") -> dict[str, Any]:
    """What the manifest says of a model."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["models"][model]
    return found
