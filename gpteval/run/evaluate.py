"""``gpteval.evaluate``: a run from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpteval.models.catalogue import as_chats
from gpteval.models.loader import LoadOptions
from gpteval.run.bars import default_listener
from gpteval.run.config import RunConfig, by_present_names
from gpteval.run.runner import execute
from gpteval.run.units import Listener, RunOutcome


def evaluate(
    models: str | Sequence[str],
    tasks: str | Sequence[str],
    *,
    shots: int | Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    listener: Listener | None = None,
    **settings: Any,
) -> RunOutcome:
    """Run ``models`` on ``tasks``; what ``gpteval run`` does, without its report.

    ``listener`` is told how it goes: ``gpteval.Bars()`` shows it, and does so by itself in a notebook.
    ``settings`` are further fields of :class:`gpteval.run.config.RunConfig`, and ``protocol="chat"``, by which models
    that are loaded here are asked by their chat template. Raises UsageError for
    names and folders that cannot be used; what fails later is in ``failures`` of the outcome.
    """
    names = (models,) if isinstance(models, str) else tuple(models)
    if (protocol := settings.get("protocol")) in ("raw", "chat"):
        names = as_chats(names) if protocol == "chat" else names
        settings = {name: value for name, value in settings.items() if name != "protocol"}
    named = by_present_names(settings).items()
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in named}
    config = RunConfig(
        models=names,
        tasks=(tasks,) if isinstance(tasks, str) else tuple(tasks),
        shots=(shots,) if isinstance(shots, int) else None if shots is None else tuple(shots),
        limit=limit,
        seed=seed,
        out=None if out is None else Path(out),
        load=LoadOptions(device=device, dtype=dtype),
        **plain,
    )
    listener = listener or default_listener()
    try:
        return execute(config, listener)
    finally:
        listener.close()
