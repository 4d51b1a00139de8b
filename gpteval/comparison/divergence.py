"""How far two models of one tokenizer are apart at each place of the texts that both read: KL divergence, agreement.

Kept are the likeliest tokens of each place (``run --top-logprobs K``). Tokens that both models have among theirs stand
for themselves, all others together for one: the divergence of these is never more than that of all tokens (the data
processing inequality), and is the whole where K is the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpteval.core.errors import StoreError, UnknownNameError, UsageError
from gpteval.core.generations import GENERATIONS, generation_of
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Request, Rolling
from gpteval.metrics.base import Floats, Metric, divide
from gpteval.stats.interval import Estimate, estimate
from gpteval.stats.jackknife import TEXTS
from gpteval.store.documents import AGAIN, read_samples
from gpteval.store.runs import RunNames, Runs, read_runs

BLOCK = 128  # places of a text that count as one unit, where there are few texts
_CELLS = 2**24  # places by tokens at a time
_LEAST = 1e-8  # of the probability of all other tokens: what float32 leaves of it
KEPT = ("item_id", "tokens", "top_tokens", "top_logprobs")


class _OverTokens(Metric):
    """A mean over the tokens of all texts. Statistics of a text: the sum, and how many."""

    requests = (Rolling,)

    scale = None

    def __init__(self, name: str) -> None:
        self.name = name

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        raise NotImplementedError("it is of two models")

    def value(self, sums: Floats) -> Floats:
        return divide(sums[..., 0], sums[..., 1])

    def sizes(self, stats: Floats) -> Floats:
        return stats[:, 1]


KL, SAME = _OverTokens("kl"), _OverTokens("same_token")


@dataclass(frozen=True)
class Divergence:
    """Of ``model`` from ``reference`` on a task's texts.

    ``kl``: of what the reference says from what the model says, in nats a token, at least. ``most``: what 99 of 100
    places are below. ``same``: the share of places at which both have the same likeliest token. ``covered``: the mean
    share of the reference's probability that is on tokens which both have among their likeliest.
    """

    reference: str
    model: str
    task: str
    tokens: int
    kl: Estimate
    most: float
    same: Estimate
    covered: float


@dataclass(frozen=True)
class Divergences:
    """``remarks``: which pairs cannot be held against each other, and why."""

    pairs: tuple[Divergence, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class LikeliestTokens:
    """At n places: the text's tokens [n], the K likeliest ones [n, K] and their log-probabilities [n, K]."""

    tokens: NDArray[np.int64]
    ids: NDArray[np.int64]
    logprobs: Floats


def divergences(runs: Runs | RunNames, *, baseline: str | None = None) -> Divergences:
    """Of each pair of models that read the same texts; the reference is the earlier or smaller one, or ``baseline``.

    Raises UsageError where no two models have kept their likeliest tokens, UnknownNameError for the baseline.
    """
    data = read_runs(runs)
    rows = {row["model"]: row for row in data.merged.rows}
    if baseline is not None and baseline not in rows:
        raise UnknownNameError("model", baseline, rows, "these runs have others")
    order = sorted(rows, key=lambda name: (name != baseline, *_place(rows[name])))
    pairs, remarks = [], []
    for (task, shots), files in data.merged.samples.items():
        kept = {name: found for name in order if not shots and name in files and (found := _read(files[name]))}
        for reference, model in combinations(kept, 2):
            if baseline in (None, reference):
                shared, why = _shared(kept[reference], kept[model])
                if shared:
                    pairs.append(_divergence(reference, model, task, shared))
                else:
                    remarks.append(f"{model} and {reference} on {task}: {why}")
    if not pairs and not remarks:
        raise UsageError(
            "no two models of these runs have kept their likeliest tokens on a text",
            "run them with --top-logprobs 50 on tasks that score whole texts, such as wikitext2 or text:FILE",
        )
    return Divergences(tuple(pairs), tuple(remarks))


