"""Adapters of peft: a folder whose ``adapter_config.json`` names a base model is that model with it merged in.

A merged model is held to the model with the adapter beside its weights: what was written is read again, and has to give
a few tokens the same log-probabilities, all computed in float32.
"""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpteval.core.errors import GptevalError, ModelError, UsageError
from gpteval.data.downloads import AGAIN, what_broke
from gpteval.models.catalogue import ADAPTER, ModelInfo, resolve_models
from gpteval.models.checkpoint import refuse_left_over
from gpteval.models.library import CODE_HINT, Trust, needs_code, tokenizer_of, weights_of, with_adapter

WEIGHTS = "adapter_model.safetensors"
UNMERGED = {  # kinds of peft, and what they are called
    "PROMPT_TUNING": "prompt tuning",
    "MULTITASK_PROMPT_TUNING": "multitask prompt tuning",
    "P_TUNING": "p-tuning",
    "PREFIX_TUNING": "prefix tuning",
    "CPT": "context-aware prompt tuning",
    "CARTRIDGE": "cartridges",
    "ADAPTION_PROMPT": "LLaMA-Adapter",
    "XLORA": "X-LoRA",
    "POLY": "Poly",
}
_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")
_TOKENS = 24  # of the text on which a merged model is held to the unmerged one
OpenBase = Callable[[ModelInfo, Trust], Any]  # makes an ``HFModel`` of the base; of the loader, which stands above
CLOSE, CLOSE_ROUNDED = 1e-3, 0.02  # nats a token on average; the second where merged weights are rounded to 16 bits


def adapter_content(folder: Path, trust: Trust, open_base: OpenBase) -> str:
    """Digest of an adapter and of the base model that it names. Raises ModelError, UsageError."""
    total = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix in (".json", ".safetensors", ".txt", ".model"):
                total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise ModelError(f"cannot read {folder.name}: {error.strerror}", "check the path") from error
    total.update(open_base(_base(folder), trust).fingerprint.encode())
    return total.hexdigest()[:24]


def write_merged(folder: Path, out: Path, trust: Trust, open_base: OpenBase) -> int:
    """Write the base model with the adapter merged into its weights, and a tokenizer: the adapter's own, or the
    base's.

    Raises ModelError for an adapter of another base, one of whose tensors any is missing or left over, one that does
    not serve language modelling, and where the merged model does not give the unmerged one's numbers; UsageError.
    """
    if find_spec("peft") is None:
        raise UsageError(f"{folder.name} is an adapter, which needs peft", "pip install 'gpteval[peft]'")
    _refuse_other_kinds(folder)
    base = _base(folder)
    model = open_base(base, trust)
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder.name} has no {WEIGHTS}", "save the adapter with peft's save_pretrained")
    try:
        own = any((folder / name).is_file() for name in _TOKENIZERS)
        tokenizer = tokenizer_of(folder, trust) if own else model.codec.tokenizer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tied layers, which are looked after
            _write_held(folder, model, tokenizer, out, trust)
        tokenizer.save_pretrained(out)
    except GptevalError:
        raise
    except Exception as error:  # transformers, peft and the Hub client raise many kinds
        if needs_code(error):
            raise ModelError(f"{folder.name} needs code from its own files", CODE_HINT) from error
        reason = str(error).split("\n")[0][:200]
        hint = AGAIN if what_broke(error) == "broken" else f"check that {base.name} is the base model of this adapter"
        raise ModelError(f"{folder.name} cannot be merged into {base.name}: {reason}", hint) from error
    return 0


