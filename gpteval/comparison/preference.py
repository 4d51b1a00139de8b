"""Which of two models' texts a third one prefers: what it is asked, and what its answers come to.

Each pair of texts is shown in both orders. A judge that takes what stands first, whatever it says, contradicts itself
then: its verdict is half a win for either, and is counted as turned (Zheng et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.core.outcomes import Failed, Outcome, Scored
from gpteval.core.types import Choice, Prompt, Request
from gpteval.metrics.base import MeanMetric
from gpteval.metrics.choice import prediction
from gpteval.stats.interval import Estimate, estimate, proportion
from gpteval.store.documents import read_samples
from gpteval.store.runs import Loaded

LETTERS = (" A", " B", " C")
READ = ("item_id", "prompt", "cluster", "generated", "values", "error")
FIRST, SECOND, EQUAL = 0, 1, 2  # what a judge may answer
WORTHLESS = 0.5  # share of turned verdicts from which a judge says more of the order than of the texts


class _Wins(MeanMetric):
    name = "prefer"

    def score(self, request: Request, outcome: Outcome) -> float:
        raise NotImplementedError("it is of two models")


@dataclass(frozen=True)
class Matter:
    """Two texts of one item. ``values``: of each model, by metric."""

    item: str
    cluster: str
    prompt: str
    texts: tuple[str, str]
    values: tuple[Mapping[str, float | None], Mapping[str, float | None]]

    @property
    def same(self) -> bool:
        return self.texts[0].split() == self.texts[1].split()

    def prompts(self) -> tuple[Prompt, Prompt]:
        """What the judge is asked: with the first model's text first, and with the second's."""
        return (
            Prompt(f"{self.item}#1", asked(self.prompt, *self.texts)),
            Prompt(f"{self.item}#2", asked(self.prompt, *self.texts[::-1])),
        )


@dataclass(frozen=True)
class Contest:
    """Two models on a task, and the texts that a judge is asked about. ``left_out``: items that one of them has no text
    for.
    """

    task: str
    shots: int
    model_a: str
    model_b: str
    metric: str
    matters: tuple[Matter, ...]
    left_out: int

    @property
    def unlike(self) -> list[Matter]:
        """Those about which there is something to ask."""
        return [matter for matter in self.matters if not matter.same]


@dataclass(frozen=True)
class Agreement:
    """On ``n`` items both the judge and a metric prefer one of the two; on the share ``value`` of them the same one."""

    metric: str
    value: float
    ci_low: float
    ci_high: float
    n: int


@dataclass(frozen=True)
class Preference:
    """``share``: of wins of ``model_a``, ties and turned verdicts counted as half, over ``n`` items. ``same``: of these
    the two texts are one. ``turned``: of those that were ``asked`` the verdict changes with the order; ``first``: how
    often, of all answers that prefer one, the text that stood first was preferred. ``unanswered``: items without a
    verdict, which count nowhere else; ``cut``: questions that did not fit the judge's window.
    """

    judge: str
    task: str
    shots: int
    model_a: str
    model_b: str
    share: Estimate
    n: int
    wins_a: int
    wins_b: int
    ties: int
    same: int
    asked: int
    turned: int
    first: float
    unanswered: int
    left_out: int
    cut: int
    agreements: tuple[Agreement, ...]

    @property
    def caution(self) -> str:
        """What the numbers of this judge are worth, where that is little; "" else."""
        if self.worthless:
            return f"the verdict changes with the order on {self.turned} of {self.asked} items: it is worth nothing"
        own = self.judge.rpartition(":")[2] in (name.rpartition(":")[2] for name in (self.model_a, self.model_b))
        return f"{self.judge} judges its own texts" if own else ""

    @property
    def worthless(self) -> bool:
        """Whether the order decides on as many items as the texts do, or more."""
        return bool(self.asked) and self.turned / self.asked >= WORTHLESS


def asked(task: str, first: str, second: str) -> Choice:
    """The question. No answer of it is right: ``gold`` says nothing."""
    text = (
        "Two answers to a task follow. Which of them does better what the task asks for?\n\n"
        f"The task:\n{task.strip()}\n\nAnswer 1:\n{first.strip()}\n\nAnswer 2:\n{second.strip()}\n\n"
        "A. Answer 1 is better\nB. Answer 2 is better\nC. Both are equally good\nAnswer:"
    )
    return Choice(text, LETTERS, gold=0)


def contests(data: Loaded, *, baseline: str | None = None, limit: int | None = None) -> list[Contest]:
    """Each pair of models on each task whose answers are texts; those with ``baseline`` only. ``limit``: so many of
    their common items. Raises UsageError where there is none, UnknownNameError for the baseline.
    """
    primary = {(row["task"], row["shots"]): row["metric"] for row in data.rows if row["primary"]}
    names = list(dict.fromkeys(row["model"] for row in data.rows))
    if baseline is not None and baseline not in names:
        raise UnknownNameError("model", baseline, names, "these runs have others")
    found = []
    for (task, shots), files in data.samples.items():
        texts = {name: rows for name in names if name in files and (rows := _texts(files[name]))}
        for a, b in combinations(texts, 2):
            if baseline in (None, a, b):
                matters, left_out = _matters(texts[a], texts[b])
                if matters:
                    metric = primary.get((task, shots), "")
                    found.append(Contest(task, shots, a, b, metric, tuple(matters[:limit]), left_out))
    if not found:
        raise UsageError(
            "no two models of these runs have written texts for the same items",
            "run them on tasks that ask for texts, such as summaries or translations",
        )
    return found


def _texts(file: Path) -> dict[str, dict[str, Any]]:
    """The rows of a file whose answers are texts, by item; empty for one of choices or whole texts."""
    rows = read_samples(file, [*READ, "choices"])
    return {row["item_id"]: row for row in rows if not row.get("choices") and row.get("generated") is not None}


def _matters(a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]) -> tuple[list[Matter], int]:
    both = [
        item for item in sorted(a) if item in b and a[item]["prompt"] and a[item]["error"] is None is b[item]["error"]
    ]
    made = [
        Matter(
            item,
            a[item].get("cluster") or "",
            a[item]["prompt"],
            (a[item]["generated"], b[item]["generated"]),
            (a[item]["values"], b[item]["values"]),
        )
        for item in both
    ]
    return made, len(set(a) | set(b)) - len(both)


def preference(judge: str, contest: Contest, outcomes: Mapping[str, tuple[Outcome, Outcome]]) -> Preference:
    """What a judge's answers come to. ``outcomes``: by item, those to both questions; none of texts that are one."""
    verdicts: dict[str, float] = {}
    wins = [0, 0]
    same = ties = turned = unanswered = cut = firsts = chosen = 0
    asked_of = 0
    for matter in contest.matters:
        if matter.same:
            same, ties = same + 1, ties + 1
            verdicts[matter.item] = 0.5
            continue
        both = outcomes[matter.item]
        cut += sum(isinstance(one, Scored) and bool(one.tokens_cut) for one in both)
        said = [verdict for one in both if (verdict := _said(one)) is not None]
        if len(said) < len(both):
            unanswered += 1
            continue
        asked_of += 1
        firsts += sum(one == FIRST for one in said)
        chosen += sum(one != EQUAL for one in said)
        by_model = said[0], {FIRST: SECOND, SECOND: FIRST}.get(said[1], EQUAL)
        if by_model[0] != by_model[1]:
            turned += 1
            verdicts[matter.item] = 0.5
        elif by_model[0] == EQUAL:
            ties += 1
            verdicts[matter.item] = 0.5
        else:
            winner = by_model[0]
            wins[winner] += 1
            verdicts[matter.item] = 1.0 - winner
    share = _share(contest, verdicts)
    if asked_of and turned / asked_of >= WORTHLESS:
        share = Estimate(share.value, n=share.n, why="the order decides, not the texts")
    return Preference(
        *(judge, contest.task, contest.shots, contest.model_a, contest.model_b),
        share=share,
        n=len(verdicts),
        wins_a=wins[0],
        wins_b=wins[1],
        ties=ties,
        same=same,
        asked=asked_of,
        turned=turned,
        first=firsts / chosen if chosen else float("nan"),
        unanswered=unanswered,
        left_out=contest.left_out,
        cut=cut,
        agreements=tuple(_agreements(contest, verdicts)),
    )


def _said(outcome: Outcome) -> int | None:
    if isinstance(outcome, Failed) or not isinstance(outcome, Scored):
        return None
    return prediction(Choice("-", LETTERS, 0), outcome)


def _share(contest: Contest, verdicts: Mapping[str, float]) -> Estimate:
    stats = np.array([[verdict, 1.0] for verdict in verdicts.values()])
    clusters = [matter.cluster or matter.item for matter in contest.matters if matter.item in verdicts]
    return estimate(_Wins(), stats, clusters=clusters)


def _agreements(contest: Contest, verdicts: Mapping[str, float]) -> Iterator[Agreement]:
    names = dict.fromkeys(name for matter in contest.matters for name in matter.values[0])
    for name in sorted(names, key=lambda one: one != contest.metric):
        met = right = 0
        for matter in contest.matters:
            a, b = (of_model.get(name) for of_model in matter.values)
            verdict = verdicts.get(matter.item, 0.5)
            if a is not None and b is not None and a != b and verdict != 0.5:
                met += 1
                right += (a > b) == (verdict > 0.5)
        if met:
            yield Agreement(name, right / met, *proportion(right, met), met)
