"""The models that results were published for: ``models.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class KnownModel:
    """A model of a generation, and all the names that sources give it."""

    name: str
    generation: str
    n_params: int
    names: frozenset[str]


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
            found.append(KnownModel(row["model"], row["generation"], int(row["n_params"]), whole))
    return tuple(found)
