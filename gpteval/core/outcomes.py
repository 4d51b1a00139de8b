"""What comes of a prompt: its outcome, the record of an item, and a row of results. All are frozen.

Log-probabilities are natural logarithms (nats), summed in float32 or better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gpteval.core.top_tokens import TopTokens
from gpteval.core.types import Prompt

Finish = Literal["stop", "eos", "length"]


@dataclass(frozen=True, slots=True)
class Score:
    """One scored continuation: sum of log-probs over ``tokens`` tokens, None where a server does not tell it;
    ``greedy``: every token was the argmax, or the server's answer was this one.
    """

    logprob: float | None
    tokens: int
    greedy: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What computing an outcome took: wall-clock seconds (its share of the batch) and tokens through the model."""

    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """Outcome of a Choice. ``neutral`` holds the unconditional scores, when asked for; ``text`` what a chat wrote, and
    ``share`` how much of its first token's probability the options' letters hold, where it tells. ``thought``: what it
    wrote before its answer, which is not scored.
    """

    scores: tuple[Score, ...]
    neutral: tuple[Score, ...] = ()
    shots_dropped: int = 0
    tokens_cut: int = 0
    cost: Cost = field(default=Cost(), compare=False)
    text: str = ""
    share: float | None = None
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Rolled:
    """Outcome of a Rolling. ``unscored`` tokens had nothing to be conditioned on (GPT-1's first).

    ``blocks``: sum of log-probs and scored tokens of each block of the text (``core.blocks``). ``top``: the likeliest
    tokens at each scored place, where they were asked for.
    """

    logprob: float
    tokens: int
    unscored: int = 0
    blocks: tuple[tuple[float, int], ...] = ()
    top: TopTokens | None = None
    cost: Cost = field(default=Cost(), compare=False)


@dataclass(frozen=True, slots=True)
class Generated:
    """Outcome of a Generate. ``finish``: a stop string, an end token, or the length limit ended it.

    ``limit_cut``: by how many tokens the limit was lowered, for want of room in the window. ``thought``: what it wrote
    before the text, which is not scored. ``taken``: the answer that the task's rule finds in the text, "" for none;
    None where it has no such rule.
    """

    text: str
    finish: Finish
    tokens: int
    shots_dropped: int = 0
    tokens_cut: int = 0
    limit_cut: int = 0
    cost: Cost = field(default=Cost(), compare=False)
    thought: str = ""
    taken: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """No outcome, and why. Counts as wrong where wrong is defined, and lowers the coverage.

    ``answered``: there was an answer, ``text``, but none to what was asked (a refusal); that is wrong, and covered.
    """

    error: str
    cost: Cost = field(default=Cost(), compare=False)
    answered: bool = False
    text: str = ""
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Several answers to one prompt, drawn one by one."""

    outcomes: tuple[Generated | Failed, ...]

    @property
    def cost(self) -> Cost:
        costs = [one.cost for one in self.outcomes]
        return Cost(sum(cost.seconds for cost in costs), sum(cost.tokens for cost in costs))


Outcome = Scored | Rolled | Generated | Failed | Repeated


def answers_of(outcome: Outcome) -> tuple[Outcome, ...]:
    """Each answer to a prompt: the outcome itself, or those that it has several of."""
    return outcome.outcomes if isinstance(outcome, Repeated) else (outcome,)


@dataclass(frozen=True, slots=True)
class Record:
    """One item's part of a result: what is written to ``samples/``.

    ``values``: the metric's value on this item alone. ``stats``: its sufficient statistics, which
    sum over items to the corpus value. ``blocks``: of a long text those of each block, the same for all its metrics.
    ``answers``: of several answers the primary metric's value of each.
    """

    item_id: str
    prompt: Prompt
    outcome: Outcome
    values: Mapping[str, float]
    stats: Mapping[str, tuple[float, ...]]
    blocks: tuple[tuple[float, ...], ...] = ()
    answers: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One metric of one model on one task; a row of ``results.json`` (fields as in the public contract).

    Beyond the contract: ``interval`` names the method of the interval, ``signature`` what the
    metric's number depends on, ``notes`` what a reader should know, ``fingerprint`` the weights that
    made it. ``stale``: the model of that name has other weights by now. ``template``: which of the task's prompts;
    another one than its own is a part of ``task`` too, as ``name:template``. ``part_of``: the benchmark whose part
    the task is and whose result stands for it in means and tables. ``step``: of a checkpoint, how far the training was;
    ``model_family``: what the checkpoints of that training have in common. ``judged``: digests of the metric with its
    chance level and of what is right of each item, ``METRIC-GOLDS``. ``seconds``: of all queries, added up;
    ``wall_seconds``: while any was under way, where several are at a time, as behind an API.
    """

    model: str
    generation: str
    n_params: int | None
    task: str
    family: str
    shots: int
    protocol: str
    profile: str
    metric: str
    primary: bool
    higher_is_better: bool
    value: float
    ci_low: float | None
    ci_high: float | None
    stderr: float | None
    n: int
    coverage: float
    truncated: int
    chance: float | None
    seconds: float
    tokens: int
    published: Mapping[str, Any] | None = None
    interval: str = ""
    signature: str = ""
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    stale: bool = False
    template: str = "default"
    part_of: str = ""
    model_family: str = ""
    step: int | None = None
    dollars: float | None = None
    judged: str = ""
    wall_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A model and task that gave no result with so many examples, and why. ``unavailable``: none can be had of it."""

    model: str
    task: str
    error: str
    shots: int = 0
    unavailable: bool = False
