"""Loading a model with transformers: files, device, dtype, safety. Weights load only when first needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpteval.core.errors import GptevalError, ModelError, UsageError
from gpteval.core.types import digest
from gpteval.data.downloads import AGAIN, GATED, what_broke
from gpteval.data.files import cache_root
from gpteval.models.catalogue import GENERATION_OF, ModelInfo, window_of
from gpteval.models.checkpoint import (
    Digests,
    end_tokens,
    folder_fingerprint,
    refuse_adapter,
    refuse_left_over,
    refuse_pickles,
    remote_code,
    weight_digests,
    weights_in_parts,
)
from gpteval.models.foreign.convert import converted, is_foreign
from gpteval.models.library import CODE_HINT, Trust, config_of, needs_code, quiet, skeleton_of, tokenizer_of, weights_of
from gpteval.tokens.tokenizer import Codec

if TYPE_CHECKING:
    from gpteval.models.causal_lm import CausalLM

os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # never ask the Hub to convert a pickle
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch asks for large pages for large tensors

SPREAD = "spread"
LAYOUT = {"device_map": "auto"}  # what from_pretrained is told of it
DTYPES = ("auto", "float32", "bfloat16", "float16")
# Architectures of which earlier versions computed some numbers wrongly: results that they stored are not used.
MENDED = {"gpt_neo": "texts behind a beginning that prompts share"}
FALLBACK_WINDOW = 2048  # for a configuration that states none, as lm-evaluation-harness assumes


@dataclass(frozen=True)
class LoadOptions:
    """``device``: auto is CUDA, then MPS, then CPU; spread is all GPUs, then the machine's memory, then its disk, as
    accelerate lays out a model that one GPU cannot hold. ``dtype``: auto is the checkpoint's, float32 on a CPU.

    ``tokenizer``: a folder or Hub id, for checkpoints of other programs beside which none lies. ``vllm``: arguments of
    vLLM, of models that it computes.
    """

    device: str = "auto"
    dtype: str = "auto"
    allow_pickle: bool = False
    trust_remote_code: bool = False
    tokenizer: str = ""
    vllm: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"unknown dtype {self.dtype!r}", f"one of {', '.join(DTYPES)}")

    @property
    def trust(self) -> Trust:
        return Trust(self.trust_remote_code, self.allow_pickle)


_MARK = re.compile(r"\[.+\]|<.+>")  # a token that is no text


def pick_device(name: str) -> str:
    """``auto``, or a device that torch can use here. Raises UsageError."""
    import torch

    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    here = [kind for kind, ok in usable.items() if ok]
    if name == SPREAD and find_spec("accelerate") is None:
        raise UsageError(f"device {SPREAD} needs accelerate", "pip install 'gpteval[train]'")
    if name in ("auto", SPREAD):
        return here[0]
    if name.partition(":")[0] not in here:
        raise UsageError(f"device {name!r} cannot be used here", f"usable: auto, {SPREAD}, {', '.join(here)}")
    return name


class HFModel:
    """A causal language model of transformers with its tokenizer.

    Construction reads the configuration and the tokenizer; the first use of ``module`` loads the
    weights. Both raise ModelError with the way out.
    """

    def __init__(self, info: ModelInfo, options: LoadOptions | None = None) -> None:
        self.options = options or LoadOptions()
        self.source = info.location  # what was named: the checkpoint, where it has to be converted
        if info.local and is_foreign(Path(info.location)):
            cache, tokenizer = cache_root() / "converted", self.options.tokenizer or None
            folder = converted(Path(info.location), cache, open_base, tokenizer, self.options.trust)
            info = replace(info, location=str(folder))
        self._digests = Digests(info)

        quiet()
        self.info = info
        self.device = pick_device(self.options.device)
        self.attention = ""  # the implementation that runs, known once the weights are loaded
        trust = self.options.trust
        with self._explained():
            self.config: Any = config_of(info.location, trust, revision=info.revision)
            self.revision: str = "local" if info.local else _served_revision(info)
            refuse_adapter(info, self._pinned)
            tokenizer = tokenizer_of(info.location, trust, **self._pinned)
            skeleton = skeleton_of(self.config, trust)
            elsewhere = getattr(self.config, "transformers_weights", None)
            parts = weights_in_parts(info.location, self._pinned, trust, elsewhere)
            text = self.config.get_text_config()
            ends = end_tokens(info, self._pinned, text.eos_token_id)
        if not trust.pickles:
            refuse_pickles(info, parts)
        self._parts = parts
        self._code = remote_code(skeleton, self.config, tokenizer)
        probe = set(tokenizer("The quick brown fox", add_special_tokens=False)["input_ids"])
        if probe <= {tokenizer.unk_token_id}:
            raise ModelError(
                f"model {info.name} has no tokenizer: what was loaded knows no words",
                "put the tokenizer's files (tokenizer.json or vocab.json and merges.txt) beside the weights",
            )
        self.codec = Codec(tokenizer, extra_eos=sorted(ends))
        self.window: int = window_of(text.to_dict()) or FALLBACK_WINDOW
        self.info = replace(
            info,
            generation=info.generation or GENERATION_OF.get(text.model_type, "other"),
            window=self.window,
            n_params=int(skeleton.num_parameters()),
        )

    @property
    def _pinned(self) -> dict[str, str | None]:
        """The commit that the configuration came from: tokenizer and weights come from the same."""
        return {"revision": self.info.revision if self.revision in ("local", "unknown") else self.revision}

    @property
    def architecture(self) -> str:
        """transformers' name of it."""
        return str(self.config.model_type)

    @property
    def spread(self) -> bool:
        """Whether the weights lie on several devices."""
        return self.options.device == SPREAD

    @property
    def place(self) -> str:
        """The kind of device, or spread."""
        return SPREAD if self.spread else self.device.partition(":")[0]

    @property
    def dtype(self) -> str:
        """The dtype the weights are computed in."""
        if self.options.dtype != "auto":
            return self.options.dtype
        stated = str(getattr(self.config, "dtype", None) or "float32").removeprefix("torch.")
        return "float32" if self.device == "cpu" else stated

    @cached_property
    def fingerprint(self) -> str:
        """What identifies weights, configuration and tokenizer: the Hub's commit, or a digest of local files."""
        if not self.info.local:
            return f"{self.info.location}@{self.revision}"
        return folder_fingerprint(self.info, self._parts, self._digests)

    @cached_property
    def weights(self) -> dict[str, str]:
        """The digest of each file that holds weights, by its name, once they are there."""
        return weight_digests(self.info, self._parts, self.revision, self._digests)

    @property
    def key(self) -> str:
        """Digest of everything about the model that determines its outcomes."""
        pickled = self.options.allow_pickle and not self.info.local  # of a folder, the fingerprint has all files
        ends = sorted(self.codec.eos)
        device = self.device.partition(":")[0]
        mended = [MENDED[self.architecture]] if self.architecture in MENDED else []
        return digest(self.fingerprint, self.dtype, device, self.window, self._code, pickled, ends, *mended)

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return "module" in self.__dict__

    @cached_property
    def module(self) -> CausalLM:
        """The model on its device, in evaluation mode."""
        from gpteval.models.kernels import join_gelu, one_dnn

        if self.spread:
            spread: CausalLM = self.fresh(self.dtype, LAYOUT).eval()
            return spread
        model = self.fresh(self.dtype)
        if (self.device, self.dtype) == ("cpu", "float32"):
            one_dnn(model)
            join_gelu(model)
        whole: CausalLM = model.to(self.device).eval()
        return whole

    def fresh(self, dtype: str, layout: Mapping[str, Any] | None = None) -> Any:
        """The model once more, as it was saved but for fused kernels, on the CPU or as ``layout`` has it."""
        import torch

        from gpteval.models.kernels import fuse

        with self._explained():
            model, loading = weights_of(
                self.info.location, self.options.trust, **self._pinned, dtype=getattr(torch, dtype), **(layout or {})
            )
        refuse_left_over(f"model {self.info.name}", loading)
        rows, tokens = model.get_input_embeddings().weight.shape[0], self.codec.tokenizer.vocab_size
        beyond = self.codec.tokenizer.convert_ids_to_tokens(list(range(rows, tokens)))
        # Marks such as [PAD] beyond, and added tokens, are none of it: where one occurs, that item fails.
        if not all(_MARK.fullmatch(str(token)) or token in self.codec.tokenizer.all_special_tokens for token in beyond):
            raise ModelError(
                f"model {self.info.name}: its tokenizer has {tokens} tokens but its embedding only {rows} rows",
                "the tokenizer belongs to another model",
            )
        self.attention = fuse(model)
        return model

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except GptevalError:
            raise
        except Exception as error:  # transformers, safetensors and the Hub client raise many kinds
            raise ModelError(*_explain(self.info, error)) from error


