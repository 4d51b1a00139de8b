"""Models in the files of other programs, as folders of the Hub's format; told by their content.

nanoGPT's ``ckpt.pt``, llm.c's ``.bin``, ``.gguf`` files, and folders with an adapter of peft. A format is a function
that writes weights and configuration into a folder, and the tokenizer where it knows one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from gpteval.core.errors import ModelError, OutputError, UsageError
from gpteval.models.catalogue import ADAPTER
from gpteval.models.foreign.gguf_files import write_gguf
from gpteval.models.foreign.gguf_parts import parts_of
from gpteval.models.foreign.gpt2_files import GPT2_VOCABULARIES, LLMC_MAGIC, write_llmc, write_nanogpt
from gpteval.models.foreign.peft import OpenBase, adapter_content, write_merged
from gpteval.models.library import NO_TRUST, Trust, tokenizer_of

CONVERSION = 3  # raise when a conversion changes
GPT2 = "openai-community/gpt2"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json")
# Writes what lies at the first path into the second, a folder; the vocabulary's size, 0 with a tokenizer of its own.
# ``Trust`` is for a base model that an adapter names.
Format = Callable[[Path, Path, Trust], int]


def is_foreign(path: Path) -> bool:
    """Whether a path has to be converted: a file, or a folder with an adapter and no model."""
    return path.is_file() or ((path / ADAPTER).is_file() and not any(path.glob("model*.safetensors")))


def convert(
    path: Path, folder: Path, open_base: OpenBase, tokenizer: str | None = None, trust: Trust = NO_TRUST
) -> Path:
    """Write the model as a folder of the Hub's format. Raises ModelError, UsageError, OutputError.

    ``tokenizer``: a folder or Hub id; by default that of the format, or the files beside the checkpoint, else GPT-2's
    where the vocabulary is as large as GPT-2's. ``open_base``: opens the model that an adapter names.
    """
    write = _format(path, open_base)
    if write is None:
        raise ModelError(
            f"{path.name} is not a model in a known format",
            "nanoGPT's ckpt.pt, llm.c's .bin, a .gguf file, or a folder with an adapter of peft",
        )
    if folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder} holds files already", "name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:  # what is refused leaves nothing
            made = Path(scratch) / folder.name
            made.mkdir()
            vocabulary = write(path, made, trust)
            if vocabulary or tokenizer is not None:
                _add_tokenizer(path, made, tokenizer, vocabulary)
            os.replace(made, folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}", "free some space, or name another") from error
    return folder


def converted(
    path: Path, cache: Path, open_base: OpenBase, tokenizer: str | None = None, trust: Trust = NO_TRUST
) -> Path:
    """The model as a folder in the cache, written once for its content. Arguments and errors as for ``convert``."""
    if path.is_dir():
        content = adapter_content(path, trust, open_base)
    else:
        content = hashlib.sha256(b"".join(_digest(part) for part in parts_of(path))).hexdigest()[:24]
        files = _tokenizer_files(Path(tokenizer) if tokenizer is not None else path.parent)
        content_of_tokenizer = b"".join(file.read_bytes() for file in files) or (tokenizer or "").encode()
        content += "-" + hashlib.sha256(content_of_tokenizer).hexdigest()[:8]
    folder = cache / f"{content}-{CONVERSION}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = convert(path, Path(scratch) / "model", open_base, None if path.is_dir() else tokenizer, trust)
            try:
                os.replace(made, folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return folder


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _format(path: Path, open_base: OpenBase) -> Format | None:
    if path.is_dir():
        return partial(write_merged, open_base=open_base) if (path / ADAPTER).is_file() else None
    try:
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError as error:
        raise ModelError(f"cannot read {path.name}: {error.strerror}", "check the path") from error
    formats = {b"PK\x03\x04": write_nanogpt, b"GGUF": write_gguf}  # torch.save writes a zip archive
    formats[b"\x80\x02\x8a\n"] = write_nanogpt  # and did otherwise before version 1.6
    formats[np.int32(LLMC_MAGIC).tobytes()] = write_llmc
    return formats.get(begin)


def _tokenizer_files(folder: Path) -> list[Path]:
    return [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]


def _add_tokenizer(path: Path, folder: Path, tokenizer: str | None, vocabulary: int) -> None:
    files = _tokenizer_files(Path(tokenizer) if tokenizer is not None else path.parent)
    if any(file.name in ("tokenizer.json", "merges.txt") for file in files):
        for file in files:
            shutil.copyfile(file, folder / file.name)
        return
    if tokenizer is None and vocabulary not in GPT2_VOCABULARIES:
        raise UsageError(
            f"{path.name} has a vocabulary of {vocabulary:,} tokens and no tokenizer beside it",
            "name one with --tokenizer FOLDER_OR_HUB_ID, or put its tokenizer.json beside the checkpoint",
        )
    try:
        tokenizer_of(tokenizer or GPT2).save_pretrained(folder)
    except Exception as error:  # the library and the Hub's client raise many kinds
        raise ModelError(
            f"{path.name}: the tokenizer {tokenizer or GPT2} cannot be loaded: {str(error).split(chr(10))[0][:200]}",
            "put tokenizer.json beside the checkpoint, name another with --tokenizer, or go online",
        ) from error