def _write_held(folder: Path, base: Any, tokenizer: Any, out: Path, trust: Trust) -> None:
    """Write the merged model, in the base's 16 bits where they hold what the adapter changed, else in 32. Raises
    ModelError where what is written does not give the numbers of the model with the adapter beside its weights.
    """
    import peft
    import torch

    module = base.fresh("float32")
    rows = _rows_of(folder, module)
    if rows != module.get_input_embeddings().weight.shape[0] or len(tokenizer) > rows:
        module.resize_token_embeddings(max(rows, len(tokenizer)))  # tokens were added for the adapter, or padding
    adapted = with_adapter(module, folder).eval()
    _refuse_left_over(folder, adapted, peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
    ids = [token % len(tokenizer) for token in range(1, 7 * min(_TOKENS, base.window), 7)]
    ids[-1] = len(tokenizer) - 1  # which may be new
    expected = _logprobs(adapted, ids)
    merged = _merged(adapted)
    for dtype in dict.fromkeys((_stated(base.config), "float32")):
        rounded = merged if dtype == "float32" else copy.deepcopy(merged).to(getattr(torch, dtype))
        rounded.save_pretrained(out)
        written, loading = weights_of(out, trust, dtype="float32")
        refuse_left_over(f"{folder.name}, merged", loading)
        found = _logprobs(written.eval(), ids)
        if float((found - expected).abs().mean()) <= (CLOSE if dtype == "float32" else CLOSE_ROUNDED):
            return
    raise ModelError(
        f"{folder.name}: merged into its base it gives other numbers than beside it "
        f"({float(found.sum()):.1f}, not {float(expected.sum()):.1f})",
        "this kind of adapter cannot be merged; merge it where it was trained, and give that folder",
    )


def _rows_of(folder: Path, module: Any) -> int:
    """Rows of the embedding that the adapter was trained beside: of its own layers for tokens, else the base's."""
    from safetensors import safe_open

    layers = {name for name, layer in module.named_modules() if layer in _token_layers(module)}
    rows = int(module.get_input_embeddings().weight.shape[0])
    with safe_open(folder / WEIGHTS, "pt") as file:
        for name in file.keys():  # noqa: SIM118  # it is no mapping
            owner = next((layer for layer in layers if f".{layer}." in f".{name}"), None)
            if owner is not None:
                shape = file.get_slice(name).get_shape()
                if name.endswith(("lora_embedding_A", "lora_embedding_A.weight")):
                    return int(shape[1])
                if len(shape) == 2 and name.endswith((f"{owner}.weight", "lora_B.weight")):
                    return int(shape[0])
    return rows


def _token_layers(module: Any) -> list[Any]:
    return [layer for layer in (module.get_input_embeddings(), module.get_output_embeddings()) if layer is not None]


def _merged(adapted: Any) -> Any:
    """The model with the adapter in its weights. Embedding and output layer that are one tensor become two where the
    adapter changes one of them, as they do while it lies beside them.
    """
    import torch

    module = adapted.get_base_model()
    table, head = (_plain(layer) for layer in (module.get_input_embeddings(), module.get_output_embeddings()))
    tied = head is not None and head.weight.data_ptr() == table.weight.data_ptr()
    if tied:
        head.weight = torch.nn.Parameter(table.weight.detach().clone(), requires_grad=False)
    merged = adapted.merge_and_unload(safe_merge=True)
    table, head = merged.get_input_embeddings(), merged.get_output_embeddings()
    if tied and torch.equal(table.weight, head.weight):
        head.weight = table.weight
    if tied:
        stay = head.weight is table.weight
        merged.config.get_text_config().tie_word_embeddings = merged.config.tie_word_embeddings = stay
    return merged


def _plain(layer: Any) -> Any:
    """What an adapter lies around: the layer itself."""
    original = getattr(layer, "original_module", layer)
    return getattr(original, "base_layer", original)


def _logprobs(model: Any, ids: list[int]) -> Any:
    """Of each of ``ids`` behind the first, in nats, [tokens]."""
    import torch

    with torch.inference_mode():
        logprobs = model(input_ids=torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
    return logprobs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]


def _refuse_left_over(folder: Path, adapted: Any, expected: Mapping[str, Any]) -> None:
    """Raise ModelError where the adapter's file lacks tensors that its configuration wants, or has others."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, "pt") as file:
        given = set(file.keys())
    # peft also saves whole layers beside it, such as an embedding with new rows, under their names in the model
    of_base = {name.replace(".default.", ".") for name in adapted.state_dict()}
    missing, over = sorted(set(expected) - given), sorted(given - set(expected) - of_base)
    hint = f"it is cut, or another base's or version's: compare it with its {ADAPTER}, and save it again with peft"
    if missing:
        raise ModelError(f"{folder.name}: {WEIGHTS} lacks {len(missing)} tensors, first {missing[0]}", hint)
    if over:
        raise ModelError(f"{folder.name}: {WEIGHTS} has {len(over)} tensors that fit nowhere, first {over[0]}", hint)


def _refuse_other_kinds(folder: Path) -> None:
    """Raise ModelError for adapters of anything but language models, and for what would import a module it names."""
    found = _config_of(folder)
    task = found.get("task_type")
    if task not in (None, "CAUSAL_LM"):
        raise ModelError(
            f"{folder.name} is an adapter for {task}, not for language modelling (CAUSAL_LM)",
            "its head would be left out; for classification, tune with gpteval finetune",
        )
    if kind := UNMERGED.get(str(found.get("peft_type"))):
        raise ModelError(
            f"{folder.name} is an adapter of {kind} ({found['peft_type']}): it stands beside the weights, "
            "and cannot be merged into them",
            "adapters that change weights can be evaluated, as LoRA and its kin; this one a server can serve",
        )
    if found.get("megatron_config"):
        raise ModelError(f"{folder.name} names a module to import (megatron_core)", "save the adapter without Megatron")


def _config_of(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"{ADAPTER} of {folder.name} names no base model", "it is written by peft")
    return found


def _stated(config: Any) -> str:
    """The dtype of the base's files."""
    return str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")


def _base(folder: Path) -> ModelInfo:
    """The base model that an adapter names: a Hub id, or a folder, seen from the working folder or the adapter's.

    Raises ModelError, also where adapters name each other in a circle.
    """
    base, seen = _named(folder), {folder.resolve()}
    at = Path(base.location)
    while base.local and (at / ADAPTER).is_file():
        if at.resolve() in seen:
            raise ModelError(f"{folder.name} has itself as its base model", f"correct its {ADAPTER}")
        seen.add(at.resolve())
        at = Path(_named(at).location)
    return base


def _named(folder: Path) -> ModelInfo:
    found = _config_of(folder)
    name, revision = found.get("base_model_name_or_path"), found.get("revision")
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
