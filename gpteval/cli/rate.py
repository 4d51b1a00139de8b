"""How far and how fast, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpteval.store.progress import State


def rate(state: State) -> str:
    """Tokens, their rate and the time left, of all workers together."""
    left = "" if state.seconds_left is None else f", about {duration(state.seconds_left)} left"
    who = f"{state.workers} workers: " if state.workers else ""
    speed = f", {state.rate:,.0f} tok/s" if state.rate else ""
    return f"{who}{state.done:,} tokens{speed}{left}"


def duration(seconds: float) -> str:
    """For people, to two units."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
