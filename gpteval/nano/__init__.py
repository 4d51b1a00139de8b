"""The embedded default: a generated world, and small models trained on it by ``gpteval pretrain``."""

from __future__ import annotations

from pathlib import Path

_MODELS = Path(__file__).resolve().parent / "models"


def nano_models() -> dict[str, Path]:
    """The embedded models' folders by name, in the order of the generations."""
    folders = sorted(_MODELS.iterdir()) if _MODELS.is_dir() else []
    return {folder.name: folder for folder in folders if (folder / "training.json").is_file()}
