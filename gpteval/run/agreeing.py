"""One model run in two ways, asked the same items: what each says, alone and among others, again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gpteval.backends.by_prefix import planned_by
from gpteval.backends.interface import CHAT, Backend
from gpteval.backends.query_plan import Plan
from gpteval.comparison.agreement import Certificate, Differing, Flip, TaskAgreement, of_task, steadiness
from gpteval.core.errors import NotAvailable, UsageError
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Prompt
from gpteval.prompts.build import MAX_BAD_ROWS, build_prompts, load_task, takes_examples
from gpteval.prompts.letters import with_letters
from gpteval.tasks.task import Task
from gpteval.tokens.queries import QueryResult

ITEMS = 32  # of all tasks together
TIMES = 3  # that the other way is asked the same
CROWD = 16  # requests at a time, of a server
KEPT = 50  # likeliest tokens at each place of a text, where both ways tell them

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Questions:
    """A task's prompts, each way's own: a chat is asked by letter what another is asked as text."""

    task: str
    prompts: Sequence[Prompt]


def agreement(
    reference: Backend, other: Backend, questions: Sequence[Questions], told: Tell = lambda what: None
) -> Certificate:
    """Ask ``reference`` once, and ``other`` six times: every query by itself, three times, and all of them at once,
    three times. Nothing is taken from an earlier run, and nothing kept for another.

    Raises UsageError where one of the two can be asked none of it, ModelError.
    """
    names = [backend.model.info.name for backend in (reference, other)]
    if names[0] == names[1]:
        names = [f"{backend.model.info.name} in {backend.model.dtype}" for backend in (reference, other)]
    tasks: list[TaskAgreement] = []
    flips: list[Flip] = []
    texts: list[Differing] = []
    alone: list[list[Outcome]] = [[] for _ in range(TIMES)]
    crowd: list[list[Outcome]] = [[] for _ in range(TIMES)]
    for asked in questions:
        try:
            ours, theirs = planned_by(reference, asked.prompts), planned_by(other, asked.prompts)
        except NotAvailable as error:
            told(f"{asked.task} is left out: {error.message}")
            continue
        told(f"{asked.task}: asking {names[0]} once, {names[1]} {2 * TIMES} times")
        expected = ours.outcomes(answered(reference, ours))
        for number in range(TIMES):
            crowd[number] += theirs.outcomes(answered(other, theirs))
            alone[number] += theirs.outcomes(one_by_one(other, theirs))
        told_of, flipped, differing = of_task(asked.task, asked.prompts, expected, crowd[0][-len(asked.prompts) :])
        tasks.append(told_of)
        flips += flipped
        texts += differing
    if not tasks:
        raise UsageError("there is nothing that both can be asked", "name tasks with choices, or with texts to write")
    return Certificate(
        reference=names[0],
        other=names[1],
        tasks=tuple(tasks),
        flips=tuple(flips),
        texts=tuple(texts),
        alone=steadiness(alone),
        crowd=steadiness(crowd),
        between=steadiness([alone[0], crowd[0]]),
    )


def questions(
    tasks: Sequence[Task], backends: Sequence[Backend], *, items: int = ITEMS, shots: int = 0, seed: int = 0
) -> list[Questions]:
    """The first of each task's items, ``items`` of all tasks together, one of each at least; by letter where a chat is
    among ``backends``. Raises what loading a task raises.
    """
    each = -(-items // len(tasks))
    by_letter = any(CHAT in backend.can for backend in backends)
    found = []
    for task in tasks:
        data = load_task(task, shots=shots, limit=each, seed=seed)
        data = (with_letters(data, MAX_BAD_ROWS) if by_letter else None) or data
        taken = shots if takes_examples(data) else 0
        found.append(Questions(data.task.label, build_prompts(data, shots=taken, seed=seed)))
    return found


def answered(backend: Backend, plan: Plan) -> Mapping[bytes, QueryResult]:
    """All of a plan's queries at once."""
    results: dict[bytes, QueryResult] = {}
    for batch in backend.compute(plan, frozenset()):
        results |= {key: result.as_stored() for key, result in batch.items()}
    return results


def one_by_one(backend: Backend, plan: Plan) -> Mapping[bytes, QueryResult]:
    """Each query with nothing else under way."""
    results: dict[bytes, QueryResult] = {}
    for key, query in plan.queries.items():
        results |= answered(backend, Plan([], [], {key: query}))
    return results
