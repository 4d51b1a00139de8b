"""Answers out of logs of other harnesses beside those of runs of ours: under one name, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gpteval.comparison.answers import Answers, of_log

_BLOCK = ", block "  # behind an item's name, where a text's blocks stand for it


def aligned(answers: Sequence[Answers]) -> list[Answers]:
    """The same answers; where some of a task are a log's, its items are called as runs of ours call those that were
    asked in the same words, and stand in one order. Of words that several items have, they meet in their order.
    """
    logged = {one.unit for one in answers if of_log(one)}
    whole = [_whole_texts(one) if one.unit in logged else one for one in answers]
    first: dict[tuple[str, int], Answers] = {}
    for one in sorted(whole, key=of_log):  # runs of ours come first
        first.setdefault(one.unit, one)
    found = []
    for one in whole:
        reference = first[one.unit]
        if one.unit in logged and one is not reference:
            named = _called_as(reference, one) if of_log(one) and not of_log(reference) else one
            one = _in_order_of(reference, named)
        found.append(one)
    return found


def _whole_texts(one: Answers) -> Answers:
    """With a row a text, where a row was a block of a text: a log has none."""
    if not one.texts:
        return one
    labels = np.asarray(one.texts)
    places = [int(np.flatnonzero(labels == text)[0]) for text in dict.fromkeys(one.texts)]
    ids, hashes = (tuple(column[at].partition(_BLOCK)[0] for at in places) for column in (one.ids, one.hashes))
    return replace(
        one,
        ids=ids,
        hashes=hashes,
        units=ids,
        stats=np.array([one.stats[labels == text].sum(axis=0) for text in dict.fromkeys(one.texts)]),
        truncated=one.truncated[places],
        golds=tuple(one.golds[at] for at in places),
        texts=(),
    )


def _called_as(ours: Answers, log: Answers) -> Answers:
    places: dict[str, list[int]] = {}
    for place, content in enumerate(ours.hashes):
        places.setdefault(content, []).append(place)
    found = [places[content].pop(0) if places.get(content) else None for content in log.hashes]
    ids = tuple(item if at is None else ours.ids[at] for item, at in zip(log.ids, found, strict=True))
    units = tuple(unit if at is None else ours.units[at] for unit, at in zip(log.units, found, strict=True))
    return replace(log, ids=ids, units=units)


def _in_order_of(reference: Answers, one: Answers) -> Answers:
    """Items that the reference has as they stand there, then the others."""
    last = len(reference.ids)
    order = sorted(range(len(one.ids)), key=lambda place: reference.places.get(one.ids[place], last))
    ids, hashes, units = (tuple(column[at] for at in order) for column in (one.ids, one.hashes, one.units))
    golds, stats, truncated = tuple(one.golds[at] for at in order), one.stats[order], one.truncated[order]
    return replace(one, ids=ids, hashes=hashes, units=units, golds=golds, stats=stats, truncated=truncated)
