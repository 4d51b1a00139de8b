"""What is known of a tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpteval.tune.inputs import InputForm, InputKind

# Files of its folder
ABOUT, HEAD, ITEMS = "finetune.json", "finetune.safetensors", "finetune_items.txt"


@dataclass(frozen=True)
class Tuned:
    """What a model was tuned for and how. ``task``: the task's label; ``trained``: weights that were trained.

    ``examples`` to train on, ``validation`` examples to tell when to stop. ``seconds`` of training, ``peak_memory`` in
    bytes. ``losses``: step and training loss, ``validation_losses``: step and validation loss.
    ``validation_accuracy`` is what is saved; None where there are no validation examples, or texts are written.
    ``asked``: how the task asked (``asked_of``).
    """

    base: str
    task: str
    kind: InputKind
    classes: tuple[str, ...]
    vocabulary: int
    window: int
    reads: int
    method: str
    settings: dict[str, Any]
    trained: int
    parameters: int
    examples: int
    validation: int
    seconds: float
    peak_memory: int
    losses: tuple[tuple[int, float], ...]
    validation_losses: tuple[tuple[int, float], ...]
    validation_accuracy: float | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """What a reader of its results should know."""
        share = f"{self.trained:,} weights ({self.trained / self.parameters:.1%}) trained on {self.examples:,} examples"
        return (
            f"tuned for this task: {self.method}, {share} in {self.seconds:.0f} s, {self.peak_memory / 2**20:,.0f} MiB"
        )

    @property
    def outcome(self) -> str:
        """With which losses it ended, in nats, and how often it was right."""
        told = [f"trained to a loss of {self.losses[-1][1]:.3f}"] if self.losses else []
        if self.validation_losses:
            told.append(f"of {min(loss for _, loss in self.validation_losses):.3f} on {self.validation} other examples")
        if self.validation_accuracy is not None:
            told.append(f"{self.validation_accuracy:.1%} of them right")
        return ", ".join(told)

    @property
    def form(self) -> InputForm:
        return InputForm(self.kind, self.classes, self.vocabulary, self.window, self.reads)
