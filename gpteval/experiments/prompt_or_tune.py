"""Prompting and tuning of one model on one task, side by side: what examples in the prompt bring, and what training on
them brings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.own import refuse_others
from gpteval.core.strict import strict_json
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import LoadOptions
from gpteval.run.config import RunConfig
from gpteval.run.runner import execute
from gpteval.run.units import Listener
from gpteval.tasks.task import Task
from gpteval.train.training_progress import TrainingProgress
from gpteval.tune.saved import read_tuned
from gpteval.tune.settings import Settings
from gpteval.tune.splits import split_of
from gpteval.tune.training import tune

FILE = "protocols.json"
UPDATES = 60  # at least, however few the examples


@dataclass(frozen=True)
class MethodScore:
    """Prompting or a method of tuning with so many examples. ``value`` and the interval's ends are means over
    ``seeds``, ``spread`` the seeds' standard deviation, ``metric`` what is measured: of a head's accuracies there is
    only acc. ``trained``: weights; ``seconds``: of training, the mean.
    """

    method: str
    examples: int
    seeds: int
    value: float
    ci_low: float | None
    ci_high: float | None
    spread: float | None
    trained: int
    seconds: float
    metric: str


@dataclass(frozen=True)
class Protocols:
    """``rows`` in the order asked; ``failures`` by what was tried; ``higher`` values are better."""

    model: str
    task: str
    higher: bool
    rows: tuple[MethodScore, ...]
    failures: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """From how many examples on tuning with each method is ahead of the best prompt."""
        prompted = [row for row in self.rows if not row.trained]
        if not prompted:
            return []
        best = max(prompted, key=lambda row: row.value if self.higher else -row.value)
        said = [f"the best prompt: {best.method}, {best.value:.3f}"]
        for method in dict.fromkeys(row.method for row in self.rows if row.trained):
            own = sorted((row for row in self.rows if row.method == method), key=lambda row: row.examples)
            first = _from_on(own, lambda row: (row.value > best.value) == self.higher and row.value != best.value)
            clear = _from_on(own, lambda row: self._clear(row, best))
            if first is None:
                said.append(f"{method}: not ahead of it with up to {own[-1].examples:,} examples")
            else:
                surely = f", its interval above the other's from {clear.examples:,} on" if clear else ""
                said.append(f"{method}: ahead of it from {first.examples:,} examples on{surely}")
        return said

    def _clear(self, row: MethodScore, best: MethodScore) -> bool:
        if None in (row.ci_low, row.ci_high, best.ci_low, best.ci_high):
            return False
        return row.ci_low > best.ci_high if self.higher else row.ci_high < best.ci_low  # type: ignore[operator]


def _from_on(rows: Sequence[MethodScore], holds: Callable[[MethodScore], bool]) -> MethodScore | None:
    """The first row from which on all hold."""
    found = None
    for row in reversed(rows):
        if not holds(row):
            break
        found = row
    return found


@dataclass(frozen=True)
class Conditions:
    """``shots``: examples in the prompt. ``sizes``: examples to train on, None is all; each with ``seeds`` seeds."""

    shots: tuple[int, ...]
    methods: tuple[str, ...]
    sizes: tuple[int | None, ...]
    seeds: int
    limit: int | None = None


def compare_prompting_and_tuning(
    info: ModelInfo,
    task: Task,
    out: Path,
    asked: Conditions,
    settings: Settings,
    load: LoadOptions,
    progress: TrainingProgress,
    listener: Listener,
    task_dirs: tuple[Path, ...] = (),
) -> Protocols:
    """Run and tune what is not there yet, and put it side by side in ``out``. What cannot be trained is a failure, and
    the others go on. Raises UsageError.
    """
    if asked.seeds < 1 or not (asked.shots or asked.methods):
        raise UsageError("nothing to compare", "name --shots, or --methods with --examples")
    refuse_others([out / FILE, out / "run" / "report.html"], "choose another folder with --out")
    config = RunConfig(
        models=(info.name if not info.local else info.location,),
        tasks=(task.label,),
        shots=asked.shots,
        limit=asked.limit,
        load=load,
        task_dirs=task_dirs,
        out=out / "run",
    )
    failures: list[str] = []
    folders: dict[tuple[str, int | None, int], Path] = {}
    for method in asked.methods:
        replace(settings, method=method)  # an unknown one is refused before anything is run
    if asked.methods:
        _ = split_of(task, examples=min((size for size in asked.sizes if size), default=None), seed=0)
    for method in asked.methods:
        for size in asked.sizes:
            for seed in range(asked.seeds):
                folder = out / "ft" / f"{method}-{size or 'all'}-seed{seed}"
                progress.stage(f"{method} on {size or 'all'} examples, seed {seed}")
                try:
                    if read_tuned(folder) is None:
                        tune(info, task, folder, _sized(settings, method, size, seed), load, progress)
                    folders[method, size, seed] = folder
                except GptevalError as error:
                    failures.append(f"{method} on {size or 'all'} examples: {error.message}")
    if asked.shots:
        failures += [f.error for f in execute(config, listener).failures]
    if folders:
        tuned = replace(config, models=tuple(map(str, folders.values())), shots=(0,))
        failures += [f.error for f in execute(tuned, listener).failures]
    document = json.loads((out / "run" / "results.json").read_text(encoding="utf-8"))
    results = [row for row in document["results"] if row["primary"]]
    rows = [_prompted(row) for row in results if row["protocol"] != "finetune"]
    for method in asked.methods:
        for size in asked.sizes:
            own = [folder for (m, s, _), folder in folders.items() if (m, s) == (method, size)]
            found = [row for row in results for folder in own if Path(row["model"]).name == folder.name]
            if found:
                rows.append(_tuned(method, own, found))
    higher = all(row["higher_is_better"] for row in results)
    made = Protocols(info.name, task.label, higher, tuple(rows), tuple(dict.fromkeys(failures)))
    document = asdict(made) | {"sentences": made.sentences}
    for row in document["rows"]:
        row["protocol"] = row["method"]  # its name before, for this version
    (out / FILE).write_text(strict_json(document, 1), encoding="utf-8")
    return made


def _sized(settings: Settings, method: str, size: int | None, seed: int) -> Settings:
    """Few examples are passed over as often as it takes for ``UPDATES`` updates, in batches no larger than they are."""
    if size is None:
        return replace(settings, method=method, examples=None, seed=seed)
    batch = min(settings.batch_size, size)
    epochs = max(settings.epochs, math.ceil(UPDATES / math.ceil(size / batch)))
    patience = max(settings.patience, epochs // 3)
    return replace(
        settings,
        method=method,
        examples=size,
        seed=seed,
        batch_size=batch,
        accumulate=1,
        epochs=epochs,
        patience=patience,
    )


def _prompted(row: dict[str, Any]) -> MethodScore:
    name = row["protocol"].replace("_", "-") if row["shots"] < 2 else f"{row['shots']}-shot"
    return MethodScore(name, row["shots"], 1, row["value"], row["ci_low"], row["ci_high"], None, 0, 0.0, row["metric"])


def _tuned(method: str, folders: Iterable[Path], rows: Sequence[dict[str, Any]]) -> MethodScore:
    about = [found for folder in folders if (found := read_tuned(folder))]
    values = [row["value"] for row in rows]
    ends = [[row[end] for row in rows if row[end] is not None] for end in ("ci_low", "ci_high")]
    low, high = (fmean(end) if end else None for end in ends)
    spread = stdev(values) if len(values) > 1 else None
    seconds = fmean(one.seconds for one in about)
    return MethodScore(
        method,
        about[0].examples,
        len(rows),
        fmean(values),
        low,
        high,
        spread,
        about[0].trained,
        seconds,
        rows[0]["metric"],
    )
