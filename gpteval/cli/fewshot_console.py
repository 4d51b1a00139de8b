"""A few-shot experiment on the terminal: a table that grows while it runs, and at the end what it says in words."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.table import Table
from rich.text import Text

from gpteval.cli.console import print_lines, say
from gpteval.cli.run_console import report_folder, tell_failures
from gpteval.cli.run_listener import ConsoleListener, number
from gpteval.cli.voice import is_plain, tell
from gpteval.core.outcomes import Failure, Record, Result
from gpteval.core.own import REPORT_ELSEWHERE, refuse_others
from gpteval.core.text import one_line
from gpteval.experiments.curves import Curve, Point
from gpteval.experiments.fewshot import FILE, FewShot, counting, run_fewshot
from gpteval.experiments.words import most_beyond, sparkline
from gpteval.metrics.base import Metric
from gpteval.models.catalogue import ModelInfo
from gpteval.run.config import RunConfig
from gpteval.run.units import Unit
from gpteval.stats.interval import Estimate

WIDTH = 110  # characters of a paragraph's line
COLUMNS = (
    "Under a number of examples stands the mean score over the sets of examples (seeds). 'a doubling brings': what "
    "twice as many examples add, the slope over log2(1 + examples), with its 95 % interval. 'seeds ±': the standard "
    "deviation that the choice of the most examples brings, apart from what items account for."
)
CONTROLS = (
    "Controls. 'random labels': the same examples with answers drawn at random; what true ones bring beyond that says "
    "whether the model reads them. 'other orders': the least and the greatest score of the first set in its own and in "
    "other orders."
)


class FewShotListener(ConsoleListener):
    """A line for each model and task: the scores so far by number of examples, means over the seeds so far."""

    def __init__(self, as_json: bool, asked: str = "") -> None:
        super().__init__(as_json)
        self.asked = asked
        self.scores: dict[tuple[str, str], dict[int, list[float]]] = {}
        self.told: set[tuple[str, str]] = set()
        self.metric: Metric | None = None
        self.stats: list[tuple[float, ...]] = []  # of the unit that is being finished

    def progress(self, *columns: ProgressColumn, **options: Any) -> Progress:
        listener = self

        class WithTable(Progress):
            def get_renderables(self) -> Iterable[RenderableType]:
                yield listener.table()
                yield from super().get_renderables()

        return WithTable(*columns, **options)

    def table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for (model, task), by_shots in self.scores.items():
            table.add_row(*(Text(one_line(cell)) for cell in (model, task, *_so_far(by_shots))))
        return table

    def unit_recorded(self, unit: Unit, info: ModelInfo, metrics: Sequence[Metric], records: Sequence[Record]) -> None:
        self.metric = metric = counting(metrics, self.asked)
        if metric is not None:
            self.stats += [record.stats[metric.name] for record in records if metric.name in record.stats]

    def unit_done(self, unit: Unit, results: Sequence[Result]) -> None:
        stats, self.stats = self.stats, []
        if not unit.control and self.metric and stats:
            value = float(self.metric.value(np.sum(np.array(stats, dtype=float), axis=0)))
            by_shots = self.scores.setdefault((unit.model.name, unit.task.label), {})
            by_shots.setdefault(unit.shots, []).append(value)
        self._end()
        self.tell_finished(but=(unit.model.name, unit.task.label))

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        self.stats = []
        super().unit_failed(unit, failure)

    def tell_finished(self, but: tuple[str, str] | None = None) -> None:
        """A line for each model and task that is through, where no table shows them."""
        for key, by_shots in self.scores.items():
            if not self.bars and is_plain() and key != but and key not in self.told:
                self.told.add(key)
                bars, text = _so_far(by_shots)
                say(one_line(f"{key[0]:<16} {key[1]:<22} {bars}  {text}"), self.out)


def _so_far(by_shots: dict[int, list[float]]) -> tuple[str, str]:
    means = [fmean(values) for values in by_shots.values()]
    text = "  ".join(f"{shots}: {number(mean)}" for shots, mean in zip(by_shots, means, strict=True))
    return sparkline(means, min(means), max(means)), text


def experiment_and_tell(config: RunConfig, *, metric: str, report: bool, as_json: bool) -> int:
    """Run the experiment, print what it says, and return the exit code."""
    if report:
        refuse_others([config.folder / "report.html"], REPORT_ELSEWHERE)
    listener = FewShotListener(as_json, metric)
    begin = time.perf_counter()
    try:
        found = run_fewshot(config, listener, metric)
    finally:
        listener.close()
    listener.tell_finished()
    if not as_json and is_plain():
        show(found)
    code = 1 if found.failures else 0
    done = listener.units - len(found.failures)
    tell(f"{done} of {listener.units} cells in {time.perf_counter() - begin:.1f} s", "done")
    tell_failures(found.failures)
    tell(f"results: {found.folder / FILE}", "results", path=str(found.folder / FILE))
    if report and found.curves:
        code = report_folder(found.folder) or code
    if found.failures:
        tell("mend the causes and run the same command again: finished results are kept")
    return code


def show(found: FewShot) -> None:
    """The curves as a table, and the sentences."""
    if not found.curves:
        return
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    numbers = sorted({point.shots for curve in found.curves for point in curve.points})
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "task", "metric"):
        table.add_column(name, no_wrap=True)
    for shots in numbers:
        table.add_column(str(shots), justify="right")
    for name in ("", "a doubling brings", "seeds ±", "remarks"):
        table.add_column(name)
    for curve in found.curves:
        table.add_row(*(Text(one_line(cell)) for cell in _row(curve, numbers)))
    _print(table, console)
    width = min(console.width, WIDTH)
    say(_wrapped(COLUMNS, width))
    if controls := [(curve, point) for curve in found.curves for point in curve.points if point.labels or point.orders]:
        _print(_controls(controls), console)
        say(_wrapped(CONTROLS, width))
    say("")
    for sentence in found.sentences:
        print_lines(_wrapped(sentence, width))


def _print(table: Table, console: Console) -> None:
    with console.capture() as captured:
        console.print(table)
    say("")
    print_lines(captured.get().rstrip("\n"))


def _controls(found: Sequence[tuple[Curve, Point]]) -> Table:
    """What was tried beside the examples as they are, also where nothing came of it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "task", "examples", "as they are", "random labels", "true labels bring", "other orders"):
        table.add_column(name, no_wrap=name in ("model", "task"))
    for curve, point in found:
        orders = f"{number(min(point.orders))} to {number(max(point.orders))}" if point.orders else ""
        random = "" if point.random_labels is None else number(point.random_labels.value)
        labels = "" if point.labels is None else _measure(point.labels)
        row = (curve.model, curve.label, str(point.shots), number(point.score.value), random, labels, orders)
        table.add_row(*(Text(one_line(cell)) for cell in row))
    return table


