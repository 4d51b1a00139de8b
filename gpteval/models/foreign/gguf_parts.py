"""A model that is split over several ``.gguf`` files: its parts found by their names, and joined."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gpteval.core.errors import ModelError

_PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
TOGETHER = "put all its parts into one folder, with the names they had"


def parts_of(path: Path) -> list[Path]:
    """The parts that lie beside a file by llama.cpp's names (``model-00001-of-00003.gguf``), in order; a file of any
    other name alone.
    """
    found = _PART.fullmatch(path.name)
    if found is None:
        return [path]
    count = int(found["count"])
    names = [f"{found['stem']}-{number:05}-of-{found['count']}.gguf" for number in range(1, min(count, 9999) + 1)]
    return [path.with_name(name) for name in names if path.with_name(name).is_file()]


def joined(path: Path, folder: Path) -> Path:
    """``path``, or where it is one part of a model, a file of all of them in ``folder``.

    Raises ModelError for parts that are missing or do not belong together.
    """
    import gguf

    first = gguf.GGUFReader(path)
    count = int(_field(first, "split.count", 1))
    if count <= 1:
        return path
    parts = parts_of(path)
    here = f"{path.name} is part {int(_field(first, 'split.no', 0)) + 1} of {count} of a model"
    named = _PART.fullmatch(path.name)
    if named is None or int(named["count"]) != count:
        raise ModelError(f"{here}; its name does not tell the others'", f"call it NAME-00001-of-{count:05}.gguf")
    if len(parts) < count:
        there = {part.name for part in parts}
        missing = [f"{named['stem']}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
        lost = [name for name in missing if name not in there]
        raise ModelError(f"{here}; {', '.join(lost[:3])} {'is' if len(lost) == 1 else 'are'} not beside it", TOGETHER)
    readers = [gguf.GGUFReader(part) for part in parts]
    for number, (part, reader) in enumerate(zip(parts, readers, strict=True)):
        if (_field(reader, "split.no", -1), _field(reader, "split.count", 0)) != (number, count):
            raise ModelError(f"{here}; {part.name} is not part {number + 1} of {count}", TOGETHER)
    held = sum(len(reader.tensors) for reader in readers)
    if held != _field(first, "split.tensors.count", held):
        raise ModelError(f"{here}; together they hold {held} tensors, not those of the whole", TOGETHER)
    whole = folder / f"{named['stem']}.gguf"
    _write(whole, readers)
    return whole


def _field(reader: Any, key: str, default: int) -> Any:
    return reader.fields[key].contents() if key in reader.fields else default


def _write(path: Path, readers: list[Any]) -> None:
    """All tensors with the keys of the first part."""
    import gguf

    fields = readers[0].fields
    writer = gguf.GGUFWriter(path, fields["general.architecture"].contents(), endianess=readers[0].endianess)
    for key, field in fields.items():
        if key.startswith(("GGUF.", "split.")) or key in ("general.architecture", "general.alignment"):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        value = field.contents()
        if inner is None or value:
            writer.add_key_value(key, value, field.types[0], sub_type=inner)
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    for one in tensors:
        writer.add_tensor_info(one.name, one.data.shape, one.data.dtype, one.data.nbytes, one.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for one in tensors:
        writer.write_tensor_data(one.data)
    writer.close()
