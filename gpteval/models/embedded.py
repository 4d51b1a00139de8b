"""The models that travel with the package: where their folders are."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent.parent / "nano" / "models"


def nano_models() -> dict[str, Path]:
    """The embedded models' folders by name, in the order of the generations."""
    folders = sorted(_FOLDER.iterdir()) if _FOLDER.is_dir() else []
    return {folder.name: folder for folder in folders if (folder / "training.json").is_file()}
