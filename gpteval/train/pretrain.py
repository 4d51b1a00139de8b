"""Pre-training from nothing: the objective of GPT-1, GPT-2 and GPT-3, next-token prediction left to right.

The stages, told as they begin:

1. data preparation: the corpus' training documents (test rows are held out), a tokenizer trained on
   the first of them, tokens packed into windows;
2. initialisation: the architecture with random weights, from the seed;
3. self-supervised pre-training with transformers' Trainer, logged for TensorBoard;
4. saving: float16 safetensors, tokenizer, a model card with the loss curve.

GPT-3 did not use masked language modelling: section 5 of its paper excludes bidirectional
architectures and denoising objectives.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from gpteval.core.atomic import disk_errors, put, remove, whole, write_whole
from gpteval.core.errors import OutputError
from gpteval.models.library import quiet
from gpteval.models.loader import pick_device
from gpteval.tokens.tokenizer import Codec
from gpteval.train.initial import BETAS, WEIGHT_DECAY, initial_model, optimizer_of
from gpteval.train.recipe import PIECES, Recipe
from gpteval.train.tokenizers import train_tokenizer
from gpteval.train.training_card import model_card
from gpteval.train.training_progress import TrainingProgress
from gpteval.train.windows import Windows, pack, some

OWN = ".pretraining"  # marks a folder as one that a training may write into
TOKENIZER_DOCUMENTS = 20_000
TOLD_SECONDS = 1.0  # after which a step is told that is not logged
HELD_OUT = "held_out.jsonl"  # beside the model: text that it was not trained on


def pretrain(
    recipe: Recipe,
    out: Path,
    *,
    steps: int | None = None,
    max_minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    checkpoints: int = 0,
    progress: TrainingProgress | None = None,
) -> Path:
    """Train ``recipe`` and save the model to ``out``. Continues from a checkpoint that lies there.

    ``checkpoints``: so many models on the way, each after twice the steps of the one before, as ``out/step-N``.
    Stops after ``max_minutes`` if that comes first; the same command then continues. The log for
    TensorBoard lies in ``out/tensorboard``. On a CPU the same seed gives the same loss. Raises OutputError when
    ``out`` cannot be written, holds other files, or holds the checkpoints of a training with other settings, UsageError
    for a device that is not there.
    """
    import torch
    import transformers
    from torch.utils.tensorboard import SummaryWriter

    from gpteval.train.resume import last_checkpoint

    progress = progress or TrainingProgress()
    steps = steps or recipe.steps
    device = pick_device(device)
    _take(out)
    quiet()
    transformers.set_seed(seed)

    progress.stage(f"1/4 data: {recipe.corpus_name}; {recipe.tokenizer} tokenizer; windows of {recipe.window} tokens")
    sample = some(recipe.corpus(seed), TOKENIZER_DOCUMENTS)
    tokenizer = train_tokenizer(recipe.tokenizer, sample, recipe.vocabulary)
    codec, short = Codec(tokenizer), min(steps, recipe.short_steps) if recipe.first else 0
    early, of_early = pack(recipe, codec, short * recipe.batch, seed, recipe.first)
    windows, documents = pack(recipe, codec, steps * recipe.batch - len(early), seed, told=progress.packed)
    windows, documents = np.concatenate([early, windows]), documents + of_early
    model = initial_model(recipe, tokenizer)
    progress.stage(f"2/4 initialisation: {recipe.architecture}, {model.num_parameters():,} parameters, seed {seed}")
    states = out / "checkpoints"
    settings = _settings(recipe, steps, seed)
    log = SummaryWriter(out / "tensorboard")
    keep = {step: out / f"step-{step}" for n in range(checkpoints) if (step := steps // 2**n) > 0}
    watcher = _Watcher(steps, max_minutes, progress, log, states / "run.json", settings, tokenizer, keep)
    last = last_checkpoint(states)
    if last:
        watcher.spent = _spent(watcher.file, settings, out)
        progress.stage(f"goes on from step {last.name.rpartition('-')[2]}")
    progress.stage(f"3/4 pre-training: {steps} steps of {recipe.tokens_per_step:,} tokens on {device}, left to right")
    trainer = _trainer(recipe.short_steps)(
        model=model,
        args=_arguments(recipe, states, steps, seed, device),
        train_dataset=Windows(torch.from_numpy(windows)),
        callbacks=[watcher.callback()],
        optimizers=(optimizer_of(model, recipe.learning_rate), None),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    watcher.latest = lambda: float(trainer.latest)
    with disk_errors(str(states)):
        states.mkdir(exist_ok=True)
        watcher.keep_settings()
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        log.close()

    done = trainer.state.global_step
    progress.stage(f"4/4 saving {done} of {steps} steps")
    curve = [(entry["step"], round(entry["loss"], 4)) for entry in trainer.state.log_history if "loss" in entry]
    facts = {
        "recipe": recipe.name,
        "parameters": model.num_parameters(),
        "steps": done,
        "planned_steps": steps,
        "documents": documents,
        "tokens": done * recipe.tokens_per_step,
        "seconds": round(watcher.spent, 1),
        "seed": seed,
        "device": device,
        "loss": curve,
    }
    with disk_errors(str(out)):
        _save(out, recipe, model, tokenizer, facts)
    if done >= steps:
        remove(states)
    else:
        progress.stage(f"{steps - done} steps are left: run the same command again to go on")
    return out


def _take(out: Path) -> None:
    """Mark a folder as one of a training. Raises OutputError where it is something else's, or cannot be written."""
    own = out / OWN
    if out.is_dir() and any(out.iterdir()) and not own.is_file():
        raise OutputError(f"{out} holds files that are not of a training", "name a new folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        own.touch()
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror}", "choose another folder with --out") from error


