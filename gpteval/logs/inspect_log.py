"""Inspect's logs of version 2: a JSON document, or a ``.eval`` archive with a part a sample."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Failed, Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Request
from gpteval.logs.log import BadItem, Log, LogItem, LogModel, LogTask, Numbers
from gpteval.logs.parsing import LONGEST, LogError, document, listing, mapping, named, number, open_log, parsed, text

_SUFFIX = ".eval"
_START = ("header.json", "_journal/start.json", "start.json")  # what an archive tells of the whole, the first there
_SAMPLES = "samples/"
_DENSEST = 1000  # times its size that a part may have once it is unpacked
_VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # correct, incorrect, partial, no answer
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZSTANDARD = 93  # a method of zip files that Python's library does not read
_HEADER = struct.Struct("<26xHH")  # before a part: the lengths of its name and of what else stands there


class Inspect:
    """The reader. The answers to one sample in several epochs are one item, with their mean."""

    name = "Inspect"

    def files(self, path: Path) -> tuple[Path, ...]:
        if path.is_dir():
            found = [file for file in sorted(path.iterdir()) if file.suffix in (".json", _SUFFIX)]
            return tuple(file for one in found for file in self.files(one))
        if path.suffix == _SUFFIX and zipfile.is_zipfile(path):
            return (path,)
        return (path,) if path.suffix == ".json" and _is_log(path) else ()

    def read(self, files: tuple[Path, ...]) -> Log:
        whole = [_archive(file) if file.suffix == _SUFFIX else _document(file) for file in files]
        versions = {str(mapping(about.get("packages")).get("inspect_ai") or "") for about, _ in whole} - {""}
        harness = f"{self.name} {', '.join(sorted(versions))}" if versions else self.name
        return Log(harness, files, (item for about, samples in whole for item in _items(about, samples)))


_Samples = Iterator[tuple[str, Mapping[str, Any]]]  # where each stands, and what it is


def _is_log(path: Path) -> bool:
    """By how it begins: a log may be large."""
    with open_log(path) as handle:
        start = handle.read(4096)
    return b'"version"' in start and b'"eval"' in start and b'"status"' in start


def _document(file: Path) -> tuple[Mapping[str, Any], _Samples]:
    whole = document(file)
    if whole.get("version") != 2:
        raise LogError(f"{file.name} is an Inspect log of version {whole.get('version')}", "only version 2 is read")
    samples = listing(whole.get("samples"))
    if not samples:
        raise LogError(f"{file.name} holds no samples", "log them: inspect eval --log-samples")
    return mapping(whole.get("eval")), ((f"{file.name}, sample {n}", mapping(one)) for n, one in enumerate(samples, 1))


def _archive(file: Path) -> tuple[Mapping[str, Any], _Samples]:
    """Nothing is unpacked to disk; each part is read by itself."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = {info.filename: info for info in archive.infolist()}
            start = next((name for name in _START if name in parts), None)
            if start is None:
                raise LogError(f"{file.name} has none of {', '.join(_START)}", "is it an Inspect log?")
            about = mapping(_part(archive, parts[start], file).get("eval"))
    except zipfile.BadZipFile as error:
        raise LogError(f"{file.name} is damaged: {error}", "is the log whole?") from error
    names = sorted(name for name in parts if name.startswith(_SAMPLES) and name.endswith(".json"))
    if not names:
        raise LogError(f"{file.name} holds no samples", "log them: inspect eval --log-samples")
    return about, _parts(file, names)


def _parts(file: Path, names: Sequence[str]) -> _Samples:
    with zipfile.ZipFile(file) as archive:
        for name in names:
            yield f"{file.name}, {name}", _part(archive, archive.getinfo(name), file)


def _part(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path) -> dict[str, Any]:
    where = f"{file.name}, {info.filename}"
    if info.compress_type not in (*_READABLE, _ZSTANDARD):
        raise LogError(
            f"{where} is packed by a method that is not read here ({info.compress_type})",
            f"write it as JSON: inspect log convert {file.name} --to json --output-dir logs",
        )
    if info.file_size > LONGEST or info.file_size > _DENSEST * max(1, info.compress_size):
        raise LogError(f"{where} would have {info.file_size:,} bytes once it is unpacked", "no sample is so large")
    try:
        if info.compress_type == _ZSTANDARD:
            data = _unpacked(file, info)
        else:
            with archive.open(info) as part:
                data = part.read(LONGEST)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, struct.error) as error:
        raise LogError(f"{where} cannot be unpacked: {error}", "is the log whole?") from error
    found: dict[str, Any] = parsed(data, where)
    return found


