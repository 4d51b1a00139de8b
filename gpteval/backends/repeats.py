"""Several answers to one prompt: the same query asked again under other seeds, each journalled by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpteval.backends.interface import SAMPLING, Backend
from gpteval.backends.query_plan import Plan, PlannedPrompt
from gpteval.core.errors import NotAvailable, UsageError
from gpteval.core.outcomes import Failed, Generated, Outcome, Repeated
from gpteval.core.types import Generate, Prompt
from gpteval.tokens.queries import Query, QueryResult, Sampling

MOST = 1000  # answers to a prompt; a run's seed has so many seeds of its own


@dataclass(frozen=True)
class Repeats:
    """``count`` answers to each prompt that asks for a text, drawn at a ``temperature`` (0: the likeliest token each
    time) from all tokens, or from those that the task allows. Raises UsageError.
    """

    count: int = 1
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise UsageError(f"--repeats is from 1 to {MOST}, not {self.count}")
        if not 0 <= self.temperature <= 100:
            raise UsageError(f"--temperature is 0 or above, not {self.temperature:g}")
        if self.count > 1 and not self.temperature:
            raise UsageError(
                f"--repeats {self.count} would give one answer {self.count} times: at temperature 0 nothing is drawn",
                "add --temperature, such as 0.7",
            )

    @property
    def drawn(self) -> bool:
        return self.temperature > 0

    @property
    def rule(self) -> str:
        """What makes numbers others than those of the likeliest text; for the signature."""
        several = f"|{self.count} answers an item" if self.count > 1 else ""
        return f"temperature {self.temperature:g}{several}" if self.drawn else ""


ONCE = Repeats()


@dataclass(frozen=True)
class RepeatedPrompt:
    """A prompt that was planned several times. ``counts``: how many queries each time has."""

    times: tuple[PlannedPrompt, ...]
    counts: tuple[int, ...]

    @property
    def own_bos(self) -> bool:
        return any(one.own_bos for one in self.times)

    def outcome(self, results: Sequence[QueryResult | None]) -> Outcome:
        found: list[Generated | Failed] = []
        at = 0
        for one, count in zip(self.times, self.counts, strict=True):
            outcome = one.outcome(results[at : at + count])
            assert isinstance(outcome, Generated | Failed)
            found.append(outcome)
            at += count
        return Repeated(tuple(found))


def plan_repeats(backend: Backend, prompts: Sequence[Prompt], repeats: Repeats, seed: int) -> Plan:
    """The plan of prompts, those that ask for texts as often as ``repeats`` says. Raises NotAvailable for a model whose
    answers cannot be drawn, and what ``plan`` raises.
    """
    if not repeats.drawn or not any(isinstance(prompt.request, Generate) for prompt in prompts):
        return backend.plan(prompts)
    if SAMPLING not in backend.can:
        raise NotAvailable("its answers cannot be drawn at a temperature", "leave out --temperature and --repeats")
    plans = []
    try:
        for number in range(repeats.count):
            backend.sampling = Sampling(repeats.temperature, seed=seed * MOST + number)
            plans.append(backend.plan(prompts))
    finally:
        backend.sampling = Sampling()
    if repeats.count == 1:
        return plans[0]
    encoded: list[PlannedPrompt] = []
    keys: list[tuple[bytes | None, ...]] = []
    queries: dict[bytes, Query] = {}
    for plan in plans:
        queries.update(plan.queries)
    for number in range(len(prompts)):
        of_prompt = [plan.keys[number] for plan in plans]
        encoded.append(RepeatedPrompt(tuple(plan.encoded[number] for plan in plans), tuple(map(len, of_prompt))))
        keys.append(tuple(key for one in of_prompt for key in one))
        if len(set(of_prompt)) < len(of_prompt) and any(of_prompt[0]):
            raise NotAvailable("its answers are asked for without a seed, and so would all be one")
    return Plan(encoded, keys, queries)
