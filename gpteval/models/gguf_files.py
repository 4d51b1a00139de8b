"""``.gguf`` files, as llama.cpp has them: read by transformers, which undoes their quantisation."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

from gpteval.core.errors import ModelError, UsageError
from gpteval.models.checkpoint import refuse_left_over
from gpteval.models.library import NO_TRUST, Trust, config_of, tokenizer_of, weights_of


def write_gguf(path: Path, folder: Path, trust: Trust = NO_TRUST) -> int:
    """Write the model and its tokenizer into ``folder`` in the Hub's format, in float32.

    What lies beside the file takes no part. Raises ModelError, UsageError.
    """
    import transformers

    if find_spec("gguf") is None:
        raise UsageError(f"{path.name} is a GGUF file, for which gguf is needed", "pip install 'gpteval[gguf]'")
    plain = {}
    if hasattr(transformers, "GgufConfig"):  # the versions that can also keep the weights packed
        plain["quantization_config"] = transformers.GgufConfig(dequantize=True)
    try:
        with tempfile.TemporaryDirectory() as alone:
            (Path(alone) / path.name).symlink_to(path.resolve())
            config = config_of(alone, gguf_file=path.name)
            if config.model_type == "gpt2":
                config.n_positions = getattr(config, "n_ctx", config.n_positions)  # where GGUF's window arrives
            tokenizer = tokenizer_of(alone, gguf_file=path.name)
            model, loading = weights_of(alone, gguf_file=path.name, config=config, dtype="float32", **plain)
        refuse_left_over(path.name, loading)
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
