"""A run on the terminal: progress while it runs, a line for each finished task, a summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Bar
from rich.text import Text

from gpteval.backends.interface import CostEstimate
from gpteval.cli.console import print_lines, say
from gpteval.cli.rate import rate
from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.opened import Opened
from gpteval.core.outcomes import Failure, Result
from gpteval.core.own import REPORT_ELSEWHERE, refuse_others
from gpteval.core.show import counted, p_value
from gpteval.core.text import one_line
from gpteval.run.config import RunConfig
from gpteval.run.decide import Decided, run_until_decided
from gpteval.run.facts import on_failures
from gpteval.run.finished import Told, is_whole, keep, recall
from gpteval.run.runner import execute
from gpteval.run.units import Listener, Unit
from gpteval.store.progress import State

QUIET_SECONDS = 30  # between progress lines where stderr is no terminal
FILLED_SECONDS = 0.2  # between two states of worker processes on a terminal
LOADING_SECONDS = 5  # the same, for lines on what is being loaded


class _Rate(ProgressColumn):
    def render(self, task: Bar) -> Text:
        return Text(f"{task.speed:,.0f} tok/s" if task.speed else "")


class ConsoleListener(Listener):
    """Progress on stderr; a line for each finished unit on stdout (stderr when stdout is for JSON)."""

    def __init__(self, as_json: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.out = sys.stderr if as_json else sys.stdout  # where the lines of results go
        self.bar: Progress | None = None
        self.units = self.finished = self.done = self.total = 0
        self.lines: list[str] = []  # of results
        self.warnings: list[str] = []
        self.spoke = 0.0  # when the last line on progress was printed: the first comes at once

    def progress(self, *columns: ProgressColumn, **options: Any) -> Progress:
        """What a terminal shows while something goes on."""
        return Progress(*columns, **options)

    def loading(self, what: str, doing: str = "loading") -> None:
        """On a terminal a line that the next progress takes the place of, else a line now and then."""
        self.close()
        if self.console.is_terminal:
            self.bar = self.progress(
                SpinnerColumn(), TextColumn("{task.description}", markup=False), console=self.console, transient=True
            )
            self.bar.add_task(one_line(self._line(f"{doing} {what}")))
            self.bar.start()
        elif time.monotonic() - self.spoke > LOADING_SECONDS:
            self.spoke = time.monotonic()
            self.tell(self._line(f"{doing} {what}"))

    def waiting(self, what: str) -> None:
        """A line above the progress."""
        if self.bar is None:
            self.tell(self._line(what))
        else:
            self.bar.console.print(one_line(self._line(what)), markup=False)

    def _line(self, what: str) -> str:
        return f"[{self.finished + 1}/{self.units}] {what}" if self.units else what

    def began(self, units: int, folder: Path) -> None:
        self.close()
        self.units, self.finished = units, 0
        self.tell(f"{counted(units, 'result')} to make, into {folder}")

    def filled(self, unit: Unit, state: State) -> None:
        """One line for all workers."""
        line = f"{unit.label}; {rate(state)}"
        if self.console.is_terminal:
            if time.monotonic() - self.spoke > FILLED_SECONDS:
                self.spoke = time.monotonic()
                self.loading(line, "computing")
        elif time.monotonic() - self.spoke > QUIET_SECONDS:
            self.spoke = time.monotonic()
            self.tell(line)

    def unit_began(self, unit: Unit, tokens: int, known: int) -> None:
        self.close()
        self.done, self.total = known, tokens
        if self.console.is_terminal:
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
        elif time.monotonic() - self.spoke > QUIET_SECONDS:
            self.spoke = time.monotonic()
            share = min(1.0, self.done / max(1, self.total))  # the total is an estimate where a unit has several slices
            self.tell(self._line(f"{unit.label}: {share:.0%}"))

    def unit_done(self, unit: Unit, results: Sequence[Result]) -> None:
        self._end()
        for result in results:
            if result.primary:
                self.result(result_line(result))
                for note in on_failures(result.notes):
                    self.tell(f"  {note}")

    def groups_done(self, results: Sequence[Result]) -> None:
        for result in results:
            self.result(result_line(result))

    def result(self, line: str) -> None:
        self.lines.append(line)
        say(line, self.out)

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        self._end()
        first = failure.error.partition("\n")[0]
        word = "not available" if failure.unavailable else "FAILED"
        say(one_line(f"{unit.model.name:<16} {unit.task.label:<18} {unit.shots:>2}-shot  {word}: {first}"), self.out)

    def warned(self, message: str) -> None:
        self.close()
        self.warnings.append(message)
        self.tell(f"warning: {message}")

    def tell(self, text: str) -> None:
        """A line on stderr."""
        say(text, sys.stderr)

    def _end(self) -> None:
        self.close()
        self.finished += 1

    def close(self) -> None:
        bar, self.bar = self.bar, None  # downloads are told from another thread
        if bar is not None:
            bar.stop()


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
    return one_line(f"{result.model:<16} {result.task:<18} {result.shots:>2}-shot  {score:<40} {', '.join(marks)}")


def run_and_tell(config: RunConfig, *, report: bool, as_json: bool, margin: float = 0.0) -> int:
    """Execute the run, print what came of it, and return the exit code."""
    if margin and not config.until_decided:
        raise UsageError("--margin is for --until-decided", "name two models with it, or leave --margin out")
    if report:
        refuse_others([config.folder / "report.html"], REPORT_ELSEWHERE)
    listener = ConsoleListener(as_json)
    if told := recall(config, report=report):
        _tell_again(config, told, listener, report=report)
        return 0
    begin = time.perf_counter()
    decided: Sequence[Decided] = ()
    with Opened() as opened:
        try:
            if config.until_decided:
                outcome, decided = run_until_decided(config, margin, listener, listener.tell)
            else:
                outcome = execute(config, listener)
        finally:
            listener.close()
    for one in decided:
        say(decision(one), listener.out)
    code = exit_code(outcome.failures)
    tell = listener.tell
    done = f"{listener.units - len(outcome.failures)} of {counted(listener.units, 'result')}"
    if decided:
        done = f"{sum(not one.open for one in decided)} of {counted(len(decided), 'task')} done"
    if sum(result.primary for result in outcome.results) > 1:
        _tell_scores(outcome.folder, tell)
    dollars, models = _dollars(outcome.results), len({result.model for result in outcome.results})
    tell(f"{done} in {time.perf_counter() - begin:.1f} s{dollars}")
    tell_failures(outcome.failures, tell)
    _tell_what_next(outcome.folder, models, tell)
    if report and outcome.results:
        code = report_folder(outcome.folder, tell) or code
    if code:
        tell("mend the causes and run the same command again: finished results are kept")
    elif is_whole(outcome):
        keep(config, opened, Told(listener.lines, listener.warnings, dollars, models), report=report)
    return code


def _tell_again(config: RunConfig, told: Told, listener: ConsoleListener, *, report: bool) -> None:
    """All that the run said when it ended, without running."""
    for warning in told.warnings:
        listener.warned(warning)
    for line in told.lines:
        listener.result(line)
    if len(told.lines) > 1:
        _tell_scores(config.folder, listener.tell)
    are = "is" if len(told.lines) == 1 else "are"
    listener.tell(f"nothing to do: {counted(len(told.lines), 'result')} {are} there{told.dollars}")
    _tell_what_next(config.folder, told.models, listener.tell)
    if report:
        listener.tell(f"report:  {config.folder / 'report.html'}")


def _tell_what_next(folder: Path, models: int, tell: Callable[[str], None]) -> None:
    tell(f"results: {folder / 'results.json'}")
    if models > 1:
        tell(f"which differences are real: gpteval compare {folder}")


def _tell_scores(folder: Path, tell: Callable[[str], None]) -> None:
    """All scores that the folder has, in one table."""
    from gpteval.cli.score_console import terminal_table
    from gpteval.report.score_table import score_table
    from gpteval.store.runs import read_runs

    try:
        print_lines(f"\n{terminal_table(score_table(read_runs(folder)), sys.stderr)}\n", sys.stderr)
    except GptevalError as error:
        tell(f"the scores could not be read: {error}\n  try: gpteval table {folder}")


def _dollars(results: Sequence[Result]) -> str:
    spent = sum(result.dollars or 0.0 for result in results if result.primary)
    return f"; answers behind APIs have cost {spent:.4f} dollars" if spent else ""


def decision(one: Decided) -> str:
    """What came of two models on a task, and how many items that took."""
    pair = one.pair
    where = pair.task if not pair.shots else f"{pair.task} ({pair.shots}-shot)"
    rest = " (all there are)" if one.whole else ""
    p = f"p {p_value(pair.p_adjusted)}, " if pair.significant else ""
    return one_line(f"{where}: {pair.verdict}, {p}after {one.items} items{rest}")


class Estimates(ConsoleListener):
    """Keeps what each unit would take."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(as_json)
        self.found: list[tuple[Unit, CostEstimate]] = []

    def estimated(self, unit: Unit, estimate: CostEstimate) -> None:
        self.close()
        self.found.append((unit, estimate))


def exit_code(failures: Sequence[Failure]) -> int:
    """1 where something failed; what a model cannot be asked for at all is none."""
    return 1 if any(not failure.unavailable for failure in failures) else 0


def tell_failures(failures: Sequence[Failure], tell: Callable[[str], None]) -> None:
    """Each cause once, with some of what it cost."""
    for error in dict.fromkeys(f.error for f in failures):
        pairs = [f"{f.model} on {f.task}" for f in failures if f.error == error]
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        word = "not available" if all(f.unavailable for f in failures if f.error == error) else "failed"
        tell(f"{word}: {', '.join(pairs[:3])}{more}\n  {error}")


def report_folder(folder: Path, tell: Callable[[str], None]) -> int:
    """Write the run's report, and return the exit code."""
    from gpteval.report import build_report

    try:
        tell(f"report:  {build_report([folder], folder / 'report.html')}")
    except GptevalError as error:
        tell(f"the report could not be written: {error}\n  try: gpteval report {folder}")
        return 1
    return 0


def print_document(path: Path) -> None:
    """The document of --json."""
    say(path.read_text(encoding="utf-8").rstrip("\n"))