def _measure(found: Estimate) -> str:
    """A difference with its interval, or in words where there is none on any item."""
    if found.value == found.ci_low == found.ci_high == 0:
        return "no difference on any item"
    return f"{number(found.value)} [{number(found.ci_low)}, {number(found.ci_high)}]"


def _row(curve: Curve, numbers: Sequence[int]) -> list[str]:
    points = {point.shots: point for point in curve.points}
    values = [point.score.value for point in curve.points]
    bars = sparkline(values, min(values), max(values))
    slope = ""
    if curve.slope is not None:
        slope = number(curve.slope.value) if curve.one_set else _measure(curve.slope)
    last = curve.points[-1]
    spread = "" if len(last.seeds) < 2 else number(last.spread.sd) if last.spread.sd else "none seen"
    cells = [number(points[shots].score.value) if shots in points else "" for shots in numbers]
    return [curve.model, curve.label, curve.metric, *cells, bars, slope, spread, "; ".join(_remarks(curve, last))]


def _remarks(curve: Curve, last: Point) -> list[str]:
    remarks = []
    if curve.hurts:
        remarks.append(f"worse than 0 with {', '.join(map(str, curve.hurts))}")
    if beyond := most_beyond(curve):
        remarks.append(beyond)
    if short := [point for point in curve.points if point.dropped]:
        remarks.append(f"from {short[0].shots} on, examples are dropped ({last.dropped:.0f} of {last.n} items)")
    return remarks


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return textwrap.fill(text, width)
