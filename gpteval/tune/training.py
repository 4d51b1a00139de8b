"""Tuning a model for a task: transformers' Trainer, the paper's settings, checkpoints from which it goes on."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpteval.core.atomic import PARTIAL, disk_errors, remove, write_whole
from gpteval.core.errors import ModelError, OutputError, UsageError
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.models.memory import peak_memory
from gpteval.models.prefixes import AS_CHAT
from gpteval.tasks.task import Task
from gpteval.train.training_progress import TrainingProgress
from gpteval.tune.asked import asked_of
from gpteval.tune.inputs import Example, InputForm, form_of, make_examples
from gpteval.tune.methods import RATES, SIZES, WEIGHTS, apply, merged, trained
from gpteval.tune.saved import read_tuned, write_tuned
from gpteval.tune.settings import Settings
from gpteval.tune.splits import Split, split_of
from gpteval.tune.tuned_info import Tuned

CHECKPOINTS, BEGUN = "checkpoints", "settings.json"  # while it trains
TRACKERS = ("tensorboard", "wandb")


def tune(
    info: ModelInfo,
    task: Task,
    out: Path,
    settings: Settings,
    load: LoadOptions | None = None,
    progress: TrainingProgress | None = None,
    track: Sequence[str] = (),
) -> Tuned:
    """Train, and write the tuned model to ``out``. An interrupted training there goes on.

    Raises GptevalError before any training for what cannot be: no training split, one class only, texts that are too
    long, a method that the architecture cannot take, a tracker that is not installed; and OutputError where ``out``
    holds something else.
    """
    progress = progress or TrainingProgress()
    _refuse_what_is_missing(info, track)
    began = time.monotonic()
    wanted = _wanted(info, task, settings)
    about = _refuse_other(out, wanted)
    if about is not None:
        _leave(out)
        progress.stage(f"{out} was trained to its end already")
        return about
    progress.stage(f"loading the training split of {task.name}")
    split = split_of(task, examples=settings.examples, seed=settings.seed)
    asked = asked_of(task)
    progress.stage(f"loading the files of {info.name}")
    model = HFModel(info, load)
    training_set = _training_set_of(split, model, task, settings)
    progress.stage(f"loading the weights of {info.name}")

    from gpteval.train.resume import last_checkpoint
    from gpteval.tune.head_model import accuracy
    from gpteval.tune.trainer import Losses, make_trainer

    trainee = _trainee_of(model, training_set.form, settings)
    out.mkdir(parents=True, exist_ok=True)
    with disk_errors(str(out)):
        write_whole(out / BEGUN, json.dumps(wanted, indent=1))
    progress.stage(
        f"training {trainee.trained:,} of {trainee.parameters:,} weights on {len(training_set.train):,} examples"
    )
    losses = Losses(progress)
    data = training_set.train, training_set.validation
    trainer = make_trainer(trainee.module, *data, out / CHECKPOINTS, settings, model.device, losses, track)
    last = last_checkpoint(out / CHECKPOINTS)
    if last:
        progress.stage(f"goes on from {last.name}")
    with disk_errors(str(out / CHECKPOINTS)):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    losses.of(trainer.state.log_history)
    if trainer.state.global_step < trainer.state.max_steps and losses.validation:
        step, lowest = min(losses.validation, key=lambda found: found[1])
        progress.stage(
            f"stops early, after step {trainer.state.global_step} of {trainer.state.max_steps}: "
            f"the validation loss was lowest at step {step} ({lowest:.3f}), whose weights are kept"
        )
    if not all(math.isfinite(loss) for _, loss in losses.validation):
        _leave(out)
        raise ModelError(
            f"the loss on the validation examples is not finite: nothing of the training in {out} is kept",
            "train with a lower --learning-rate",
        )
    right = accuracy(trainee.module, trainer.get_eval_dataloader()) if training_set.is_held_out else None
    trainee.module.causal = merged(trainee.adapted)
    about = Tuned(
        base=info.name,
        task=task.label,
        **{name: getattr(training_set.form, name) for name in ("kind", "classes", "vocabulary", "window", "reads")},
        method=settings.method,
        settings=asdict(settings) | _used(settings) | {"revision": split.revision},
        trained=trainee.trained,
        parameters=trainee.parameters,
        examples=len(training_set.train),
        validation=len(split.validation),
        seconds=time.monotonic() - began,
        peak_memory=peak_memory(model.device),
        losses=tuple(losses.training),
        validation_losses=tuple(losses.validation),
        validation_accuracy=right,
        asked=asked,
    )
    seen = [*_ids(training_set.train), *(prompt.item_id for prompt in split.validation)]
    with disk_errors(str(out)):
        write_tuned(out, about, trainee.module, model.codec.tokenizer, seen)
    _leave(out)
    return about


@dataclass(frozen=True)
class _TrainingSet:
    """Examples as tokens: those that are trained on, and those whose loss says when to stop."""

    form: InputForm
    train: Sequence[Example]
    validation: Sequence[Example]

    @property
    def is_held_out(self) -> bool:
        """Whether the validation examples have classes and are none of those that are trained on."""
        return self.form.kind != "texts" and self.validation is not self.train


def _training_set_of(split: Split, model: HFModel, task: Task, settings: Settings) -> _TrainingSet:
    """Raises GptevalError for examples that the method or the window cannot take."""
    reads = _used(settings)["size"] if settings.method == "prefix" else 0
    vocabulary = max(model.config.get_text_config().vocab_size, len(model.codec.tokenizer))
    form = form_of([*split.train, *split.validation], vocabulary, model.window, reads)
    if form.kind == "texts" and settings.method not in ("full", "lora"):
        raise UsageError(
            f"task {task.name} wants texts, which the language model writes: {settings.method} takes no part in it",
            "--method full or lora",
        )
    train = make_examples(split.train, form, model.codec, cut=settings.cut)
    several = len(split.validation) > 1
    return _TrainingSet(form, train, make_examples(split.validation, form, model.codec, cut=True) if several else train)


@dataclass(frozen=True)
class _Trainee:
    """What is trained: ``module``, whose language model is ``adapted`` by the method; numbers of weights, with what
    the method adds."""

    module: Any
    adapted: Any
    trained: int
    parameters: int


def _trainee_of(model: HFModel, form: InputForm, settings: Settings) -> _Trainee:
    import transformers

    from gpteval.tune.added import added
    from gpteval.tune.head_model import TextModel, TunedModel

    transformers.set_seed(settings.seed)
    used = _used(settings)
    causal = model.fresh("float32")
    extra = added(causal, settings.method, used["size"])
    adapted = apply(causal, settings.method, used["size"])
    module: Any = TextModel(causal)
    if form.kind != "texts":
        module = TunedModel(causal, form, extra, weight=used["weight"], dropout=settings.dropout)
    return _Trainee(module, adapted, trained(module), sum(weight.numel() for weight in module.parameters()))


def _used(settings: Settings) -> dict[str, Any]:
    """What is used where the settings leave it to the method."""
    method = settings.method
    weight = WEIGHTS[method] if settings.weight is None else settings.weight
    return {
        "learning_rate": settings.learning_rate or RATES[method],
        "size": settings.size or SIZES[method],
        "weight": weight,
    }


def _refuse_what_is_missing(info: ModelInfo, track: Sequence[str]) -> None:
    """Raise UsageError where weights or libraries are not here."""
    if info.backend == AS_CHAT:
        raise UsageError(f"{info.name} is a way to ask a model", f"train {info.name.partition(':')[2]}, and ask that")
    if info.backend:
        raise UsageError(f"model {info.name} is behind an API: its weights are not here to be trained")
    if find_spec("accelerate") is None:
        raise UsageError("to fine-tune needs accelerate", "pip install 'gpteval[train]'")
    for name in track:
        if name not in TRACKERS or find_spec(name) is None:
            raise UsageError(
                f"--track {name} is not available", f"one of {', '.join(TRACKERS)}: pip install 'gpteval[track]'"
            )


def _leave(out: Path) -> None:
    """Remove what a training needs while it goes on, and nothing else; the folder, where that leaves it empty."""
    remove(out / CHECKPOINTS)
    (out / BEGUN).unlink()
    if not any(out.iterdir()):
        out.rmdir()


def _ids(examples: Sequence[Example]) -> list[str]:
    return [example.item_id for example in examples]


def _wanted(info: ModelInfo, task: Task, settings: Settings) -> dict[str, Any]:
    """What a training that is begun in a folder must agree with to go on there."""
    return {"base": info.name, "task": task.label, **asdict(settings)}


def _refuse_other(out: Path, wanted: dict[str, Any]) -> Tuned | None:
    """Raise OutputError where ``out`` holds a finished tuning, or one that was begun with other settings. What is told
    of one that was killed when all was written.
    """
    about, begun = read_tuned(out), out / BEGUN
    if about and not begun.is_file():
        raise OutputError(f"{out} holds a tuned model already", "name another folder with --out, or remove it")
    if begun.is_file():
        had = json.loads(begun.read_text(encoding="utf-8"))
        if differing := [name for name, value in wanted.items() if had.get(name) != value]:
            raise OutputError(
                f"{out} holds a training that was begun with another {differing[0]}: "
                f"{had.get(differing[0])!r}, not {wanted[differing[0]]!r}",
                "name another folder with --out, or remove it",
            )
    elif out.exists() and any(path.suffix != PARTIAL for path in out.iterdir()):
        raise OutputError(f"{out} is not empty", "name another folder with --out")
    return about
