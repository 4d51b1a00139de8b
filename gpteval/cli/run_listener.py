"""A run's progress on the terminal, and a line for each finished task."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Bar
from rich.text import Text

from gpteval.backends.interface import CostEstimate
from gpteval.cli.console import say
from gpteval.cli.rate import rate
from gpteval.cli.voice import LIBRARIES, Wait, as_events, is_plain, tell
from gpteval.core.outcomes import Failure, Result
from gpteval.core.show import counted
from gpteval.core.text import one_line
from gpteval.run.facts import on_failures
from gpteval.run.units import Listener, Unit
from gpteval.store.progress import State

QUIET_SECONDS = 30  # between progress lines where stderr is no terminal
FILLED_SECONDS = 0.2  # between two states of worker processes on a terminal
EVENT_SECONDS = 1  # the same, for a program
LOADING_SECONDS = 5  # the same, for lines on what is being loaded


class _Rate(ProgressColumn):
    def render(self, task: Bar) -> Text:
        return Text(f"{task.speed:,.0f} tok/s" if task.speed else "")


class ConsoleListener(Listener):
    """Progress on stderr; a line for each finished unit on stdout (stderr when stdout is for JSON)."""

    def __init__(self, as_json: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.bars = self.console.is_terminal and is_plain()
        self.out = sys.stderr if as_json else sys.stdout  # where the lines of results go
        self.bar: Progress | None = None
        self.units = self.finished = self.done = self.total = 0
        self.results: list[dict[str, Any]] = []  # what was told of them
        self.warnings: list[str] = []
        self.spoke = 0.0  # when the last line on progress was printed: the first comes at once
        self._slow = Wait(LIBRARIES)

    def progress(self, *columns: ProgressColumn, **options: Any) -> Progress:
        """What a terminal shows while something goes on."""
        return Progress(*columns, **options)

    def loading(self, what: str, doing: str = "loading") -> None:
        """On a terminal a line that the next progress takes the place of, else a line now and then."""
        self.close()
        if self.bars:
            self.bar = self.progress(
                SpinnerColumn(), TextColumn("{task.description}", markup=False), console=self.console, transient=True
            )
            self.bar.add_task(one_line(self._line(f"{doing} {what}")))
            self.bar.start()
        elif as_events() or time.monotonic() - self.spoke > LOADING_SECONDS:
            self.spoke = time.monotonic()
            self.tell(self._line(f"{doing} {what}"), doing)

    def waiting(self, what: str) -> None:
        """A line above the progress."""
        if self.bar is None:
            self.tell(self._line(what), "waiting")
        else:
            self.bar.console.print(one_line(self._line(what)), markup=False)

    def _line(self, what: str) -> str:
        return f"[{self.finished + 1}/{self.units}] {what}" if self.units else what

    def began(self, units: int, folder: Path) -> None:
        self.close()
        self.units, self.finished = units, 0
        self.tell(f"{counted(units, 'result')} to make, into {folder}", "began", results=units, folder=str(folder))

    def filled(self, unit: Unit, state: State) -> None:
        """One line for all workers."""
        line = f"{unit.label}; {rate(state)}"
        if self.bars:
            if time.monotonic() - self.spoke > FILLED_SECONDS:
                self.spoke = time.monotonic()
                self.loading(line, "computing")
        elif self._is_time():
            done = {"tokens": state.done, "of": state.wanted, "finished": state.finished, "results": state.units}
            self.tell(line, "progress", **of_unit(unit), **done)

    def unit_began(self, unit: Unit, tokens: int, known: int) -> None:
        self.close()
        self.done, self.total = known, tokens
        if self.bars:
            self.bar = self.progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:3.0f}%"),
                _Rate(),
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
            )
            self.bar.add_task(one_line(self._line(unit.label)), total=tokens, completed=known)
            self.bar.start()

    def advanced(self, unit: Unit, tokens: int) -> None:
        self.done += tokens
        if self.bar is not None:
            self.bar.advance(self.bar.task_ids[0], tokens)
        elif self._is_time():
            share = min(1.0, self.done / max(1, self.total))  # the total is an estimate where a unit has several slices
            done = {"tokens": self.done, "of": self.total, "finished": self.finished, "results": self.units}
            self.tell(self._line(f"{unit.label}: {share:.0%}"), "progress", **of_unit(unit), **done)

    def _is_time(self) -> bool:
        """Whether a further line on progress is due."""
        due = time.monotonic() - self.spoke > (EVENT_SECONDS if as_events() else QUIET_SECONDS)
        self.spoke = time.monotonic() if due else self.spoke
        return due

    def unit_done(self, unit: Unit, results: Sequence[Result]) -> None:
        self._end()
        for result in results:
            if result.primary:
                self._result(result)
                for note in on_failures(result.notes):
                    self.tell(f"  {note}", "warning")

    def groups_done(self, results: Sequence[Result]) -> None:
        for result in results:
            self._result(result)

    def _result(self, result: Result) -> None:
        of = {"model": result.model, "task": result.task, "shots": result.shots, "metric": result.metric}
        self.show({"text": result_line(result), **of, "value": result.value, "n": result.n})

    def show(self, told: dict[str, Any]) -> None:
        """A result's line, with what it says."""
        self.results.append(told)
        if as_events():
            tell(**told, event="result")
        elif is_plain():
            say(told["text"], self.out)

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        self._end()
        first = failure.error.partition("\n")[0]
        word = "not available" if failure.unavailable else "FAILED"
        line = one_line(f"{unit.model.name:<16} {unit.task.label:<18} {unit.shots:>2}-shot  {word}: {first}")
        if as_events():
            tell(line, "failed", **of_unit(unit), error=failure.error, unavailable=failure.unavailable)
        elif is_plain():
            say(line, self.out)

    def warned(self, message: str) -> None:
        self.close()
        self.warnings.append(message)
        self.tell(f"warning: {message}", "warning")

    def tell(self, text: str, event: str = "info", **facts: object) -> None:
        """A line on stderr."""
        tell(text, event, **facts)

    def _end(self) -> None:
        self.close()
        self.finished += 1

    def close(self) -> None:
        self._slow.over()
        bar, self.bar = self.bar, None  # downloads are told from another thread
        if bar is not None:
            bar.stop()


