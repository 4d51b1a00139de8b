"""``gpteval fewshot``: what examples in the prompt do, as curves over their number, seeds and templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpteval.comparison.compare import of_one
from gpteval.core.errors import UsageError
from gpteval.core.outcomes import Failure, Record, Result
from gpteval.core.own import refuse_others
from gpteval.core.show import listed
from gpteval.experiments.cells import Cell, make_cell
from gpteval.experiments.curves import Curve, grids, make_curve
from gpteval.experiments.sensitivity import Best, Ranking, TemplateRange, best_prompts, rankings, template_ranges
from gpteval.experiments.words import sentences
from gpteval.metrics.base import Metric
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import LoadOptions
from gpteval.run.bars import default_listener
from gpteval.run.config import RunConfig, by_present_names
from gpteval.run.runner import execute
from gpteval.run.units import Listener, Listeners, Unit
from gpteval.store.folder import ANOTHER, SCHEMA, RunFolder

if TYPE_CHECKING:
    import pandas

SHOTS = (0, 1, 2, 4, 8)
SEEDS = 5
FILE = "fewshot.json"


@dataclass(frozen=True)
class FewShot:
    """What an experiment says; the rows of ``fewshot.json``. ``folder`` holds it and the run."""

    folder: Path
    curves: tuple[Curve, ...]
    templates: tuple[TemplateRange, ...]
    rankings: tuple[Ranking, ...]
    best: tuple[Best, ...]
    sentences: tuple[str, ...]
    failures: tuple[Failure, ...]

    def __fspath__(self) -> str:
        return str(self.folder)

    def _repr_html_(self) -> str:
        """In a notebook: the sentences, and the curves as a table."""
        said = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences)
        return said + str(self.to_frame().to_html(index=False))

    def to_frame(self) -> pandas.DataFrame:
        """A row a model, task, template and number of examples."""
        import pandas as pd

        rows = []
        for curve in self.curves:
            for point in curve.points:
                rows.append(
                    {
                        "model": curve.model,
                        "generation": curve.generation,
                        "n_params": curve.n_params,
                        "task": curve.task,
                        "template": curve.template,
                        "metric": curve.metric,
                        "shots": point.shots,
                        "value": point.score.value,
                        "ci_low": point.score.ci_low,
                        "ci_high": point.score.ci_high,
                        "n": point.n,
                        "seeds": len(point.seeds),
                        "seed_sd": point.spread.sd,
                        "dropped": point.dropped,
                        "random_labels": None if point.random_labels is None else point.random_labels.value,
                    }
                )
        return pd.DataFrame(rows)


class _Collector(Listener):
    """Keeps a cell of every unit, by its primary metric or the one of this name; ``without``: tasks that lack it."""

    def __init__(self, metric: str = "") -> None:
        self.metric = metric
        self.cells: list[Cell] = []
        self.without: dict[str, None] = {}
        self._records: list[Record] = []  # of the unit that is being finished

    def unit_recorded(self, unit: Unit, info: ModelInfo, metrics: Sequence[Metric], records: Sequence[Record]) -> None:
        self._records += records
        self._of = info, counting(metrics, self.metric)

    def unit_done(self, unit: Unit, results: Sequence[Result]) -> None:
        info, metric = self._of
        if metric is None or (self.metric and not any(metric.name in record.stats for record in self._records)):
            self.without[unit.task.name] = None
        else:
            self.cells.append(make_cell(unit, info, metric, self._records))
        self._records = []

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        self._records = []


def counting(metrics: Sequence[Metric], asked: str) -> Metric | None:
    """Which of a task's metrics counts: its primary one, or the one of this name; None where it lacks that."""
    return next((metric for metric in metrics if metric.name == asked), None) if asked else metrics[0]


