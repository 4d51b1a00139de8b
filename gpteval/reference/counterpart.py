"""A result's published number: which one was meant to measure the same, and whether it can be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gpteval.metrics.named import metric_registry
from gpteval.reference.comparability import OTHERWISE, SPLITS, UNITS, UNTOLD, UNTOLD_OF_GPT4, kind_of, paper_of
from gpteval.reference.published import Published, published_for
from gpteval.tasks.profiles import GPT4_PAPER, GPTEVAL, LM_EVAL, PAPER
from gpteval.tasks.registry import task_registry


def beside(
    models: Collection[str],
    task: str,
    metric: str,
    shots: int,
    *,
    split: str,
    limit: int | None,
    revision: str | None = None,
    profile: str = GPTEVAL,
    otherwise: Sequence[str] = (),
) -> Mapping[str, Any] | None:
    """What was published for a model under any of its names, on a task by a metric with so many examples.

    ``split``: the one that was evaluated; ``limit``: of which so many items; ``profile``: by whose protocol;
    ``otherwise``: what no source does. ``value``
    is in the metric's own unit. ``comparable`` is whether the numbers measure the same; if not, ``reasons`` says why
    not. Of several, one that is comparable is given, of lm-evaluation-harness before a paper's (under a paper's
    profile that paper's); ``others`` has those that differ from it.
    """
    rows = [
        row
        for row in published_for(task)
        if row.model in models and row.shots == str(shots) and _counts_the_same(row, metric)
    ]
    judged = [([*otherwise, *_reasons(row, task, split, limit, revision, profile)], row) for row in rows]
    if not judged:
        return None
    first = paper_of(task, profile) if profile in (PAPER, GPT4_PAPER) else "lm-eval"
    reasons, chosen = min(judged, key=lambda one: (len(one[0]) > 0, kind_of(one[1].source) != first))
    value = in_unit(chosen)
    others = [row for row in rows if row is not chosen and in_unit(row) != value]
    return {
        "value": value,
        "metric": chosen.metric,
        "source": chosen.source,
        "locator": chosen.locator,
        "notes": chosen.notes,
        "comparable": not reasons,
        "reasons": list(reasons),
        "others": [{"value": in_unit(row), "source": row.source, "locator": row.locator} for row in others],
    }


def in_unit(row: Published) -> float:
    """The value in the unit in which gpteval gives it: shares in 0..1."""
    return round(float(row.value) * UNITS.get(row.unit, 1.0), 10)


def _counts_the_same(row: Published, metric: str) -> bool:
    if metric == "word_perplexity" and row.metric == "perplexity":  # papers count words, other sources tokens
        return kind_of(row.source).endswith("paper")
    if metric in ("acc_token", "acc_uncond") and kind_of(row.source) != "GPT-3 paper":
        return False  # its accuracies are by likelihood per token, or against that without a context; no one else's are
    known = metric_registry()
    return metric in known and row.metric in known[metric].published_as


def _reasons(
    row: Published, task: str, split: str, limit: int | None, revision: str | None, profile: str
) -> Sequence[str]:
    kind = kind_of(row.source)
    found = []
    if limit is not None:
        found.append(f"{limit} items here")
    if revision is not None:
        found.append(f"revision {revision} of the model here")
    published, here = (SPLITS.get(name, name) for name in (row.split, split))
    if published in ("test", "validation", "train") and here in ("test", "validation", "train") and published != here:
        found.append(f"the {published} split there, {here} here")
    if profile == GPT4_PAPER:
        theirs = [UNTOLD_OF_GPT4.get(task, UNTOLD_OF_GPT4[""])]
        found += theirs if kind == paper_of(task, profile) else [f"the {paper_of(task, profile)}'s protocol here"]
    elif profile == PAPER:
        found += _by_the_paper(row, task, kind)
    elif kind == profile:
        pass
    elif otherwise := OTHERWISE.get((task, kind)):
        found.append(otherwise)
    elif kind == LM_EVAL and not _asks_as_lm_eval(task, int(row.shots)):
        found.append("not checked against lm-evaluation-harness's prompt")
    elif kind == "GPT-2 paper" and task == "lambada_openai":
        found += _lambada(row)
    elif kind != "lm-eval":
        found.append(f"the {kind}'s own protocol" if kind else "a way of measuring of its own")
    if "inferred" in row.notes:
        found.append("which accuracy it is, was inferred")
    return found


def _asks_as_lm_eval(task: str, shots: int) -> bool:
    known = task_registry().get(task)
    return known is not None and known.asks_as(LM_EVAL, shots)


def _by_the_paper(row: Published, task: str, kind: str) -> Iterable[str]:
    if kind != paper_of(task):
        return [f"the {paper_of(task)}'s protocol here"]
    if task == "lambada_openai" and row.metric != "perplexity":
        return ["without the stop-word filter"] if row.notes.startswith("WITHOUT") else [UNTOLD[task]]
    if task == "lambada_openai":
        return _lambada(row)
    return [UNTOLD[task]] if task in UNTOLD else []


def _lambada(row: Published) -> Iterable[str]:
    """GPT-2's own LAMBADA: its first figure counts as we do, its Table 3 filters stop words."""
    if row.metric == "perplexity":
        return ["the paper does not say of what its perplexity is; per last word others measured more"]
    return [] if row.notes.startswith("WITHOUT") else ["with the paper's stop-word filter"]
