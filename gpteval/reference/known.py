"""The models that results were published for: ``models.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

PF_DAY = 1e15 * 24 * 60 * 60  # floating-point operations


@dataclass(frozen=True)
class KnownModel:
    """A model of a generation, and all the names that sources give it.

    ``flops``: of its training, where they were published. ``released``: year-month-day, or what is known of it.
    """

    name: str
    generation: str
    n_params: int
    names: frozenset[str]
    flops: float | None = None
    released: str = ""


@cache
def rows() -> tuple[Mapping[str, str], ...]:
    """Every row, in the file's order: by generation, within one by family and size."""
    text = files("gpteval.reference").joinpath("models.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines(keepends=True)))


def known_models() -> tuple[KnownModel, ...]:
    """The models with a size, in the file's order."""
    found = []
    for row in rows():
        names = {row["model"], row["hub_id"], *row["hub_id_aliases"].split(";")}
        if row["n_params"].isdigit():
            whole = frozenset(name.strip() for name in names if name.strip())
            size, released = int(row["n_params"]), row["release_date"]
            found.append(KnownModel(row["model"], row["generation"], size, whole, _flops(row), released))
    return tuple(found)


def known_model(name: str) -> KnownModel | None:
    """The model that goes by this name somewhere, with or without its organisation, in any case."""
    return _by_name().get(name.lower())


@cache
def _by_name() -> Mapping[str, KnownModel]:
    whole = {name.lower(): model for model in known_models() for name in model.names}
    return {name.rpartition("/")[2]: model for name, model in whole.items()} | whole


def _flops(row: Mapping[str, str]) -> float | None:
    if row["training_compute_flops"]:
        return float(row["training_compute_flops"])
    return float(row["training_compute_pf_days"]) * PF_DAY if row["training_compute_pf_days"] else None
