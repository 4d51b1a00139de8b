"""Which backend a model has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from gpteval.backends.interface import Backend
from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan
from gpteval.backends.repeats import ONCE, Repeats, plan_repeats
from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, PluginError, unforeseen
from gpteval.core.plugins import imported, reason
from gpteval.core.types import Prompt
from gpteval.models.catalogue import ModelInfo
from gpteval.models.prefixes import BUILTIN, prefixes


@cache
def backend_class(prefix: str) -> type[Backend]:
    """The backend that a prefix of models' names stands for. Raises PluginError where it cannot be imported."""
    point = prefixes()[prefix]
    found: type[Backend] = imported("backend", point)
    missing = [name for name in ("can", "open", "plan", "compute") if not hasattr(found, name)]
    if missing:
        raise PluginError(f"the backend {prefix} ({point.value}) has no {', '.join(missing)}", "see docs/backends.md")
    return found


def open_backend(info: ModelInfo, opening: Opening) -> Backend:
    """The backend of a model. Raises ModelError, UsageError, PluginError."""
    try:
        return backend_class(info.backend).open(info, opening)
    except GptevalError:
        raise
    except PLUGIN_ERRORS as error:
        raise raised_by(info, error) from error


def planned_by(backend: Backend, prompts: Sequence[Prompt], repeats: Repeats = ONCE, seed: int = 0) -> Plan:
    """The backend's plan, of texts as often as ``repeats`` says. Raises GptevalError, PluginError among them."""
    try:
        return plan_repeats(backend, prompts, repeats, seed)
    except GptevalError:
        raise
    except PLUGIN_ERRORS as error:
        raise raised_by(backend.model.info, error) from error


def raised_by(info: ModelInfo, error: BaseException) -> GptevalError:
    """What nobody raised on purpose while a model was asked: a bug of ours, or of the plugin that asks it."""
    if info.backend in BUILTIN:
        return unforeseen(error)
    return PluginError(f"the backend {info.backend} raised {reason(error)}", "its author can mend that")
