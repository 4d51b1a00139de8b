"""What a run works through, whom it tells, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from gpteval.backends.interface import CostEstimate
from gpteval.core.outcomes import Failure, Record, Result
from gpteval.metrics.base import Metric
from gpteval.models.catalogue import ModelInfo
from gpteval.store.progress import State
from gpteval.tasks.task import Task


@dataclass(frozen=True)
class Unit:
    """One model on one task, under one of its templates, with one number of examples.

    An experiment has further units: with examples drawn by another ``seed``, or shown in another way (``control``).
    Those give records, but no results of the run.
    """

    model: ModelInfo
    task: Task
    shots: int
    seed: int = 0
    control: str = ""
    is_result: bool = True

    @property
    def label(self) -> str:
        further = f", seed {self.seed}{', ' * bool(self.control)}{self.control}" if not self.is_result else ""
        return f"{self.model.name} on {self.task.label}, {self.shots}-shot{further}"


class Listener:
    """Told how a run goes; the command line shows it. Override what you need."""

    def loading(self, what: str) -> None:
        """Something that takes a while begins: task data, a model's files, its weights."""

    def waiting(self, what: str) -> None:
        """A server has not answered for a while: why, and what comes next."""

    def began(self, units: int, folder: Path) -> None:
        """The run starts: so many units are to be computed, and ``folder`` will hold the results."""

    def filled(self, unit: Unit, state: State) -> None:
        """Worker processes have computed a batch of a unit; ``state`` is the progress of all of them."""

    def unit_began(self, unit: Unit, tokens: int, known: int) -> None:
        """``known`` of about ``tokens`` tokens are there from an earlier run."""

    def advanced(self, unit: Unit, tokens: int) -> None:
        """A batch of a unit is computed, of so many tokens."""

    def unit_recorded(self, unit: Unit, info: ModelInfo, metrics: Sequence[Metric], records: Sequence[Record]) -> None:
        """The records of a stretch of items, in order; after the last, ``unit_done`` or ``unit_failed`` follows.

        ``info``: the model as loaded; ``metrics``: the primary one first.
        """

    def unit_done(self, unit: Unit, results: Sequence[Result]) -> None:
        """``results`` is empty for a unit that is no result of the run."""

    def groups_done(self, results: Sequence[Result]) -> None:
        """The results of benchmarks that are made of several tasks."""

    def estimated(self, unit: Unit, estimate: CostEstimate) -> None:
        """In a dry run: how much the unit would compute, and cost."""

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        """The unit has no results; the others go on."""

    def warned(self, message: str) -> None:
        """Something the user should know, which does not end the run."""

    def close(self) -> None:
        """Nothing more comes."""


class Listeners(Listener):
    """Several, each told everything, in their order."""

    def __init__(self, *each: Listener) -> None:
        self.each = each


def _telling(name: str) -> Callable[..., None]:
    def tell(self: Listeners, *told: Any, **named: Any) -> None:
        for one in self.each:
            getattr(one, name)(*told, **named)

    return tell


for _name in [name for name in vars(Listener) if not name.startswith("_")]:  # whatever a listener may be told
    setattr(Listeners, _name, _telling(_name))


@dataclass(frozen=True)
class RunOutcome:
    """What a run gave: results of this command's units, failures, and the folder that holds all. It may be named
    wherever a run's folder may.
    """

    folder: Path
    results: tuple[Result, ...]
    failures: tuple[Failure, ...]

    def __fspath__(self) -> str:
        return str(self.folder)

    def _repr_html_(self) -> str:
        """In a notebook: the folder's scores as a table, and what failed."""
        from gpteval.report.frames import table

        failed = [f"{one.model} on {one.task}: {one.error}" for one in self.failures]
        scores: str = table(self).to_html(index=False) if self.results else ""
        return scores + "".join(f"<pre>{escape(line)}</pre>" for line in failed)
