"""What an answer costs: dollars for tokens read and written, from a dated file that a user can put another before."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from gpteval.core.errors import ModelError, UsageError

COLUMNS = ("model", "dollars_per_million_in", "dollars_per_million_out", "date")


@dataclass(frozen=True)
class Price:
    """Dollars a million tokens, as of ``date``."""

    model: str
    read: float
    written: float
    date: str

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Dollars."""
        return (tokens_in * self.read + tokens_out * self.written) / 1e6


class Budget:
    """Dollars that a command may spend on all its models together. Safe among threads."""

    def __init__(self, most: float | None) -> None:
        self.most = most
        self.committed = 0.0  # spent, and what requests on their way may cost
        self._lock = threading.Lock()

    def commit(self, dollars: float) -> None:
        """Set aside what a request may cost. Raises ModelError where that is more than there is."""
        with self._lock:
            if self.most is not None and self.committed + dollars > self.most:
                raise ModelError(
                    f"--max-cost {self.most:g} is reached: about {self.committed:.4f} dollars are spent or under way",
                    "what was answered is kept: run the same command with a higher --max-cost to go on",
                )
            self.committed += dollars

    def correct(self, dollars: float) -> None:
        """What a request cost beyond what was set aside."""
        with self._lock:
            self.committed += dollars


def price_of(model: str, own: Path | None = None) -> Price | None:
    """The price of a model, by its name or that of which it is a dated version; None where none is known.

    Raises UsageError for a file of one's own that cannot be read.
    """
    table = {price.model: price for price in (*_shipped(), *(_read(own) if own is not None else ()))}
    names = [name for name in table if model == name or _dated(model, name)]
    return table[max(names, key=len)] if names else None


def _dated(model: str, name: str) -> bool:
    """Whether ``model`` is a version of ``name``: what follows is a date."""
    rest = model.removeprefix(name)
    return rest != model and rest.startswith("-") and len(rest) > 4 and rest.replace("-", "").isdigit()


@cache
def _shipped() -> tuple[Price, ...]:
    text = files("gpteval.reference").joinpath("prices.csv").read_text(encoding="utf-8")
    return tuple(_rows(csv.DictReader(text.splitlines())))


def _read(path: Path) -> tuple[Price, ...]:
    try:
        return tuple(_rows(csv.DictReader(path.read_text(encoding="utf-8").splitlines())))
    except OSError as error:
        raise UsageError(f"cannot read the prices {path.name}: {error.strerror}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path.name} holds no prices: {error}", f"a CSV file with {', '.join(COLUMNS)}") from error


def _rows(rows: Iterable[Mapping[str, str]]) -> Iterable[Price]:
    for row in rows:
        read, written = (float(row[name]) for name in COLUMNS[1:3])
        if not (read >= 0 and written >= 0):
            raise ValueError(f"{row['model']} costs {read} and {written}")
        yield Price(row["model"], read, written, row["date"])
