"""A training of one's own: ``gpteval pretrain --config FILE``, a TOML file that names text and size."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from gpteval.core.errors import DataError, UsageError
from gpteval.core.types import digest
from gpteval.data.files import KINDS, read_file
from gpteval.train.recipe import ARCHITECTURES, PIECES, Recipe
from gpteval.train.tokenizers import TOKENIZERS

SHARE = 0.02  # of the text, kept from the training
FEW = 50  # documents, up to which it is the end of each that is kept


@dataclass(frozen=True)
class Corpus:
    """Documents in another order each time round, and what was kept from them. The same seed gives the same order."""

    documents: tuple[str, ...]
    held_out: tuple[str, ...]

    def __call__(self, seed: int) -> Iterator[str]:
        generator = random.Random(f"corpus {seed}")
        order = list(range(len(self.documents)))
        while True:
            generator.shuffle(order)
            yield from (self.documents[place] for place in order)


def read_config(path: Path) -> Recipe:
    """The recipe that a file describes. Raises UsageError, naming the setting, and DataError for unreadable text."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", "docs/pretraining.md has an example") from error
    settings = _settings(path, given)
    texts = settings.pop("text")
    named = {Path(name) for pattern in texts for name in glob(str(path.parent / pattern), recursive=True)}
    files = sorted(file for file in named if file.is_file())
    if not files:
        raise UsageError(f"{path}: no file is named by text = {texts}", f"paths from its folder, of {', '.join(KINDS)}")
    documents = [document for file in files for document in _documents(file, settings["column"])]
    corpus = split(documents, settings.pop("held_out"))
    name = f"{len(documents):,} documents of {', '.join(file.name for file in files[:3])}"
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    del settings["column"]
    return Recipe(
        name=path.stem,
        corpus=corpus,
        corpus_name=f"{name}{more} ({digest(*documents)[:8]})",
        command=f"--config {path.name}",
        held_out=corpus.held_out,
        **settings,
    )


def split(documents: Sequence[str], share: float) -> Corpus:
    """Training and held-out text: whole documents by their digest, or of few the end of each, from a line's start."""
    if len(documents) > FEW:
        kept = {document for document in documents if int(digest("held out", document), 16) % 10_000 < 10_000 * share}
        return Corpus(tuple(d for d in documents if d not in kept), tuple(sorted(kept)))
    cuts = [document.rfind("\n", 0, int(len(document) * (1 - share))) + 1 or len(document) for document in documents]
    ends = (document[cut:] for document, cut in zip(documents, cuts, strict=True))
    return Corpus(
        tuple(d[:cut] for d, cut in zip(documents, cuts, strict=True)), tuple(end for end in ends if end.strip())
    )


def _documents(file: Path, column: str) -> list[str]:
    rows, _ = read_file(file, file.name)
    try:
        texts = [row[column] for row in rows]
    except KeyError:
        raise DataError(f"{file.name} has no column {column!r}", "name another with column = ...") from None
    found = [text for text in texts if isinstance(text, str) and text.strip()]
    if not found:
        raise DataError(f"{file.name} holds no text in column {column!r}")
    return found


_DEFAULTS: Mapping[str, Any] = {
    "architecture": "gpt2",
    "tokenizer": "byte-level BPE",
    "vocabulary": 8192,
    "window": 256,
    "batch": 8,
    "steps": 2000,
    "learning_rate": 1e-3,
    "warmup": 100,
    "short_steps": 0,
    "column": "text",
    "held_out": SHARE,
}


def _settings(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings, checked."""
    known = {"text", "model", *_DEFAULTS}
    if unknown := sorted(set(given) - known):
        raise UsageError(f"{path}: unknown setting {unknown[0]!r}", f"known are {', '.join(sorted(known))}")
    if "text" not in given:
        raise UsageError(f"{path}: text is missing", 'for example text = ["novels/*.txt"]')
    settings = {**_DEFAULTS, **{key: value for key, value in given.items() if key != "model"}}
    settings["text"] = texts = [given["text"]] if isinstance(given["text"], str) else given["text"]
    settings["config"] = given.get("model", {})
    numbers = [name for name, value in _DEFAULTS.items() if type(value) is int and value]
    short, rate = settings["short_steps"], settings["learning_rate"]
    checks = [
        *(
            (type(settings[name]) is int and settings[name] > 0, f"{name} is a number of at least 1")
            for name in numbers
        ),
        (type(short) is int and short >= 0, "short_steps is a number"),
        (not short or settings["window"] % PIECES == 0, f"with short_steps, window is a multiple of {PIECES}"),
        (isinstance(settings["config"], dict), "[model] is a table of the architecture's configuration"),
        (isinstance(texts, list) and all(isinstance(text, str) for text in texts), "text is a list of file names"),
        (type(rate) in (int, float) and rate > 0, "learning_rate is a number above 0"),
        (isinstance(settings["held_out"], int | float) and 0 <= settings["held_out"] < 1, "held_out is a share"),
        (settings["architecture"] in ARCHITECTURES, f"architecture is one of {', '.join(ARCHITECTURES)}"),
        (settings["tokenizer"] in TOKENIZERS, f"tokenizer is {' or '.join(TOKENIZERS)}"),
    ]
    for fine, message in checks:
        if not fine:
            raise UsageError(f"{path}: {message}", "docs/pretraining.md has an example with every setting")
    return settings
