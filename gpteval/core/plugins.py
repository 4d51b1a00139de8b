"""Named things that plugins can add: those of the package, and those of entry points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

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
        for point in entry_points(group=f"gpteval.{kind}s"):
            try:
                target = point.load()
                target = target() if callable(target) and not hasattr(target, "name") else target
                for thing in target if isinstance(target, list | tuple) else [target]:
                    self.add(thing() if isinstance(thing, type) else thing)
            except PLUGIN_ERRORS as error:  # the others must still load
                self.problems.append(PluginError(f"entry point {point.name} ({point.value}): {reason(error)}"))

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
            hint = f"'gpteval {self.kind}s' lists all" if self.kind in ("model", "task") else ""
            raise UnknownNameError(self.kind, name, self._objects, hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self._objects

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


def reason(error: BaseException) -> str:
    """What an error says of itself: ours without its class, which says nothing more."""
    return error.message if isinstance(error, GptevalError) else f"{type(error).__name__}: {error}"
