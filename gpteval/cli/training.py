"""``gpteval pretrain``: progress while it trains."""

from __future__ import annotations

import sys
import time
from pathlib import Path


def pretrain_command(
    recipe: str, out: Path, steps: int | None, max_minutes: float | None, seed: int, device: str
) -> None:
    from gpteval.nano.recipes import recipe_registry
    from gpteval.train.pretrain import pretrain

    chosen = recipe_registry()[recipe]
    begin = time.monotonic()

    def progress(step: int, total: int, loss: float) -> None:
        spent = time.monotonic() - begin
        left = spent / max(1, step) * (total - step)
        end = "\n" if step >= total or not sys.stderr.isatty() else "\r"
        line = (
            f"step {step}/{total}  loss {loss:.3f}  {step / max(spent, 1e-9):.1f} steps/s  {left / 60:.1f} min left   "
        )
        print(line, end=end, file=sys.stderr, flush=True)

    path = pretrain(chosen, out, steps=steps, max_minutes=max_minutes, seed=seed, device=device, progress=progress)
    print(path)
