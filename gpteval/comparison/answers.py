"""A model's answers to a task, read from a run's files, and what makes two models' answers comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpteval.comparison.item_scores import ItemScores, resampled_units
from gpteval.core.errors import StoreError, UsageError
from gpteval.logs.log import PREFIX
from gpteval.metrics.base import Metric
from gpteval.metrics.stored import metric_of
from gpteval.stats.jackknife import TEXTS
from gpteval.store.documents import AGAIN, read_statistics
from gpteval.tasks.task import DEFAULT

PROMPTS = ("version", "revision", "profile", "shots_mode")  # facts that make prompts or data other ones
NOTED = ("seed", "limit", "stride", "dtype", "signature", "stale")  # facts that may differ, and are then told
FACTS = (*PROMPTS, *NOTED, "judged", "until_decided")  # ``Answers.facts`` has these

TaskShots = tuple[str, int]  # what is run: a task and its number of examples


@dataclass(frozen=True)
class Answers(ItemScores):
    """What a run's files say of one model on one task.

    ``task`` has the template behind its name where that is another prompt than the task's own. ``hashes``: of the
    prompts. ``truncated``: the window did not hold all of the prompt. ``facts``: what comparability depends on.
    ``golds``: what is right of each item, None where a file does not tell. ``texts``: where the items are blocks of a
    few long texts, the text of each. ``training`` and ``step``: of a checkpoint.
    """

    chance: float | None
    hashes: tuple[str, ...]
    truncated: NDArray[np.bool_]
    facts: Mapping[str, Any]
    golds: tuple[object, ...] = ()
    texts: tuple[int, ...] = ()
    training: str = ""
    step: int | None = None

    @property
    def base(self) -> str:
        """The task without its template: what the items belong to."""
        return self.task.removesuffix(f":{self.template}")

    @property
    def unit(self) -> TaskShots:
        """What is run: the task and its number of examples."""
        return self.task, self.shots

    @cached_property
    def n_units(self) -> int:
        return len(set(self.units))

    @property
    def centre(self) -> tuple[float, float] | None:
        """Chance and the width from chance to perfect, for metrics of the accuracy type; None for others."""
        return centre(self.metric, self.chance)


def centre(metric: Metric, chance: float | None) -> tuple[float, float] | None:
    """Chance level and width of the scale above it, where a score can be said to lie between guessing and perfect.

    These are the metrics with a chance level, and right answers that guessing does not find (the last word of a
    passage, an exact match): their chance is 0. BLEU, ROUGE and perplexities have no such score.
    """
    chance = metric.floor if chance is None else chance
    if metric.scale is None or chance is None or chance >= metric.scale:
        return None
    return chance, metric.scale - chance


def read_answers(
    run: Path,
    rows: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    files: Mapping[tuple[Any, ...], Path],
    remarks: list[str],
) -> list[Answers]:
    """The answers behind ``rows`` of a run's results.json, one metric each; ``files`` by (model, task, shots).

    ``remarks`` is told of metrics that cannot be computed here.

    Raises UsageError for a row whose samples are missing, StoreError for samples that cannot be read.
    """
    found = []
    for row in rows:
        metric = metric_of(row)
        if metric is None:
            remarks.append(f"{row['task']} is left out: {row['metric']} is no metric that is known here")
        if metric is None or row.get("value") is None:
            continue
        path = files.get((row["model"], row["task"], row["shots"]))
        if path is None and str(row.get("profile")).startswith(PREFIX):
            remarks.append(f"{row['model']} is not compared on {row['task']}: its log has no items")
            continue
        if path is None:
            raise UsageError(
                f"{run} has no samples of {row['model']} on {row['task']} ({row['shots']}-shot)",
                "a comparison needs each item's answers: run the same command again",
            )
        one = _answers_of(row, metric, path, manifest)
        if one is not None:
            found.append(one)
    return found


def _answers_of(row: Mapping[str, Any], metric: Metric, path: Path, manifest: Mapping[str, Any]) -> Answers | None:
    """The answers behind a row, of its samples' file; None where no item has this metric."""
    columns = read_statistics(path)
    golds = zip(columns["gold"], columns["references"], strict=True)
    columns["golds"] = [gold if texts is None else tuple(texts) for gold, texts in golds]
    rows_of = [place for place, stats in enumerate(columns["stats"]) if metric.name in stats]
    if not rows_of:
        return None
    texts: tuple[int, ...] = ()
    if type(metric).blocks is not Metric.blocks and len(rows_of) < TEXTS:
        columns, texts = _in_blocks(columns, rows_of, metric.name)
        rows_of = list(range(len(columns["item_id"])))
    ids, hashes, clusters, truncated, all_stats = (
        [columns[name][place] for place in rows_of]
        for name in ("item_id", "prompt_hash", "cluster", "truncated", "stats")
    )
    try:
        stats = np.array([of_item[metric.name] for of_item in all_stats], dtype=float)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error
    return Answers(
        model=row["model"],
        generation=row["generation"],
        n_params=row.get("n_params"),
        task=row["task"],
        family=row["family"],
        shots=row["shots"],
        metric=metric,
        chance=row.get("chance"),
        ids=tuple(ids),
        hashes=tuple(hashes),
        units=resampled_units(row["task"], ids, clusters),
        stats=stats,
        truncated=np.array(truncated, dtype=bool),
        facts=_facts(row, manifest),
        golds=tuple(columns["golds"][place] for place in rows_of),
        texts=texts,
        template=row.get("template") or DEFAULT,
        training=(row.get("model_family") or "") if row.get("step") is not None else "",
        step=row.get("step"),
    )


