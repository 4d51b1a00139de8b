"""transformers' Trainer for a ``TunedModel``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers

from gpteval.core.errors import ModelError
from gpteval.train.resume import WholeCheckpoints
from gpteval.train.training_progress import TrainingProgress
from gpteval.tune.head_model import Batch
from gpteval.tune.inputs import Example
from gpteval.tune.methods import RATES

WEIGHTS = "model.safetensors"
SHARES = "shares"  # a batch's field with the weights of its two means in the update's loss


@dataclass
class Losses:
    """The losses by step, as they are logged; ``progress`` is told the training's."""

    progress: TrainingProgress
    training: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)

    def of(self, history: Sequence[dict[str, Any]]) -> None:
        """All of a training, that before an interruption included."""
        self.training = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
        self.validation = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry]


class _Tell(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is not type-checked
    def __init__(self, losses: Losses) -> None:
        self.losses = losses

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.losses.progress.step(state.global_step, state.max_steps, logs["loss"])


class _Trainer(WholeCheckpoints):
    """Saves the weights that are trained; the others are those of the base model.

    A loss is a mean over all items, or all tokens, of an update or of the validation examples, however they are cut
    into batches: the batches' own means have the weights of their counts.
    """

    def get_batch_samples(self, *args: Any, **others: Any) -> tuple[list[Any], Any]:
        batches, number = super().get_batch_samples(*args, **others)
        counts = [self.model.counts(batch) for batch in batches]
        items, tokens = (max(1, sum(of_kind)) for of_kind in zip(*counts, strict=True)) if counts else (1, 1)
        for batch, (own_items, own_tokens) in zip(batches, counts, strict=True):  # whose losses are averaged
            batch[SHARES] = len(batches) * torch.tensor([own_items / items, own_tokens / tokens])
        return batches, number

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        shares = inputs.pop(SHARES, None)
        found = model(**inputs)
        of_items, of_tokens = self._of_validation(inputs) if shares is None else shares
        loss = of_items * found["task"] + self.model.weight * of_tokens * found["language"]
        return (loss, found) if return_outputs else loss

    def _of_validation(self, batch: dict[str, torch.Tensor]) -> tuple[float, float]:
        """A batch's weights where the Trainer averages the validation batches, each as often as it has sequences."""
        sequences, items, tokens = self._validation
        own_items, own_tokens = self.model.counts(batch)
        scale = sequences / len(batch["ids"])
        return scale * own_items / items, scale * own_tokens / max(1, tokens)

    @cached_property
    def _validation(self) -> tuple[int, int, int]:
        """Sequences, items and tokens of all validation examples."""
        counts = [self.model.counts(collate([example])) for example in self.eval_dataset]
        sequences = sum(len(example.sequences) for example in self.eval_dataset)
        return sequences, sum(items for items, _ in counts), sum(tokens for _, tokens in counts)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        from safetensors.torch import save_file

        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {n: p.detach().cpu().contiguous() for n, p in self.model.named_parameters() if p.requires_grad}
        save_file(tensors, folder / WEIGHTS)
        torch.save(self.args, folder / "training_args.bin")

    def _load(self, folder: str) -> None:
        from safetensors.torch import load_file

        found = load_file(Path(folder) / WEIGHTS)
        trained = {name for name, weight in self.model.named_parameters() if weight.requires_grad}
        if wrong := sorted(trained ^ set(found)):
            raise ModelError(f"the checkpoint {folder} is not of this training: {wrong[0]}", "remove it, and go on")
        self.model.load_state_dict(found, strict=False)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._load(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        self._load(self.state.best_model_checkpoint)


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """What a ``TunedModel`` takes."""
    batch = asdict(Batch.of([example.sequences for example in examples]))
    return batch | {"labels": torch.tensor([example.label for example in examples])}


def make_trainer(
    module: Any,
    train: Sequence[Example],
    validation: Sequence[Example],
    folder: Path,
    settings: Any,
    device: str,
    losses: Losses,
    track: Sequence[str] = (),
) -> transformers.Trainer:
    """A trainer that evaluates and saves once an epoch, and ends with the best. ``settings``: see ``Settings``;
    ``track``: who is told besides (``TRACKERS``), their files lie beside ``folder``.
    """
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder.parent / "logs")
    os.environ["WANDB_DIR"] = str(folder.parent)
    os.environ.setdefault("WANDB_MODE", "offline")
    updates = settings.epochs * math.ceil(len(train) / settings.batch_size)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        learning_rate=settings.learning_rate or RATES[settings.method],
        per_device_train_batch_size=settings.batch_size // settings.accumulate,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        num_train_epochs=settings.epochs,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(settings.warmup * updates),
        weight_decay=0.01,
        max_grad_norm=1.0,
        seed=settings.seed,
        data_seed=settings.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        logging_steps=max(1, updates // 50),
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=list(track) or "none",
        run_name=folder.parent.name,
        disable_tqdm=True,
        use_cpu=device == "cpu",
        bf16=device.startswith("cuda") and torch.cuda.is_bf16_supported(),
    )
    trainer = _Trainer(
        model=module,
        args=arguments,
        train_dataset=list(train),
        eval_dataset=list(validation),
        data_collator=collate,
        callbacks=[_Tell(losses), transformers.EarlyStoppingCallback(settings.patience)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer
