"""``gpteval pretrain``."""

from __future__ import annotations

import sys
from pathlib import Path

from gpteval.cli.console import say
from gpteval.cli.training_console import TrainingConsole
from gpteval.core.errors import UsageError


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
        progress=TrainingConsole(),
    )
    print(path)
    if checkpoints:
        say(f"its curve: gpteval run --models '{path}/step-*',nano --tasks nano", sys.stderr)
    if chosen.held_out:
        say(f"its perplexity: gpteval run --models {path} --tasks text:{path / HELD_OUT}", sys.stderr)
