"""Which executors there are, by name. Imports none of them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint

from gpteval.core.plugins import named_points

AUTO = "auto"  # a process a GPU where there are several, else inline
BUILTIN = {
    "inline": "gpteval.run.executors.inline:Inline",
    "process": "gpteval.run.executors.processes:ProcessPool",
    "ray": "gpteval.run.executors.ray_actors:RayPool",
    "folder": "gpteval.run.executors.shared_folder:FolderPool",
}


@cache
def executors() -> dict[str, EntryPoint]:
    """Where each executor is: ours, and those of entry points of ``gpteval.executors``."""
    return named_points("executor", BUILTIN)
