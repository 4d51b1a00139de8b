"""A training's progress on the terminal."""

from __future__ import annotations

import sys
import time

from gpteval.cli.voice import as_events, is_plain, tell
from gpteval.train.training_progress import TrainingProgress


class TrainingConsole(TrainingProgress):
    """Progress on stderr: a line a stage, and one line for the steps that is written anew on a terminal."""

    def __init__(self) -> None:
        self.begin: tuple[float, int] | None = None

    def stage(self, text: str) -> None:
        tell(text, "stage")

    def step(self, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if self.begin is None or step <= self.begin[1]:  # a training begins
            self.begin, rate = (now, step), ""
        else:
            rate = self._rate(now, step, steps)
        line = f"step {step}/{steps}  loss {loss:.3f}{rate}"
        if as_events():
            tell(line, "step", step=step, steps=steps, loss=loss)
        elif is_plain():
            end = "\n" if step >= steps or not sys.stderr.isatty() else "\r"
            print(f"{line}   ", end=end, file=sys.stderr, flush=True)

    def _rate(self, now: float, step: int, steps: int) -> str:
        """Steps a second since the first that was told, which need not be the training's first."""
        assert self.begin is not None
        rate = (step - self.begin[1]) / max(now - self.begin[0], 1e-9)
        return f"  {rate:.1f} steps/s  {(steps - step) / max(rate, 1e-9) / 60:.1f} min left"
