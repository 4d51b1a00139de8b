"""A third model asked which of two models' texts is better: its answers are computed, or bought, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpteval.backends.by_prefix import open_backend, planned_by
from gpteval.backends.interface import Backend
from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan
from gpteval.comparison.preference import Preference, contests, preference
from gpteval.core.errors import NotAvailable, UsageError
from gpteval.core.kinds import PREFER
from gpteval.core.outcomes import Outcome
from gpteval.models.catalogue import resolve_models
from gpteval.run.parts import known_to
from gpteval.store.journal import Journal, ResultStore, cache_path
from gpteval.store.runs import RunNames, Runs, read_runs

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Preferences:
    """``questions``: how many the judge was asked by now; ``dollars``: what its answers cost, None where no price is
    known.
    """

    judge: str
    pairs: tuple[Preference, ...]
    questions: int
    dollars: float | None


def preferences(
    runs: Runs | RunNames,
    judge: str,
    opening: Opening | None = None,
    *,
    baseline: str | None = None,
    limit: int | None = None,
    told: Progress = lambda done, of: None,
    warn: Callable[[str], None] = lambda what: None,
) -> Preferences:
    """Which of two models' texts ``judge`` prefers (a model's name, also behind ``prefer:``), for each pair of models
    on each task that asks for texts.

    Every answer is kept in the shared cache, so that the same command goes on where it was. ``told``: questions that
    are answered, and all of them. Raises UsageError, ModelError, NotAvailable.
    """
    opening = opening or Opening()
    if not (name := judge.removeprefix(PREFER)):
        raise UsageError(f"{PREFER} names no judge", f"write {PREFER}MODEL, such as {PREFER}openai:gpt-4o")
    named = resolve_models([name])
    if len(named) != 1:
        raise UsageError(f"{judge} stands for {len(named)} models", "one judges: name it")
    asked = contests(read_runs(runs).merged, baseline=baseline, limit=limit)
    prompts = [prompt for contest in asked for matter in contest.unlike for prompt in matter.prompts()]
    backend = open_backend(named[0], opening)
    name = backend.model.info.name
    if not prompts:  # all texts are the same
        return Preferences(name, tuple(preference(name, contest, {}) for contest in asked), 0, None)
    try:
        plan = planned_by(backend, prompts)
    except NotAvailable as error:
        raise UsageError(f"{name} cannot judge: {error.message}", error.hint) from error
    outcomes, dollars = _answered(backend, plan, warn, told)
    at = 0
    found = []
    for contest in asked:
        of_items = {}
        for matter in contest.unlike:
            of_items[matter.item] = outcomes[at], outcomes[at + 1]
            at += 2
        found.append(preference(name, contest, of_items))
    return Preferences(name, tuple(found), len(prompts), dollars)


def _answered(
    backend: Backend, plan: Plan, warn: Callable[[str], None], told: Progress
) -> tuple[Sequence[Outcome], float | None]:
    """The judge's answers, and what they cost."""
    cache = Journal(cache_path(), warn)
    store = ResultStore(cache, None, warn)
    try:
        known = known_to(backend, store, plan.queries)
        told(len(known), len(plan.queries))
        if len(known) < len(plan.queries):
            backend.load()
        for batch in backend.compute(plan, frozenset(known)):
            store.put(batch)
            known |= batch.keys()
            told(len(known), len(plan.queries))
        results = store.get(plan.queries)
        return plan.outcomes(results), backend.dollars(results.values())
    finally:
        store.close()