def at_places(reference: LikeliestTokens, model: LikeliestTokens) -> Floats:
    """Of each place: the divergence, whether both have the same likeliest token, the covered share. [3, n]."""
    found = np.empty((3, len(reference.tokens)))
    width = 1 + int(max(reference.ids.max(), model.ids.max()))
    step = max(1, _CELLS // width)
    for begin in range(0, len(reference.tokens), step):
        part = slice(begin, begin + step)
        ours, theirs, logs = reference.ids[part], model.ids[part], reference.logprobs[part]
        every = np.full((len(theirs), width), np.nan)
        np.put_along_axis(every, theirs, model.logprobs[part], axis=1)
        others = np.take_along_axis(every, ours, axis=1)
        both = ~np.isnan(others)
        shares = np.where(both, np.exp(logs), 0.0)
        covered, theirs_covered = shares.sum(axis=1), np.where(both, np.exp(others), 0.0).sum(axis=1)
        rest, other_rest = (np.maximum(1 - share, _LEAST) for share in (covered, theirs_covered))
        kl = (shares * np.where(both, logs - others, 0.0)).sum(axis=1) + rest * np.log(rest / other_rest)
        found[:, part] = np.maximum(kl, 0.0), ours[:, 0] == theirs[:, 0], np.minimum(covered, 1.0)
    return found


def _place(row: Mapping[str, Any]) -> tuple[object, ...]:
    return GENERATIONS.index(generation_of(row["generation"])), row.get("n_params") or 0, row.get("step") or 0


def _read(file: Path) -> dict[str, LikeliestTokens]:
    """Each text's places, where they were kept. Raises StoreError where a row does not fit together."""
    found = {}
    for row in read_samples(file, list(KEPT)):
        if row.get("tokens"):
            try:
                tokens, ids, logprobs = (np.asarray(row[name]) for name in KEPT[1:])
                shape = len(tokens), len(ids) // len(tokens)
                places = LikeliestTokens(tokens, ids.reshape(shape), logprobs.reshape(shape).astype(float))
            except (ValueError, TypeError) as error:
                raise StoreError(f"{file.name} cannot be read: {error}", AGAIN) from error
            found[row["item_id"]] = places
    return found


def _shared(
    reference: Mapping[str, LikeliestTokens], model: Mapping[str, LikeliestTokens]
) -> tuple[list[tuple[LikeliestTokens, LikeliestTokens]], str]:
    """The texts that both read in the same tokens; where there is none, why."""
    both = [(places, model[item]) for item, places in reference.items() if item in model]
    if not both:
        return [], "they share no text"
    same = [(a, b) for a, b in both if np.array_equal(a.tokens, b.tokens)]
    return same, "" if same else "their tokenizers part the texts differently, so that places do not meet"


def _divergence(
    reference: str, model: str, task: str, texts: Sequence[tuple[LikeliestTokens, LikeliestTokens]]
) -> Divergence:
    found = [at_places(a, b) for a, b in texts]
    whole = np.concatenate(found, axis=1)
    return Divergence(
        *(reference, model, task, whole.shape[1]),
        kl=_mean(KL, [of_text[0] for of_text in found], math.inf),
        most=float(np.quantile(whole[0], 0.99)),
        same=_mean(SAME, [of_text[1] for of_text in found], 1.0),
        covered=float(whole[2].mean()),
    )


def _mean(metric: Metric, texts: Sequence[Floats], most: float) -> Estimate:
    """From 0 to ``most``, over texts; of a few over their blocks, whose neighbours are alike (``stats.jackknife``)."""
    if len(texts) >= TEXTS:
        found = estimate(metric, np.array([(text.sum(), len(text)) for text in texts]))
        return _within(found, most)
    blocks = [(number, block) for number, text in enumerate(texts) for block in _blocks(text)]
    stats = np.array([(block.sum(), len(block)) for _, block in blocks])
    return _within(estimate(metric, stats, texts=[number for number, _ in blocks]), most)


def _within(found: Estimate, most: float) -> Estimate:
    """NaN, no interval, stays so."""
    low, high = (end if math.isnan(end) else min(max(end, 0.0), most) for end in (found.ci_low, found.ci_high))
    return replace(found, ci_low=low, ci_high=high)


def _blocks(text: Floats) -> Iterator[Floats]:
    """About 128 places each; what is left, shorter than half of that, belongs to the last one."""
    count = max(1, round(len(text) / BLOCK))
    yield from np.array_split(text, count)
