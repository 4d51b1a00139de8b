"""How fast this machine is, as ``gpteval bench`` found it: remembered for what a dry run foretells."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpteval.core.atomic import write_whole
from gpteval.data.files import cache_root


@dataclass(frozen=True)
class Speed:
    """``flops`` and ``bytes`` a second, as ``engine.floor.Rates`` has them; which share of that the engine reaches when
    it ``reading`` prompts and choices, and when it is ``writing``.
    """

    flops: float
    bytes: float
    reading: float
    writing: float


def remember(found: Mapping[str, Any]) -> None:
    """What a benchmark found, in the place of what the last one found with a model of that size."""
    shares = [row["share"] for row in found["workloads"]]
    speed = Speed(found["gemm_flops"], found["copy_bytes"], statistics.median(shares[:-1]), shares[-1])
    known, key = _known(), _key(found["device"], found["dtype"])
    known[key] = {**known.get(key, {}), str(found["parameters"]): asdict(speed)}
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(), json.dumps(known, indent=1))


def remembered(device: str, dtype: str, parameters: int) -> Speed | None:
    """With the model whose size is the nearest; None where none was measured on such a device in such numbers."""
    by_size: Any = _known().get(_key(device, dtype))
    try:
        nearest = min(by_size, key=lambda size: abs(math.log(int(size) / parameters)))
        return Speed(**by_size[nearest])
    except (LookupError, TypeError, ValueError, ZeroDivisionError):  # nothing, or nothing that is a speed
        return None


def _key(device: str, dtype: str) -> str:
    return f"{device.partition(':')[0]} {dtype}"


def _known() -> dict[str, Any]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _file() -> Path:
    return cache_root() / "speed.json"
