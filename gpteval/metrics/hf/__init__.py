"""gpteval's text metrics as modules of the ``evaluate`` library, usable without network.

    module = evaluate.load(metric_path("gpteval_bleu"), keep_in_memory=True)
    module.compute(predictions=["a cat"], references=[["the cat", "a cat"]])

Without ``keep_in_memory`` evaluate keeps the texts in a locked file, and a second instance waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gpteval.core.errors import UnknownNameError
from gpteval.core.outcomes import Generated
from gpteval.core.types import Generate
from gpteval.metrics.named import metric_registry

_HERE = Path(__file__).parent


def metric_path(name: str) -> str:
    """The folder to give to ``evaluate.load``. Raises UnknownNameError, which lists the nearest modules."""
    known = [folder.name for folder in _HERE.iterdir() if (folder / f"{folder.name}.py").is_file()]
    if name not in known:
        raise UnknownNameError("evaluate module", name, known, f"there are {', '.join(sorted(known))}")
    return str(_HERE / name)


def score_texts(
    names: Iterable[str], predictions: Sequence[str], references: Sequence[str | Sequence[str]]
) -> dict[str, float]:
    """The metrics ``names`` of texts against their reference or references, on gpteval's scales; NaN over none."""
    values = {}
    for name in names:
        metric = metric_registry()[name]
        stats = [
            metric.stats(Generate("-", wanted), Generated(text, "stop", 0))  # the prompt plays no part
            for text, wanted in zip(predictions, references, strict=True)
        ]
        values[name] = float(metric.value(np.sum(stats, axis=0))) if stats else float("nan")
    return values
