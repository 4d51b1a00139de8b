"""A GGUF file under llama.cpp. Its kernels for some processors crash the process where a virtual machine keeps the
processor's matrix units from it, so they are tried in a process of their own first:

    python -m gpteval.engine.llama_file FILE 1        ends by a signal where they do
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TRIAL = 40  # tokens, more than one row of any kernel


def opened(path: str, places: int, step: int, *, repacked: bool = True) -> Any:
    """llama-cpp-python's ``Llama`` with room for ``places`` tokens, of which it reads ``step`` at a time. ``repacked``:
    weights may lie as the kernels for this very processor want them. Raises ValueError, RuntimeError, AssertionError.
    """
    from llama_cpp import GGML_TYPE_F32, Llama, llama_cpp

    plain = llama_cpp.llama_model_default_params

    def as_they_are() -> Any:
        params = plain()
        params.use_extra_bufts = False
        return params

    precise = {"type_k": GGML_TYPE_F32, "type_v": GGML_TYPE_F32}  # keys and values; its own default is half of that
    try:
        if not repacked:
            llama_cpp.llama_model_default_params = as_they_are
        with _silent():
            return Llama(path, n_ctx=places, n_batch=step, n_gpu_layers=0, verbose=False, **precise)
    finally:
        llama_cpp.llama_model_default_params = plain


def crashes(path: str, *, repacked: bool) -> int:
    """The signal by which a process ends that computes with the file; 0 for none."""
    command = [sys.executable, "-m", __name__, path, str(int(repacked))]
    return max(0, -subprocess.run(command, capture_output=True, check=False).returncode)


@contextmanager
def _silent() -> Iterator[None]:
    """What a C library writes on stderr is for nobody."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    llama = opened(sys.argv[1], 2 * TRIAL, TRIAL, repacked=sys.argv[2] == "1")
    tokens = [number % llama.n_vocab() for number in range(TRIAL)]
    llama.eval(tokens)
    llama.eval(tokens[:1])