def _in_blocks(
    columns: Mapping[str, list[Any]], rows: Sequence[int], metric: str
) -> tuple[dict[str, list[Any]], tuple[int, ...]]:
    """The columns of a few texts with a row a block, and each block's text; as they are where one has no blocks."""
    kept = {name: [column[place] for place in rows] for name, column in columns.items()}
    if not all(kept["blocks"]):
        return kept, ()
    texts = tuple(text for text, blocks in enumerate(kept["blocks"]) for _ in blocks)
    numbers = [number for blocks in kept["blocks"] for number in range(len(blocks))]
    cells = list(zip(texts, numbers, strict=True))
    return {
        "item_id": [f"{kept['item_id'][text]}, block {number:06d}" for text, number in cells],
        "prompt_hash": [f"{kept['prompt_hash'][text]}, block {number}" for text, number in cells],
        "cluster": [None] * len(cells),
        "truncated": [kept["truncated"][text] for text, _ in cells],
        "golds": [None] * len(cells),
        "stats": [{metric: kept["blocks"][text][number]} for text, number in cells],
    }, texts


def _facts(row: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    config = manifest.get("config") or {}
    task = (manifest.get("tasks") or {}).get(row["task"]) or {}
    model = (manifest.get("models") or {}).get(row["model"]) or {}
    return {
        "version": task.get("version"),
        "revision": task.get("revision"),
        "profile": row.get("profile"),
        "shots_mode": config.get("shots_mode") if row["shots"] else None,
        "seed": config.get("seed") if row["shots"] or config.get("limit") else None,
        "limit": config.get("limit"),
        "until_decided": config.get("until_decided"),
        "stride": config.get("stride"),
        "dtype": model.get("dtype"),
        "signature": row.get("signature") or None,
        "judged": str(row.get("judged") or "").partition("-")[0] or None,
        "stale": row.get("stale") or None,
    }


@dataclass(frozen=True)
class Match:
    """Where two models' answers meet. ``differ``: facts that make prompts or data other ones; ``noted``: others.

    ``a`` and ``b`` are the places of the shared items in each.
    """

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    differ: tuple[str, ...]
    noted: tuple[str, ...]


def match(a: Answers, b: Answers) -> Match:
    """Join by item and prompt; items whose prompts differ are told in ``differ`` and are then joined by item alone."""
    noted = [_both(fact, a, b) for fact in NOTED if a.facts[fact] != b.facts[fact]]
    noted += [f"{one.model} was not run here" for one in (a, b) if of_log(one)]
    if a.ids == b.ids and a.hashes == b.hashes and a.golds == b.golds:
        everywhere = np.arange(len(a.ids))
        return Match(everywhere, everywhere, tuple(_differ(a, b, ())), tuple(noted))
    shared = [(place, b.places[item]) for place, item in enumerate(a.ids) if item in b.places]
    only = len(a.ids) + len(b.ids) - 2 * len(shared)
    if only:
        noted.append(f"{only} items that only one of them answered are left out")
    places = np.array(shared, dtype=np.intp).reshape(-1, 2)
    return Match(places[:, 0], places[:, 1], tuple(_differ(a, b, shared)), tuple(noted))


def of_log(one: Answers) -> bool:
    """Whether they were read from a log of another harness."""
    return str(one.facts["profile"]).startswith(PREFIX)


def _differ(a: Answers, b: Answers, shared: Sequence[tuple[int, int]]) -> list[str]:
    """What makes answers to shared items answers to other questions, or judged otherwise."""
    same_words = of_log(a) != of_log(b)  # by which they were joined
    found = [_both(fact, a, b) for fact in PROMPTS if a.facts[fact] != b.facts[fact] and not same_words]
    prompts = sum(a.hashes[x] != b.hashes[y] for x, y in shared)
    right = [(a.golds[x], b.golds[y]) for x, y in shared]
    golds = sum(None not in both and both[0] != both[1] for both in right)
    found += [f"{what} of {n} of {len(shared)} items" for what, n in (("prompts", prompts), ("golds", golds)) if n]
    if a.facts["judged"] and b.facts["judged"] and a.facts["judged"] != b.facts["judged"]:
        found.append(f"what {a.metric.name} is, or its chance level")
    return found


def _both(fact: str, a: Answers, b: Answers) -> str:
    one, two = (a.facts[fact], b.facts[fact])
    if fact == "signature" and not (one and two):
        return f"signature of {a.model if one else b.model} alone: {one or two}"
    return f"{fact} {'unknown' if one == '' else one} and {'unknown' if two == '' else two}"