def _unpacked(file: Path, info: zipfile.ZipInfo) -> bytes:
    import pyarrow

    with open_log(file) as handle:
        handle.seek(info.header_offset)
        handle.seek(sum(_HEADER.unpack(handle.read(_HEADER.size))), os.SEEK_CUR)
        packed = handle.read(info.compress_size)
    return bytes(pyarrow.decompress(packed, decompressed_size=info.file_size, codec="zstd", asbytes=True))


def _items(about: Mapping[str, Any], samples: _Samples) -> Iterator[LogItem | BadItem]:
    name = str(about.get("task") or "task").rpartition("/")[2]
    task = LogTask(LogModel(str(about.get("model") or "unknown")), named(name))
    epochs = mapping(about.get("config")).get("epochs") or 1
    if epochs == 1:
        for where, sample in samples:
            yield from _made(task, where, [sample])
        return
    by_id: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for where, sample in samples:
        by_id.setdefault(str(sample.get("id")), []).append((where, sample))
    for several in by_id.values():
        yield from _made(task, several[0][0], [sample for _, sample in several])


def _made(task: LogTask, where: str, samples: Sequence[Mapping[str, Any]]) -> Iterator[LogItem | BadItem]:
    try:
        yield _item(task, samples)
    except (ValueError, TypeError, KeyError, IndexError, GptevalError) as error:
        yield BadItem(task, where, str(error))


def _item(task: LogTask, samples: Sequence[Mapping[str, Any]]) -> LogItem:
    """Raises ValueError, TypeError, KeyError, IndexError or GptevalError for what is no sample."""
    first = samples[0]
    answer = _answer(first)
    target = first.get("target")
    targets = [text(one, "a target") for one in (target if isinstance(target, list) else [target])]
    values: dict[str, list[float]] = {}
    left_out: dict[str, None] = {}
    for sample in samples:
        for name, value in _numbers(mapping(sample.get("scores"))):
            left_out |= dict.fromkeys([name] if value is None else ())
            values.setdefault(name, []).extend([] if value is None else [value])
    request: Request
    choices = [text(one, "a choice") for one in listing(first.get("choices"))]
    letters = tuple(ascii_uppercase[: len(choices)])
    if len(targets) == 1 and targets[0] in letters:
        request = Choice(_prompt(first), [f" {letter}" for letter in letters], letters.index(targets[0]))
        judged = map(mapping, mapping(first.get("scores")).values())
        said = next((str(one["answer"]) for one in judged if one.get("answer")), "")
        outcome: Outcome = Scored(tuple(Score(None, 1, letter == said) for letter in letters), text=answer or "")
        if len(samples) == 1 and "choice" in values:
            values = {"acc": values.pop("choice"), **values}
    else:
        request, outcome = Generate(_prompt(first), targets, (), 1024), Generated(answer or "", "stop", 0)
    if first.get("error") or answer is None:
        outcome = Failed(str(mapping(first.get("error")).get("message") or "Inspect has no answer"))
    scores: dict[str, Numbers] = {name: (sum(own) / len(own), 1.0) for name, own in values.items() if own}
    return LogItem(task, request, outcome, scores, tuple(left_out))


def _numbers(scores: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Of each scorer its value, or each of its values; None for what is no number."""
    for name, score in scores.items():
        value = mapping(score).get("value")
        for inner, one in value.items() if isinstance(value, dict) else [("", value)]:
            label = named(f"{name}-{inner}" if inner else name)
            try:
                yield label, _VALUES[one] if one in _VALUES else number(one)
            except (ValueError, TypeError):
                yield label, None


def _prompt(sample: Mapping[str, Any]) -> str:
    """What the model was shown before its first answer; the input where no messages are kept."""
    given = sample.get("input")
    shown = []
    for message in map(mapping, listing(sample.get("messages")) or listing(given)):
        if message.get("role") == "assistant":
            break
        shown.append(_content(message.get("content")))
    return "\n\n".join(filter(None, shown)) or text(given, "the input")


def _content(value: object) -> str:
    """Text, or the texts of several parts."""
    if isinstance(value, list):
        return "\n".join(text(part["text"], "a part") for part in map(mapping, value) if part.get("text"))
    return text(value, "a message")


def _answer(sample: Mapping[str, Any]) -> str | None:
    choices = listing(mapping(sample.get("output")).get("choices"))
    return _content(mapping(mapping(choices[0]).get("message")).get("content")) if choices else None
