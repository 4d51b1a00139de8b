"""Finding the shipped content: ``tasks/`` and ``reports/`` beside the package, or inside the wheel."""

from __future__ import annotations

from pathlib import Path

from gpteval.core.errors import PluginError

_PACKAGE = Path(__file__).resolve().parent.parent


def content_dir(kind: str) -> Path:
    """The folder ``tasks`` or ``reports``: of the checkout when the package lies in one, else of the wheel."""
    beside = _PACKAGE.parent / kind
    if (_PACKAGE.parent / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    inside = _PACKAGE / "_content" / kind
    if inside.is_dir():
        return inside
    raise PluginError(f"gpteval's own {kind} folder is missing", "reinstall gpteval")
