"""A training's progress on the terminal."""

from __future__ import annotations

import sys
import time

from gpteval.cli.voice import LIBRARIES, Wait, as_events, is_plain, tell
from gpteval.train.training_progress import TrainingProgress

SHARE = 0.1  # of the time, after which there is a further line where stderr is no terminal; a second at least


class TrainingConsole(TrainingProgress):
    """Progress on stderr: a line a stage, and one line for the steps that is written anew on a terminal."""

    def __init__(self) -> None:
        self.begin: tuple[float, int] | None = None
        self.slow = Wait(LIBRARIES)
        self.since: float | None = None  # when the first of the lines was told that come while something goes on
        self.told = 0.0  # and when the last

    def stage(self, text: str) -> None:
        self.slow.over()
        tell(text, "stage")

    def packed(self, tokens: int, of: int) -> None:
        self._line(f"{tokens:,} of {of:,} tokens of text", time.monotonic(), last=tokens >= of, tokens=tokens, of=of)

    def step(self, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if self.begin is None or step <= self.begin[1]:  # a training begins
            self.begin, self.since, rate = (now, step), None, ""
        else:
            rate = self._rate(now, step, steps)
        said = {"step": step, "steps": steps, "loss": loss}
        self._line(f"step {step}/{steps}  loss {loss:.3f}{rate}", now, last=step >= steps, **said)

    def _line(self, text: str, now: float, *, last: bool, **facts: float) -> None:
        """On a terminal written over by the next; else more and more seldom, and the last."""
        if as_events():
            tell(text, "progress", **facts)
        elif is_plain() and sys.stderr.isatty():
            print(f"{text}   ", end="\n" if last else "\r", file=sys.stderr, flush=True)
        elif last or self.since is None or now - self.told >= max(1.0, SHARE * (now - self.since)):
            self.since, self.told = now if self.since is None else self.since, now
            tell(text)
        if last:
            self.since = None

    def _rate(self, now: float, step: int, steps: int) -> str:
        """Steps a second since the first that was told, which need not be the training's first."""
        assert self.begin is not None
        rate = (step - self.begin[1]) / max(now - self.begin[0], 1e-9)
        return f"  {rate:.1f} steps/s  {(steps - step) / max(rate, 1e-9) / 60:.1f} min left"
