"""Checkpoints of transformers' Trainer that are whole: one that was cut short does not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from transformers.trainer import rotate_checkpoints

from gpteval.core.atomic import put, remove

STATE = "trainer_state.json"  # what the Trainer writes last
_ASIDE = "writing"


class WholeCheckpoints(transformers.Trainer):  # type: ignore[misc]  # transformers is not type-checked
    """Writes each checkpoint aside, gives it its name at the end, and only then removes older ones."""

    _aside = ""

    def _get_output_dir(self, trial: Any) -> str:
        return self._aside or str(super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial))
        aside, name = folder / _ASIDE, f"checkpoint-{self.state.global_step}"
        remove(aside)
        self._aside = str(aside)
        try:
            super()._save_checkpoint(model, trial)
            if (self.state.best_model_checkpoint or "").startswith(self._aside):
                self.state.best_model_checkpoint = str(folder / Path(self.state.best_model_checkpoint).name)
                self.state.save_to_json(str(aside / name / STATE))
            put(aside / name, folder / name)
        finally:
            self._aside = ""
            remove(aside)
        rotate_checkpoints(
            output_dir=str(folder),
            save_total_limit=self.args.save_total_limit,
            best_model_checkpoint=self.state.best_model_checkpoint,
            use_mtime=True,
        )


def last_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint; those that are not whole are removed."""
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdecimal() and _is_whole(path):
            whole[int(step)] = path
        else:
            remove(path)
    return whole[max(whole)] if whole else None


def _is_whole(checkpoint: Path) -> bool:
    """Of a checkpoint that was written in its place, as older versions did, the state tells."""
    try:
        json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
