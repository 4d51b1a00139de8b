"""GGUF files of a model whose folder is here: in float32, and as llama.cpp quantises that.

    python -m benchmarks.quantised FOLDER OUT [TYPE ...]        TYPE: Q4_0, Q4_K_M, Q8_0 ...

Needs llama-cpp-python. ``gpteval agree FOLDER gguf:OUT/NAME-TYPE.gguf`` then says what the type does to its numbers.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def main() -> None:
    folder, out, *kinds = sys.argv[1:]
    import llama_cpp
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.gguf_files import write

    Path(out).mkdir(parents=True, exist_ok=True)
    whole = Path(out, f"{Path(folder).name}-F32.gguf")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    architecture = model.config.model_type.removesuffix("_text")
    write(whole, model, architecture, tokenizer=AutoTokenizer.from_pretrained(folder))
    print(whole)
    for kind in kinds or ["Q4_0"]:
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
        made = whole.with_name(f"{Path(folder).name}-{kind}.gguf")
        if llama_cpp.llama_model_quantize(str(whole).encode(), str(made).encode(), ctypes.byref(params)):
            sys.exit(f"llama.cpp does not quantise {whole} as {kind}")
        print(made)


if __name__ == "__main__":
    main()
