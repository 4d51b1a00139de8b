"""Before a served model is run: whether it gives the numbers of the weights that are here, on the run's own items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from gpteval.backends.by_prefix import open_backend
from gpteval.backends.interface import GIVEN, Backend
from gpteval.backends.opening import Opening
from gpteval.comparison.agreement import Certificate
from gpteval.core.errors import GptevalError, ModelError, UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.prefixes import HERE
from gpteval.prompts.build import TaskData
from gpteval.run.agreeing import ITEMS, KEPT, Questions, agreement
from gpteval.run.ledger import Ledger
from gpteval.run.plan import RunPlan
from gpteval.run.units import Unit

FIELD = "agreement"  # of a model's facts in the manifest


def certify(plan: RunPlan, ledger: Ledger, backend: Backend, units: Sequence[Unit]) -> None:
    """Hold a model that is asked elsewhere against ``config.agree``, a reference that is loaded here in float32; what
    was found is kept in the manifest, and not asked for again. Raises ModelError where it is not within
    ``config.agree_within`` nats a token, UsageError, and what asking raises.
    """
    config, info = plan.config, backend.model.info
    if not config.agree or info.backend in HERE or GIVEN in backend.can:
        return
    named = resolve_models([config.agree])
    if len(named) != 1 or named[0].backend not in HERE:
        raise UsageError(f"--agree {config.agree} is no model that is loaded here", "name the weights that are served")
    computing = replace(config.computing, load=replace(config.load, dtype="float32"), top_logprobs=KEPT)
    reference = open_backend(named[0], Opening(computing))
    facts = ledger.manifest["models"][info.name]
    of = [reference.model.fingerprint, backend.model.fingerprint]
    if (facts.get(FIELD) or {}).get("of") != of:
        reference.load()
        found = agreement(reference, backend, _own(plan, units), plan.listener.waiting)
        facts[FIELD] = {"of": of, "agrees": sentence(found), **asdict(found), "broken": ""}
        plan.listener.waiting(f"{info.name}: {sentence(found)}")
        if config.agree_within is not None:
            facts[FIELD]["broken"] = found.broken(config.agree_within)
    if config.agree_within is not None and (broken := facts[FIELD]["broken"]):
        del facts[FIELD]["of"]  # it is asked again
        raise ModelError(
            f"{info.name} is not within {config.agree_within:g} nats a token of {reference.model.info.name}: {broken}",
            "mend the server (other weights, a precision, another template?), or allow more with --agree-within",
        )


def sentence(found: Certificate) -> str:
    """What was found, in one line."""
    choices, texts = (sum(getattr(one, name) for one in found.tasks) for name in ("choices", "texts"))
    said = [f"within {found.largest:.2g} nats a token of {found.reference}"] if found.largest == found.largest else []
    said += [f"{len(found.flips)} flips of {choices} choices"] if choices else []
    said += [f"{len(found.texts)} of {texts} texts differ"] if texts else []
    steady = max(found.alone.largest, found.crowd.largest, found.between.largest)
    return f"{', '.join(said)}; steady to {steady:.2g}"


def _own(plan: RunPlan, units: Sequence[Unit]) -> list[Questions]:
    """The first items of each of the model's units, so many of all together."""
    found: list[Questions] = []
    ready = [(unit, data) for unit in units if isinstance(data := plan.data[unit.task.label], TaskData)]
    for unit, data in ready:
        try:
            prompts = plan.prompts_of(data, unit)
        except GptevalError:  # the unit fails for it, and says so
            continue
        found.append(Questions(unit.task.label, prompts[: -(-ITEMS // len(ready))]))
    return found
