"""The view of scaling: mean score and bits per byte by parameters, and mean score by the compute of the training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from gpteval.core.generations import NAMES
from gpteval.core.show import signed, size
from gpteval.report.leaderboard import Leaderboard, RankedModel, margin
from gpteval.report.scatter import SCORE, Dot, published, scatter, score_points, scored, tasks_of, titled
from gpteval.report.view import Chart, View
from gpteval.stats.interval import normal_error
from gpteval.store.runs import Loaded, facts_of

ANSWER_BITS = "Bits per byte of right answers"
FEWEST = 3  # models: two are a line whatever they are
BITS, ANSWERS = "bits_per_byte", "bpb"


def scaling_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None of fewer than three sizes, or where the models share no task with right and wrong answers, and no text."""
    means = {one.model.name: one for one in scored(board) if one.model.n_params}
    models = {model.name: model for model in board.models if model.n_params}
    bits, answers = _means(_of_texts(board, models)), _means(_of_answers(loaded, models))
    facts = facts_of(loaded)
    flops = {name: known.flops for name in models if (known := published(name, facts.get(name))) and known.flops}
    charts = []
    if len({models[name].n_params for name in means}) >= FEWEST:
        found = [(one, float(one.model.n_params or 0), size(one.model.n_params)) for one in means.values()]
        figure = scatter(score_points(found), titled("parameters", "log"), titled(SCORE))
        charts.append(Chart("sizes", "Mean score by number of parameters.", figure, "Mean score by parameters"))
    for id_, means_of, what in (("sizes-bits", bits, "Bits per byte"), ("sizes-answers", answers, ANSWER_BITS)):
        if len({models[name].n_params for name in means_of}) >= FEWEST:
            points = [_bit_point(models[name], *value) for name, value in means_of.items()]
            figure = scatter(points, titled("parameters", "log"), titled("bits per byte, lower is better"))
            charts.append(Chart(id_, f"{what} by parameters.", figure, f"{what} by parameters"))
    if len({flops[name] for name in means if name in flops}) >= FEWEST:
        found = [(one, flops[name], f"{flops[name]:.1e} FLOPs") for name, one in means.items() if name in flops]
        figure = scatter(score_points(found), titled("training compute, FLOPs", "log"), titled(SCORE))
        charts.append(Chart("sizes-compute", "Mean score by training compute.", figure, "Mean score by training"))
    if not charts:
        return None
    return View(
        id="sizes",
        title="Scaling",
        intro=f"A point is a model. The mean score goes from 0 (guessing) to 100 (perfect), over {tasks_of(board)}; "
        "bits per byte are a mean over the texts that every model read (of right answers: over the tasks by whose bpb "
        "every model has a score), and a tokenizer that drops case or accents flatters them; bars "
        "are 95 % intervals over items. Training compute is what was published. Models of one size "
        "stand above each other; size does not explain what lies between them.",
        charts=tuple(charts),
        header=(
            "Model",
            "Generation",
            "Parameters",
            "Training FLOPs",
            "Mean score",
            "95 % interval",
            "Bits per byte",
            "Of answers",
        ),
        rows=tuple(
            (
                model.name,
                NAMES[model.generation],
                size(model.n_params),
                f"{flops[model.name]:.1e}" if model.name in flops else "–",
                signed(means[model.name].score) if model.name in means else "–",
                means[model.name].interval if model.name in means else "–",
                f"{bits[model.name][0]:.3f}" if model.name in bits else "–",
                f"{answers[model.name][0]:.3f}" if model.name in answers else "–",
            )
            for model in sorted(models.values(), key=lambda model: model.n_params or 0)
            if model.name in means or model.name in bits or model.name in answers
        ),
    )


def _bit_point(model: RankedModel, bits: float, error: float) -> Dot:
    return Dot(model, float(model.n_params or 0), bits, error, f"{size(model.n_params)}, {bits:.3f} ± {error:.3f}")


def _of_texts(board: Leaderboard, names: Iterable[str]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Each model's results in bits per byte of texts, by column."""
    columns = [column.id for column in board.columns if column.metric == BITS]
    return {name: {one: row for one in columns if (row := board.primary.get((name, one)))} for name in names}


def _of_answers(loaded: Loaded, names: Iterable[str]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Each model's results in bits per byte of right answers, by task and number of examples."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in names}
    for row in loaded.rows:
        if row["metric"] == ANSWERS and row["model"] in found and not row.get("part_of"):
            found[row["model"]][f"{row['task']}-{row['shots']}"] = row
    return found


def _means(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, tuple[float, float]]:
    """Each model's mean, and half its interval, over what every model with any has."""
    rows = {name: {c: row for c, row in own.items() if row.get("value") is not None} for name, own in rows.items()}
    rows = {name: own for name, own in rows.items() if own}
    shared = sorted(set.intersection(*(set(own) for own in rows.values()))) if rows else []
    found = {}
    for name, own in rows.items():
        errors = [error for column in shared if (error := normal_error(own[column])) is not None]
        if shared and len(errors) == len(shared):
            mean = fmean(own[column]["value"] for column in shared)
            found[name] = mean, margin(math.hypot(*errors) / len(errors))
    return found
