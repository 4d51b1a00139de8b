"""The JSON files of a run, read with their shape checked: what is valid JSON need not be a run's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gpteval.core.errors import StoreError

AGAIN = "run the same command again to write it anew"
# Which keys a document has: their type, and which keys each member of a list has. Missing keys are fine.
RESULTS: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "run": (dict, ()),
    "results": (list, ("model", "task", "metric")),
    "failures": (list, ()),
}
MANIFEST: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "config": (dict, ()),
    "models": (dict, ()),
    "tasks": (dict, ()),
    "samples": (list, ("model", "task", "file")),
}
SHAPES = {"results.json": RESULTS, "manifest.json": MANIFEST}


def read_document(path: Path, *, members: bool = True) -> dict[str, Any]:
    """A run's ``results.json`` or ``manifest.json``. Raises StoreError when it is damaged or another file.

    ``members``: whether each result, failure and so on must be one; a reader who can leave some out need not ask.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error
    problem = _problem(document, SHAPES[path.name], members)
    if problem:
        raise StoreError(f"{path.name} is not that of a run: {problem}", AGAIN)
    assert isinstance(document, dict)
    return document


def _members(key: str, value: Any) -> Iterable[object]:
    if key in ("run", "config"):
        return ()
    return value.values() if isinstance(value, dict) else value


def _problem(document: object, shape: Mapping[str, tuple[type, tuple[str, ...]]], members: bool) -> str:
    if not isinstance(document, dict):
        return "it holds no JSON object"
    for key, (kind, texts) in shape.items():
        value = document.get(key)
        if value is None:
            continue
        if not isinstance(value, kind):
            return f"{key} is no {'list' if kind is list else 'object'}"
        for member in _members(key, value) if members else ():
            if not isinstance(member, dict):
                return f"{key} holds {member!r:.40}"
            if any(not isinstance(member.get(name), str) for name in texts):
                return f"a member of {key} lacks one of {', '.join(texts)}"
            if not isinstance(member.get("shots", 0), int):
                return f"a member of {key} has {member['shots']!r:.40} as its shots"
            if key == "results" and not isinstance(member.get("notes") or [], list):
                return "a result's notes are no list"
    return ""
