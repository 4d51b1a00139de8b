"""The backend of models whose weights are loaded here, tuned ones among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from gpteval.backends.interface import Backend
from gpteval.core.kinds import RAW
from gpteval.engine.engine import Engine
from gpteval.tasks.task import Task
from gpteval.tune.asked import asks_alike
from gpteval.tune.head_engine import PROTOCOL, HeadEngine, TunedEngine
from gpteval.tune.saved import MESSAGES, read_tuned
from gpteval.tune.tuned_info import Tuned


class LocalBackend(Engine):
    """A tuned model is asked as any other, but for the task that it was tuned for."""

    @cached_property
    def tuned(self) -> Tuned | None:
        """What the model's folder says of its tuning; None of any other. Raises ModelError."""
        return read_tuned(Path(self.model.info.location)) if self.model.info.local else None

    def described(self) -> dict[str, Any]:
        return {"finetune": asdict(self.tuned)} if self.tuned else {}

    @property
    def _raw(self) -> bool:
        """Whether a chat model is asked as a base model is."""
        template = self.model.codec.tokenizer.chat_template
        return bool(template) and template != MESSAGES

    def cautions(self) -> list[str]:
        name = self.model.info.name
        way = f"chat:{name} asks it by its template, as --protocol chat does for all models"
        return [f"{name} is {RAW}, as a base model is: {way}"] if self._raw else []

    def notes(self) -> list[str]:
        return [*super().notes(), *[f"{RAW}, as a base model is"] * self._raw]

    def for_task(self, task: Task, shots: int, warn: Callable[[str], None]) -> Backend:
        """Without examples, its own task is asked as it was tuned to be. ``warn`` is told of a task that has only the
        name.
        """
        if shots or self.tuned is None or self.tuned.task != task.label:
            return self
        if not asks_alike(task, self.tuned.asked):
            warn(
                f"{self.model.info.name} was tuned for a task {task.label} that asks otherwise than this one: "
                "here it is asked as any other model is"
            )
            return self
        return self._for_its_task

    def under(self, protocol: str) -> Backend:
        return self._for_its_task if protocol == PROTOCOL else self

    @cached_property
    def _for_its_task(self) -> TunedEngine:
        assert self.tuned is not None
        kind = TunedEngine if self.tuned.kind == "texts" else HeadEngine
        return kind(self.model, self.tuned, batch_tokens=self.batch_tokens)
