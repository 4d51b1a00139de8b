"""Several listeners are told all that one may be told."""

from __future__ import annotations

from typing import Any

import pytest

from gpteval.run.units import Listener, Listeners

TOLD = [name for name in vars(Listener) if not name.startswith("_")]


class Hears(Listener):
    def __init__(self, heard: list[tuple[Any, ...]], name: str) -> None:
        def hear(*told: Any) -> None:
            heard.append((self, name, *told))

        setattr(self, name, hear)


@pytest.mark.parametrize("name", TOLD)
def test_each_is_told_in_order(name: str) -> None:
    heard: list[tuple[Any, ...]] = []
    first, second = Hears(heard, name), Hears(heard, name)
    getattr(Listeners(first, second), name)("one", "two")
    assert heard == [(first, name, "one", "two"), (second, name, "one", "two")]


def test_nothing_is_missed() -> None:
    assert {"waiting", "estimated", "groups_done"} <= set(TOLD)
    assert set(TOLD) <= set(vars(Listeners))
