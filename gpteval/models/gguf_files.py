"""``.gguf`` files, as llama.cpp has them: read by transformers, which undoes their quantisation."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from gpteval.core.errors import ModelError, UsageError


def write_gguf(path: Path, folder: Path) -> int:
    """Write the model and its tokenizer into ``folder`` in the Hub's format, in float32.

    Raises ModelError, UsageError.
    """
    import transformers

    if find_spec("gguf") is None:
        raise UsageError(f"{path.name} is a GGUF file, for which gguf is needed", "pip install 'gpteval[gguf]'")
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    try:
        config = transformers.AutoConfig.from_pretrained(**where)
        if config.model_type == "gpt2":
            config.n_positions = getattr(config, "n_ctx", config.n_positions)  # where GGUF's window arrives
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        plain = {}
        if hasattr(transformers, "GgufConfig"):  # the versions that can also keep the weights packed
            plain["quantization_config"] = transformers.GgufConfig(dequantize=True)
        model, loading = transformers.AutoModelForCausalLM.from_pretrained(
            **where, **plain, config=config, dtype="float32", output_loading_info=True
        )
        if missing := sorted(loading["missing_keys"]):
            raise ModelError(f"{path.name} lacks {len(missing)} tensors, first {missing[0]}", "it is cut, or another's")
        if getattr(model, "hf_quantizer", None) is not None:
            model.hf_quantizer.remove_quantization_config(model)  # or it would refuse to be saved
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except ModelError:
        raise
    except Exception as error:  # transformers and gguf raise many kinds
        reason = str(error).split("\n")[0][:200]
        raise ModelError(
            f"{path.name} cannot be read: {type(error).__name__}: {reason}",
            "transformers reads the GGUF files of some architectures only; a folder of the Hub's format always works",
        ) from error
    return 0