def run_fewshot(config: RunConfig, listener: Listener | None = None, metric: str = "") -> FewShot:
    """Run the experiment's units, and write ``fewshot.json`` beside the run's results.

    ``metric``: takes the place of each task's own; tasks that cannot have it are left out, and a sentence says so.
    Tasks that score whole texts take no examples and are left out. Raises UsageError before any work when a name is
    unknown, the folder cannot be used, or nothing is left; what fails later is in ``failures``.
    """
    of_one(metric)
    config = replace(config, tasks_with_examples=True, metrics=(metric,) if metric else config.metrics)
    refuse_others([config.folder / FILE], ANOTHER)
    collector = _Collector(metric)
    outcome = execute(config, Listeners(collector, listener or Listener()))
    found = analyse(collector.cells, seed=config.seed, per_item=config.shots_mode == "per-item")
    if collector.without:
        if not collector.cells:
            raise UsageError(
                f"none of these tasks can be scored by {metric}", "'gpteval tasks NAME' has a task's metrics"
            )
        left_out = f"{listed(list(collector.without))} cannot be scored by {metric}: left out."
        found = replace(found, sentences=(*found.sentences, left_out))
    experiment = replace(found, folder=outcome.folder, failures=outcome.failures)
    write(experiment, config)
    return experiment


def analyse(cells: Sequence[Cell], *, seed: int = 0, per_item: bool = False) -> FewShot:
    """What the cells say; ``folder`` and ``failures`` are those of no run. ``per_item``: as in ``curves.Grid``."""
    of_prompts = grids(cells, seed=seed, per_item=per_item)
    curves = tuple(make_curve(grid) for grid in of_prompts)
    ranked = rankings(of_prompts, seed=seed)
    return FewShot(
        folder=Path(),
        curves=curves,
        templates=template_ranges(of_prompts),
        rankings=ranked,
        best=best_prompts(of_prompts),
        sentences=tuple(sentences(curves, ranked)),
        failures=(),
    )


def write(experiment: FewShot, config: RunConfig) -> None:
    """``fewshot.json``. Raises StoreError."""
    folder = RunFolder(experiment.folder)
    try:
        document = asdict(experiment)
        document.pop("folder")
        for point in (point for curve in document["curves"] for point in curve["points"]):
            point["room"] = point["uncut"]  # its name before, for this version
        asked = {
            "shots": list(config.shots or ()),
            "seeds": config.seeds,
            "templates": list(config.templates),
            "controls": list(config.controls),
        }
        settings = config.settings | asked
        folder.write_json(FILE, {"schema": SCHEMA, "run": {"command": config.command}, "settings": settings} | document)
    finally:
        folder.close()


def fewshot(
    models: str | Sequence[str],
    tasks: str | Sequence[str],
    *,
    shots: Sequence[int] = SHOTS,
    seeds: int = SEEDS,
    templates: str | Sequence[str] = "default",
    controls: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    metric: str = "",
    listener: Listener | None = None,
    **settings: Any,
) -> FewShot:
    """Curves of ``models`` on ``tasks`` over ``shots``; what ``gpteval fewshot`` does, without its report.

    ``seeds``: how many sets of examples. ``templates``: names, or ``all``. ``controls``: ``random-labels`` and
    ``order``. ``metric``: takes the place of each task's own. ``settings`` are further fields of
    :class:`gpteval.run.config.RunConfig`. Raises as ``run_fewshot``.
    """
    config = RunConfig(
        models=(models,) if isinstance(models, str) else tuple(models),
        tasks=(tasks,) if isinstance(tasks, str) else tuple(tasks),
        shots=tuple(sorted(set(shots))),
        limit=limit,
        seed=seed,
        templates=(templates,) if isinstance(templates, str) else tuple(templates),
        seeds=seeds,
        controls=tuple(controls),
        out=None if out is None else Path(out),
        load=LoadOptions(device=device, dtype=dtype),
        **({"shots_mode": "fixed"} | by_present_names(settings)),
    )
    listener = listener or default_listener()
    try:
        return run_fewshot(config, listener, metric)
    finally:
        listener.close()
