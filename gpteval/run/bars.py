"""A run's progress in a notebook, or wherever Python is typed: bars of tqdm."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpteval.core.outcomes import Failure, Result
from gpteval.run.units import Listener, Unit
from gpteval.store.progress import State


class Bars(Listener):
    """One bar for the results, one for the tokens of the result at work; warnings and failures between them."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm
        self._results: Any = None
        self._tokens: Any = None

    def loading(self, what: str) -> None:
        if self._results is not None:
            self._results.set_postfix_str(f"loading {what}")

    def began(self, units: int, folder: Path) -> None:
        self._results = self._bar(total=units, desc=str(folder), unit="result")

    def unit_began(self, unit: Unit, tokens: int, known: int) -> None:
        self._end_tokens()
        self._results.set_postfix_str("")
        self._tokens = self._bar(
            total=tokens, initial=known, desc=unit.label, unit="token", unit_scale=True, leave=False
        )

    def advanced(self, unit: Unit, tokens: int) -> None:
        if self._tokens is not None:
            self._tokens.update(tokens)

    def filled(self, unit: Unit, state: State) -> None:
        self._results.set_postfix_str(f"{unit.label}, {state.rate:,.0f} tokens/s")

    def unit_done(self, unit: Unit, results: Sequence[Result]) -> None:
        self._end_tokens()
        self._results.update()

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        self._end_tokens()
        self._results.update()
        self._write(f"{unit.label}: {failure.error}")

    def warned(self, message: str) -> None:
        self._write(f"warning: {message}")

    def close(self) -> None:
        self._end_tokens()
        if self._results is not None:
            self._results.set_postfix_str("")
            self._results.close()

    def _end_tokens(self) -> None:
        bar, self._tokens = self._tokens, None
        if bar is not None:
            bar.close()

    def _write(self, line: str) -> None:
        self._bar.write(line, file=sys.stderr)


def default_listener() -> Listener:
    """Bars where a notebook's kernel runs this process, else one that keeps silent."""
    return Bars() if "ipykernel" in sys.modules else Listener()
