"""One split of a dataset of the Hub, read with ``datasets``: its own files, and of no other split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import DataError
from gpteval.data.downloads import AGAIN, GATED, what_broke
from gpteval.data.lazy_rows import ArrowRows, DataRow, small_or_lazy

LOCAL = "set GPTEVAL_DATA to a folder that holds <org>/<name>/<config>/<split>.jsonl"
_COMMIT = re.compile("[0-9a-f]{40}")
_IN_REPOSITORY = re.compile(r"hf://datasets/[^@]+@[^/]+/(.+)")


def hub_rows(dataset: str, config: str, split: str, revision: str | None, origin: str) -> tuple[Sequence[DataRow], str]:
    """The rows, and the commit that was served. Raises DataError."""
    try:
        import datasets
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise DataError(f"cannot load {origin}: the package {error.name!r} is not installed", LOCAL) from None
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    try:
        loaded = _split(dataset, None if config == "default" else config, split, revision)
        pinned = revision
        if pinned and not _COMMIT.fullmatch(pinned):  # a branch or tag
            pinned = huggingface_hub.HfApi().dataset_info(dataset, revision=pinned).sha
    except Exception as error:  # the library raises its own, the network's and pyarrow's errors
        first = str(error).strip().split("\n")[0]
        raise DataError(f"cannot load {origin}: {type(error).__name__}: {first}", _advice(error)) from error
    served = _served_revision(loaded)
    if pinned and served != pinned:  # without the network, the newest revision of the cache is taken
        raise DataError(
            f"cannot load {origin} at revision {revision}: the cache holds {served}",
            "go online, so that the pinned revision can be downloaded",
        )
    table = loaded.with_format("arrow")
    return small_or_lazy(ArrowRows(len(loaded), lambda begin, end: table[begin:end])), served


def _split(dataset: str, config: str | None, split: str, revision: str | None) -> Any:
    """The split as a ``datasets.Dataset``, mapped into memory. Raises what the library raises."""
    import datasets

    try:
        files = datasets.load_dataset_builder(dataset, config, revision=revision).config.data_files or {}
    except (ConnectionError, ValueError):  # no network, or a cache that holds single splits
        if kept := _kept(dataset, config, split, revision):
            return kept
        raise
    if split not in files and len(files) > 1:  # to be told so, load_dataset would download all the others
        raise ValueError(f'Unknown split "{split}". Should be one of {list(files)}.')
    inside = [_IN_REPOSITORY.fullmatch(file) for file in files.get(split, ())]
    if not inside or not all(inside):  # an older cache, or data from elsewhere
        return datasets.load_dataset(dataset, config, split=split, revision=revision)
    only = {split: [match[1] for match in inside if match]}
    return datasets.load_dataset(dataset, config, data_files=only, split=split, revision=revision)


def _kept(dataset: str, config: str | None, split: str, revision: str | None) -> Any | None:
    """The split as an earlier call left it in the library's cache, which cannot find it again without the network.

    ``config`` None: of whatever name, if the cache holds one only.
    """
    import datasets
    from datasets.naming import camelcase_to_snakecase

    *owner, name = dataset.split("/")
    cache = Path(datasets.config.HF_DATASETS_CACHE, "___".join([*owner, camelcase_to_snakecase(name)]))
    of_config = re.compile(f"({re.escape(config) if config else '.+'})-[0-9a-f]{{16}}")
    of_split = re.compile(rf".+-{re.escape(split)}(-\d{{5}}-of-\d{{5}})?\.arrow")
    pinned = revision is not None and _COMMIT.fullmatch(revision)
    found: dict[Path, list[Path]] = {}
    configs = set()
    for part in sorted(cache.glob("*/*/*/*.arrow")):
        known = of_config.fullmatch(part.parts[-4])
        if known and of_split.fullmatch(part.name) and (not pinned or part.parent.name == revision):
            found.setdefault(part.parent, []).append(part)
            configs.add(known[1])
    if len(configs) != 1:
        return None
    newest = max(found, key=lambda folder: folder.stat().st_mtime)
    return datasets.concatenate_datasets([datasets.Dataset.from_file(str(part)) for part in found[newest]])


def _served_revision(loaded: Any) -> str:
    """The commit that the Hub served: the library keeps what it prepared in a folder of that name."""
    for file in loaded.cache_files:
        commit = Path(file["filename"]).parent.name
        if _COMMIT.fullmatch(commit):
            return commit
    return "unknown"


def _advice(error: Exception) -> str:
    """What to do about an error of ``load_dataset``."""
    text = str(error)
    if broke := what_broke(error):
        return GATED if broke == "gated" else AGAIN
    if "scripts are no longer supported" in text:
        return f"name a copy without a loading script, try revision='refs/convert/parquet', or {LOCAL}"
    if isinstance(error, ValueError) or "doesn't exist" in text or "any data files" in text:
        return f"check the task's dataset id, config, split and revision, or {LOCAL}"
    return f"go online (and unset HF_HUB_OFFLINE), or {LOCAL}"
