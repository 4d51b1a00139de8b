"""Adapters of peft: a folder whose ``adapter_config.json`` names a base model is that model with it merged in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from gpteval.core.downloads import AGAIN, what_broke
from gpteval.core.errors import GptevalError, ModelError, UsageError
from gpteval.models.catalogue import ADAPTER, ModelInfo, resolve_models

WEIGHTS = "adapter_model.safetensors"
_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")


def adapter_content(folder: Path) -> str:
    """Digest of an adapter and of the base model that it names. Raises ModelError, UsageError."""
    from gpteval.models.loader import HFModel

    total = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix in (".json", ".safetensors", ".txt", ".model"):
                total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise ModelError(f"cannot read {folder.name}: {error.strerror}", "check the path") from error
    total.update(HFModel(_base(folder)).fingerprint.encode())
    return total.hexdigest()[:24]


def write_merged(folder: Path, out: Path) -> int:
    """Write the base model with the adapter merged into its weights, and a tokenizer: the adapter's own, or the
    base's. Raises ModelError, UsageError.
    """
    import transformers

    try:
        import peft
    except ImportError as error:
        raise UsageError(
            f"{folder.name} is an adapter, for which peft is needed", "pip install 'gpteval[peft]'"
        ) from error
    base = _base(folder)
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder.name} has no {WEIGHTS}", "save the adapter with peft's save_pretrained")
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            base.location, revision=base.revision, dtype="auto", use_safetensors=True
        )
        rows = model.get_input_embeddings().weight.shape[0]
        own = any((folder / name).is_file() for name in _TOKENIZERS)
        where, revision = (str(folder), None) if own else (base.location, base.revision)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, revision=revision)
        if len(tokenizer) > rows:
            model.resize_token_embeddings(len(tokenizer))  # tokens were added for the adapter
        merged = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload(safe_merge=True)
        merged.save_pretrained(out)
        tokenizer.save_pretrained(out)
    except GptevalError:
        raise
    except Exception as error:  # transformers, peft and the Hub client raise many kinds
        reason = str(error).split("\n")[0][:200]
        hint = AGAIN if what_broke(error) == "broken" else f"check that {base.name} is the base model of this adapter"
        raise ModelError(f"{folder.name} cannot be merged into {base.name}: {reason}", hint) from error
    return 0


def _base(folder: Path) -> ModelInfo:
    """The base model that an adapter names: a Hub id, or a folder, seen from the working folder or the adapter's."""
    try:
        found = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        name, revision = found["base_model_name_or_path"], found.get("revision")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{ADAPTER} of {folder.name} names no base model", "it is written by peft") from error
    if not isinstance(name, str) or not name:
        raise ModelError(
            f"{ADAPTER} of {folder.name} names no base model", "write its name there: base_model_name_or_path"
        )
    beside = folder / name
    try:
        (base,) = resolve_models([str(beside) if beside.is_dir() and not Path(name).is_dir() else name])
    except (UsageError, ValueError) as error:
        raise ModelError(
            f"{folder.name} is an adapter of {name}, which is not here",
            f"correct base_model_name_or_path in its {ADAPTER}",
        ) from error
    return replace(base, revision=revision or base.revision)