def _arguments(recipe: Recipe, states: Path, steps: int, seed: int, device: str) -> Any:
    """How the Trainer learns, and keeps its states."""
    import transformers

    return transformers.TrainingArguments(
        output_dir=str(states),
        max_steps=steps,
        per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": steps // 4},
        warmup_steps=min(recipe.warmup, steps // 10),
        weight_decay=WEIGHT_DECAY,
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        bf16=_bfloat16_helps(device),
        use_cpu=device == "cpu",
        seed=seed,
        logging_steps=max(1, min(50, steps // 10)),
        save_steps=max(1, min(250, steps // 2)),
        save_total_limit=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _save(out: Path, recipe: Recipe, model: Any, tokenizer: Any, facts: Mapping[str, Any]) -> None:
    """The model in float16, its tokenizer and card, the text that was held out, the facts."""
    ready = out / "ready"
    remove(ready)
    try:
        ready.mkdir()
        model.half().save_pretrained(ready)
        tokenizer.save_pretrained(ready)
        if recipe.held_out:
            lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in recipe.held_out)
            (ready / HELD_OUT).write_text("".join(lines), encoding="utf-8")
        (ready / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        (ready / "README.md").write_text(model_card(recipe, facts), encoding="utf-8")
        for file in ready.iterdir():
            put(file, out / file.name)
    finally:
        remove(ready)


def _trainer(short_steps: int) -> type[Any]:
    """The Trainer with short windows in its first steps; the windows come in the order in which they lie."""
    import torch

    from gpteval.train.resume import WholeCheckpoints

    class Trainer(WholeCheckpoints):
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **named: Any) -> Any:
            if self.state.global_step < short_steps:
                inputs = {name: tokens.reshape(len(tokens) * PIECES, -1) for name, tokens in inputs.items()}
            found = super().compute_loss(model, inputs, *arguments, **named)
            self.latest = (found[0] if isinstance(found, tuple) else found).detach()
            return found

    return Trainer


def _settings(recipe: Recipe, steps: int, seed: int) -> dict[str, Any]:
    """What a checkpoint must agree with to be continued."""
    texts = ("corpus", "first", "held_out", "command")
    described = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name not in texts}
    settings: dict[str, Any] = json.loads(json.dumps({**described, "steps": steps, "seed": seed}, default=dict))
    return settings


def _spent(file: Path, settings: Mapping[str, Any], out: Path) -> float:
    """Seconds of training before the last checkpoint. Raises OutputError when that has other settings."""
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file} cannot be read: {error}", "remove that folder, or give another --out") from error
    if run["settings"] != settings:
        raise OutputError(
            f"{out} holds the checkpoints of an unfinished training with other settings",
            "give the same recipe or config, --steps and --seed to continue it, or another --out",
        )
    return float(run["seconds"])


@dataclass
class _Watcher:
    """Tells progress and logs it, counts seconds and stops in time; ``file`` keeps them beside the checkpoints.
    ``keep``: at which steps the model is saved, and where. ``latest``: the loss of the last step.
    """

    steps: int
    max_minutes: float | None
    progress: TrainingProgress
    log: Any
    file: Path
    settings: Mapping[str, Any]
    tokenizer: Any
    keep: Mapping[int, Path]
    spent: float = 0.0
    latest: Callable[[], float] = lambda: math.nan

    def callback(self) -> Any:
        import transformers

        watcher = self
        before, begin = self.spent, time.monotonic()
        told = begin

        class Callback(transformers.TrainerCallback):  # type: ignore[misc]
            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
                if "loss" not in (logs or {}):  # a summary at the end
                    return
                nonlocal told
                told = time.monotonic()
                watcher.progress.step(state.global_step, watcher.steps, logs["loss"])
                for name in ("loss", "learning_rate", "grad_norm"):
                    if name in logs:
                        watcher.log.add_scalar(f"train/{name}", logs[name], state.global_step)

            def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
                if (folder := watcher.keep.get(state.global_step)) is not None:
                    half = {name: weight.half() for name, weight in model.state_dict().items()}
                    with whole(folder) as partial:
                        model.save_pretrained(partial, state_dict=half)
                        watcher.tokenizer.save_pretrained(partial)
                nonlocal told
                now = time.monotonic()
                if now - told > TOLD_SECONDS and state.global_step % args.logging_steps:  # others are told when logged
                    told = now
                    watcher.progress.step(state.global_step, watcher.steps, watcher.latest())
                seconds = now - begin
                watcher.spent = before + seconds
                if watcher.max_minutes is not None and seconds > 60 * watcher.max_minutes:
                    control.should_training_stop = control.should_save = True

            def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                watcher.keep_settings()

        return Callback()

    def keep_settings(self) -> None:
        """Beside the checkpoints, for who goes on."""
        write_whole(self.file, json.dumps({"settings": self.settings, "seconds": self.spent}))


def _bfloat16_helps(device: str) -> bool:
    """bfloat16 on CUDA that has it, and on CPUs with the instructions; elsewhere it would be slower."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    return device == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
