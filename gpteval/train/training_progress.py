"""Who is told how a training goes on."""

from __future__ import annotations


class TrainingProgress:
    """Pre-training and tuning tell it; this one keeps silent. Override what you need."""

    def stage(self, text: str) -> None:
        """A stage begins."""

    def packed(self, tokens: int, of: int) -> None:
        """So many of the training's tokens are read and stand in windows."""

    def step(self, step: int, steps: int, loss: float) -> None:
        """``step`` of ``steps`` is done; ``loss`` in nats a token, or an example where a head is trained."""
