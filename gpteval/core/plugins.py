"""Named things that plugins can add: those of the package, and those of entry points."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Generic, TypeVar

from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, PluginError, UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Names to objects of one ``kind``, filled by the package and by entry points of ``gpteval.<kind>s``.

    An entry point's target is an object with a ``name``, its class, a list of these, or a function
    without arguments that returns either. A broken one is kept in ``problems``; the rest load.
    """

    def __init__(self, kind: str, builtin: Iterable[T]) -> None:
        self.kind = kind
        self.problems: list[PluginError] = []
        self._objects: dict[str, T] = {}
        for thing in builtin:
            self.add(thing)
        for point in _points(f"gpteval.{kind}s"):
            try:
                target = point.load()
                target = target() if callable(target) and not hasattr(target, "name") else target
                for thing in target if isinstance(target, list | tuple) else [target]:
                    self.add(thing() if isinstance(thing, type) else thing)
            except PLUGIN_ERRORS as error:  # the others must still load
                self.problems.append(PluginError(f"entry point {point.name} ({point.value}): {reason(error)}"))

    @property
    def not_loaded(self) -> str:
        """What is broken, a line each with its way out; empty where nothing is."""
        told = (f"{problem.message}{f' ({problem.hint})' if problem.hint else ''}" for problem in self.problems)
        return "\n  ".join(f"not loaded: {one}" for one in told)

    def add(self, thing: T) -> None:
        name: str = thing.name  # type: ignore[attr-defined]
        if name in self._objects:
            raise PluginError(f"two {self.kind}s are named {name!r}", "rename one of them")
        self._objects[name] = thing

    def remove(self, name: str) -> T:
        return self._objects.pop(name)

    def __getitem__(self, name: str) -> T:
        try:
            return self._objects[name]
        except KeyError:
            listed = (
                f"'gpteval {self.kind}s' lists all" if self.kind in ("model", "task") else f"known: {', '.join(self)}"
            )
            hint = "\n  ".join(filter(None, (listed, self.not_loaded)))
            raise UnknownNameError(self.kind, name, self._objects, hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self._objects

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


def named_points(kind: str, builtin: Mapping[str, str]) -> dict[str, EntryPoint]:
    """Where the ``kind`` of each name is, none of which is imported: the package's own (``module:object``), and those
    of entry points of ``gpteval.<kind>s``. Raises PluginError where one name has two.
    """
    group = f"gpteval.{kind}s"
    found = {name: EntryPoint(name, value, group) for name, value in builtin.items()}
    for point in _points(group):
        if point.name in found:
            raise PluginError(
                f"two {kind}s are named {point.name}: {found[point.name].value} and {point.value}",
                "rename one of the entry points, or uninstall its package",
            )
        found[point.name] = point
    return found


def installed_points() -> list[EntryPoint]:
    """All entry points that other packages have for gpteval."""
    points = (point for group in _installed(tuple(sys.path)).groups for point in _points(group))
    return sorted((point for point in points if point.group.startswith("gpteval.")), key=lambda p: (p.group, p.name))


def _points(group: str) -> EntryPoints:
    found: EntryPoints = _installed(tuple(sys.path)).select(group=group)
    return found


@lru_cache(1)
def _installed(paths: tuple[str, ...]) -> Any:
    """Every package's entry points: to read them takes 25 ms, and there are six kinds."""
    return entry_points()


def imported(kind: str, point: EntryPoint) -> Any:
    """What an entry point names. Raises PluginError where it cannot be imported."""
    try:
        return point.load()
    except PLUGIN_ERRORS as error:
        raise PluginError(
            f"the {kind} {point.name} ({point.value}) cannot be imported: {reason(error)}",
            "mend or uninstall its package",
        ) from error


def reason(error: BaseException) -> str:
    """What an error says of itself: ours without its class, which says nothing more."""
    return error.message if isinstance(error, GptevalError) else f"{type(error).__name__}: {error}"


def place_in_code(error: BaseException) -> str:
    """The file and line that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(last.filename)}, line {last.lineno}"