def open_base(info: ModelInfo, trust: Trust) -> HFModel:
    """The model that an adapter names, on the CPU."""
    return HFModel(info, LoadOptions("cpu", allow_pickle=trust.pickles, trust_remote_code=trust.code))


def _served_revision(info: ModelInfo) -> str:
    """The commit that the Hub served: its files are kept in a folder of that name."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(info.location, "config.json", revision=info.revision)
    return Path(path).parent.name if isinstance(path, str) else "unknown"


def _explain(info: ModelInfo, error: Exception) -> tuple[str, str]:
    """Message and hint for what went wrong while loading."""
    text = " ".join(str(error).split())
    broke = what_broke(error)
    if broke == "gated":
        return f"model {info.name} is gated: the Hub gives it only to those whom its owners let in", GATED
    if broke:
        return f"cannot load model {info.name}: the download of its files broke off", AGAIN
    message = f"cannot load model {info.name}: {text[:300] or type(error).__name__}"
    if needs_code(error):
        return f"model {info.name} needs code from its own repository", CODE_HINT
    if "safetensors" in text and ("does not appear to have" in text or "no file named" in text):
        return (
            f"model {info.name} has no safetensors weights",
            "--allow-pickle loads its .bin weights; a pickle can run any code, so use it only for sources you trust",
        )
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return message, "it does not fit: choose a smaller model, or --dtype bfloat16"
    if any(sign in text for sign in ("offline", "onnect", "resolve", "not a local folder")):
        return message, "check the name and the network; with HF_HUB_OFFLINE=1 only downloaded models load"
    return message, "check that the folder or Hub id holds a causal language model and its tokenizer"
