"""Scoring a model while it trains: a callback for transformers' Trainer, a function for any other loop.

    EvaluateDuringTraining("lambada_openai,sst2", every=500, limit=100, max_seconds=60).attach(trainer)

    scores = score(model, tokenizer, "lambada_openai,sst2", step=step, limit=100, max_seconds=60)

The results lie in a folder, as those of ``gpteval run``: ``gpteval report`` and ``gpteval place`` read it.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from gpteval.core.errors import GptevalError, UsageError
from gpteval.models.live import LiveModel
from gpteval.run.config import RunConfig, by_present_names
from gpteval.run.runner import execute
from gpteval.run.units import Listener, Unit


class OutOfTime(GptevalError):
    """The time budget is used up; what was finished stays."""


class _Clock(Listener):
    """Stops before a batch that would probably end after ``deadline``."""

    def __init__(self, begin: float, seconds: float) -> None:
        self.begin, self.seconds = begin, seconds
        self.looked = time.monotonic()
        self.longest = 0.0  # seconds of a batch
        self.left = 0  # tokens of the unit

    def unit_began(self, unit: Unit, tokens: int, known: int) -> None:
        self.looked, self.left = time.monotonic(), tokens - known
        self._look()

    def advanced(self, unit: Unit, tokens: int) -> None:
        now = time.monotonic()
        self.longest, self.looked = max(self.longest, now - self.looked), now
        self.left -= tokens
        self._look()

    def _look(self) -> None:
        if self.left > 0 and self.looked + self.longest - self.begin > self.seconds:
            raise OutOfTime(
                f"the time budget of {self.seconds:g} s is used up", "a smaller limit, fewer tasks, or more max_seconds"
            )

    def warned(self, message: str) -> None:
        print(f"gpteval: {message}", file=sys.stderr)


def score(
    model: Any,
    tokenizer: Any,
    tasks: str | Sequence[str],
    *,
    step: int | None = None,
    family: str = "training",
    shots: int | Sequence[int] | None = None,
    limit: int | None = 100,
    max_seconds: float = math.inf,
    out: str | Path | None = None,
    **settings: Any,
) -> dict[str, float]:
    """Score a model that is in memory: primary metrics by ``task/metric`` (``task@5/metric`` with five examples).

    It is left as it was: in its mode of training, with its gradients, and with the same random state. What does not
    fit ``max_seconds`` is left out, and said on stderr; so is what fails. Results go to ``out`` (default:
    ``runs/FAMILY``) as ``FAMILY@stepSTEP``; ``settings`` are further fields of
    :class:`gpteval.run.config.RunConfig`. Raises UsageError for names that are not known, ModelError for a module
    that is no language model of transformers.
    """
    clock = _Clock(time.monotonic(), max_seconds)
    name = family if step is None else f"{family}@step{step}"
    live = LiveModel(model, tokenizer, name, family if step is not None else "", step)
    config = RunConfig(
        models=(name,),
        tasks=tuple(name.strip() for name in tasks.split(",")) if isinstance(tasks, str) else tuple(tasks),
        shots=(shots,) if isinstance(shots, int) else None if shots is None else tuple(shots),
        limit=limit,
        out=Path(out) if out is not None else Path("runs") / family,
        cache=False,
        command=f"gpteval.callbacks.score {name}",
        **by_present_names(settings),
    )
    with live.evaluating():
        outcome = execute(config, clock, live)
    for failure in outcome.failures:
        clock.warned(f"{name} on {failure.task}: {failure.error}".replace("\n ", ";"))
    scores = {}
    for result in outcome.results:
        if result.primary:
            task = result.task if not result.shots else f"{result.task}@{result.shots}"
            scores[f"{task}/{result.metric}"] = result.value
    return scores


class EvaluateDuringTraining(TrainerCallback):  # type: ignore[misc]  # transformers is not type-checked
    """Scores the model every so many steps and at the end, and gives the scores to the Trainer's trackers.

    ``tokenizer``: the Trainer's own by default. ``family``: by default the name of the Trainer's output folder. The
    rest as for :func:`score`; the scores are logged as ``gpteval/task/metric``.
    """

    def __init__(
        self, tasks: str | Sequence[str], *, every: int, tokenizer: Any = None, family: str = "", **settings: Any
    ) -> None:
        if every < 1:
            raise UsageError(f"every is {every}; it is a number of steps, at least 1")
        self.tasks, self.every, self.tokenizer, self.family = tasks, every, tokenizer, family
        self.settings = settings
        self.trainer: Any = None
        self.done = -1  # the last step that was scored

    def attach(self, trainer: Any) -> EvaluateDuringTraining:
        """Join a Trainer, whose ``log`` the scores go to. Raises UsageError where no tokenizer is known."""
        self.trainer = trainer
        self.tokenizer = self.tokenizer or getattr(trainer, "processing_class", None)
        if self.tokenizer is None:
            raise UsageError("the Trainer has no tokenizer", "give one: EvaluateDuringTraining(…, tokenizer=tokenizer)")
        trainer.add_callback(self)
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Refuses to go on unattached: no score would arrive anywhere."""
        if self.trainer is None:
            raise UsageError("EvaluateDuringTraining is not attached", "EvaluateDuringTraining(…).attach(trainer)")

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Every ``every`` steps."""
        if state.global_step % self.every == 0:
            self._score(args, state, control, model)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Once more, where the last step was not scored."""
        self._score(args, state, control, model)

    def _score(self, args: Any, state: Any, control: Any, model: Any) -> None:
        if not state.is_world_process_zero or state.global_step == self.done:
            return
        self.done = state.global_step
        family = self.family or Path(args.output_dir).resolve().name
        scores = score(model, self.tokenizer, self.tasks, step=state.global_step, family=family, **self.settings)
        asked = control.should_log  # of the loss; logging anything turns it off
        self.trainer.log({f"gpteval/{name}": value for name, value in scores.items()})
        control.should_log = asked