def of_unit(unit: Unit) -> dict[str, Any]:
    """Which it is."""
    return {"model": unit.model.name, "task": unit.task.label, "shots": unit.shots}


def number(value: float | None) -> str:
    """A metric's value for people: fractions with three digits, larger numbers with two."""
    if value is None or value != value:
        return "n/a"
    if abs(value) < 2:
        return f"{round(value, 3) + 0.0:.3f}"  # never "-0.000"
    return f"{value:.2f}" if abs(value) < 10_000 else f"{value:.3g}"


def result_line(result: Result) -> str:
    """One line for a finished result."""
    interval = "" if result.ci_low is None else f" [{number(result.ci_low)}, {number(result.ci_high)}]"
    marks = [f"n={result.n}"]
    if result.coverage < 1:
        marks.append(f"coverage {result.coverage:.1%}")
    if result.truncated:
        marks.append(f"{result.truncated} truncated")
    if result.chance is not None:
        marks.append(f"chance {number(result.chance)}")
    score = f"{result.metric} {number(result.value)}{interval}"
    return one_line(f"{result.model:<16} {result.task:<18} {result.shots:>2}-shot  {score:<34} {', '.join(marks)}")


class Estimates(ConsoleListener):
    """Keeps what each unit would take."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(as_json)
        self.found: list[tuple[Unit, CostEstimate]] = []

    def estimated(self, unit: Unit, estimate: CostEstimate) -> None:
        self.close()
        self.found.append((unit, estimate))
