"""A tuned model's folder: a model of the Hub's format, with the head and what it was made from beside it.

Plain transformers loads the language model; the head, the special tokens' vectors and their description are in files
of their own, which it passes over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpteval.core.atomic import write_whole
from gpteval.core.errors import ModelError
from gpteval.tune.tuned_card import model_card
from gpteval.tune.tuned_info import ABOUT, HEAD, ITEMS, Tuned

# A model tuned to go on where a prompt ends has no roles: a chat server gives it the messages one behind the other.
MESSAGES = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def read_tuned(folder: Path) -> Tuned | None:
    """What a folder says of its tuning; None where it is not a tuned model. Raises ModelError."""
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["classes"] = tuple(found["classes"])
        for losses in ("losses", "validation_losses"):
            found[losses] = tuple((int(step), float(loss)) for step, loss in found[losses])
        return Tuned(**found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder.name}: {ABOUT} cannot be read: {error}", "tune the model again") from error


def trained_items(folder: Path) -> frozenset[str]:
    """The ids of the items that a tuned model has seen. Raises ModelError."""
    try:
        return frozenset((folder / ITEMS).read_text(encoding="utf-8").split())
    except OSError as error:
        raise ModelError(
            f"{folder.name} does not say what it was trained on: {ITEMS}: {error.strerror}", "tune the model again"
        ) from error


def write_tuned(folder: Path, about: Tuned, module: Any, tokenizer: Any, items: Iterable[str]) -> None:
    """Write a ``TunedModel``, whose ``causal`` is a plain model of transformers, and its description.

    ``finetune.json`` comes last: a folder that has it is whole.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    module.causal.save_pretrained(folder)
    if not tokenizer.chat_template:
        tokenizer.chat_template = MESSAGES
    tokenizer.save_pretrained(folder)
    head = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith("causal.")}
    if head:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in head.items()}, folder / HEAD)
    (folder / ITEMS).write_text("\n".join(sorted(items)) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(about), encoding="utf-8")
    write_whole(folder / ABOUT, json.dumps(asdict(about), indent=1, ensure_ascii=False))
