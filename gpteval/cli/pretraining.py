"""``gpteval pretrain``: progress while it trains."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gpteval.cli.console import say
from gpteval.core.errors import UsageError
from gpteval.train.pretrain import TrainingProgress


class Shown(TrainingProgress):
    """Progress on stderr: a line a stage, and one line for the steps that is written anew on a terminal."""

    def __init__(self) -> None:
        self.begin: tuple[float, int] | None = None

    def stage(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def step(self, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if self.begin is None or step <= self.begin[1]:  # a training begins
            self.begin, rate = (now, step), ""
        else:
            rate = self._rate(now, step, steps)
        end = "\n" if step >= steps or not sys.stderr.isatty() else "\r"
        print(f"step {step}/{steps}  loss {loss:.3f}{rate}   ", end=end, file=sys.stderr, flush=True)

    def _rate(self, now: float, step: int, steps: int) -> str:
        """Steps a second since the first that was told, which need not be the training's first."""
        assert self.begin is not None
        rate = (step - self.begin[1]) / max(now - self.begin[0], 1e-9)
        return f"  {rate:.1f} steps/s  {(steps - step) / max(rate, 1e-9) / 60:.1f} min left"


def pretrain_command(
    recipe: str | None,
    config: Path | None,
    out: Path | None,
    steps: int | None,
    max_minutes: float | None,
    seed: int,
    device: str,
    checkpoints: int,
) -> None:
    """Train an embedded model's recipe, or what a file describes, and print where it lies. Raises UsageError."""
    from gpteval.nano.recipes import recipe_registry
    from gpteval.train.config_file import read_config
    from gpteval.train.pretrain import HELD_OUT, pretrain

    if (recipe is None) == (config is None):
        raise UsageError("name one of --recipe and --config", "--recipe gpt2-nano, or --config FILE.toml of your own")
    chosen = read_config(config) if config else recipe_registry()[str(recipe)]
    path = pretrain(
        chosen,
        out or Path("runs/pretrain") / chosen.name,
        steps=steps,
        max_minutes=max_minutes,
        seed=seed,
        device=device,
        checkpoints=checkpoints,
        progress=Shown(),
    )
    print(path)
    if checkpoints:
        say(f"its curve: gpteval run --models '{path}/step-*',nano --tasks nano", sys.stderr)
    if chosen.held_out:
        say(f"its perplexity: gpteval run --models {path} --tasks text:{path / HELD_OUT}", sys.stderr)
