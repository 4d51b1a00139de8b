"""The nano suite's rows, generated once: a file of the cache, for the very code that would generate them."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path

from gpteval.core.atomic import write_whole
from gpteval.core.types import digest
from gpteval.data.files import cache_root
from gpteval.nano import world
from gpteval.nano.texts import WorldRow


def kept_rows(kind: str, split: str, count: int) -> list[WorldRow]:
    """``world.rows``, read where they were generated before. A file that is not as it was written is not used, and a
    cache that cannot be written is gone without.
    """
    path = cache_root() / "nano" / f"{_code()}-{kind}-{split}-{count}.json"
    with suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["digest"] == digest(kept["rows"]):
            return list(kept["rows"])
    rows = world.rows(kind, split, count)
    text = json.dumps({"digest": digest(rows), "rows": rows}, ensure_ascii=False)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    return list(json.loads(text)["rows"])  # the same types as when they are read


@cache
def _code() -> str:
    """A digest of the code that makes the rows."""
    return digest([path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))])
