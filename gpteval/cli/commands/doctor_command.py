"""``gpteval doctor``: what this machine has, and what would stand in the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import gpteval
from gpteval.cli.console import document_only, say
from gpteval.cli.options import Json, TaskDir
from gpteval.core.errors import GptevalError
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LIBRARIES = ("torch", "transformers", "datasets", "evaluate", "sacrebleu", "rouge_score", "pandas", "plotly")


def doctor(task_dir: TaskDir = None, as_json: Json = False) -> None:
    """Check this machine: libraries, devices, data, plugins."""
    from gpteval.core.plugins import installed_points
    from gpteval.tasks.registry import own_task_files

    checks: list[tuple[str, Callable[[], str]]] = [
        ("gpteval", lambda: f"{gpteval.__version__}, Python {sys.version.split()[0]}"),
        *[(name, lambda name=name: _library(name)) for name in LIBRARIES],
        ("devices", _devices),
        ("embedded models", _embedded),
        ("tasks", lambda: _tasks(task_dir or [])),
        *[(f"plugin {point.name}", lambda point=point: _plugin(point)) for point in installed_points()],
        *[(path.name, lambda path=path: _task_file(path)) for path in own_task_files(task_dir or [])],
        ("cache", _cache),
        ("data", _data),
        ("network", _network),
    ]
    rows = []
    for name, check in checks:
        try:
            with document_only(as_json):
                rows.append({"check": name, "ok": True, "found": check()})
        except (GptevalError, ImportError, OSError) as error:
            rows.append({"check": name, "ok": False, "found": str(error)})
    if as_json:
        say(strict_json(rows, 1))
    else:
        for row in rows:
            say(f"{'ok ' if row['ok'] else 'BAD'}  {row['check']:<16} {row['found']}")
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


def _library(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(name.replace("_", "-"))
    except PackageNotFoundError:
        raise GptevalError("not installed", f"pip install {name.replace('_', '-')}") from None
    if name != "evaluate":  # takes seconds to import, and only some metrics need it
        import_module(name)
    return found


def _devices() -> str:
    import torch

    from gpteval.models.loader import pick_device

    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return f"auto is {pick_device('auto')}; {', '.join(gpus) or 'no GPU'}; {torch.get_num_threads()} CPU threads"


def _embedded() -> str:
    from gpteval.models.catalogue import model_registry

    names = [i.name for i in model_registry().values() if i.group == "nano"]
    if not names:
        raise GptevalError("none found", "reinstall gpteval, or train them with gpteval pretrain")
    return ", ".join(names)


def _tasks(folders: Sequence[Path]) -> str:
    from gpteval.tasks.registry import task_registry

    registry = task_registry(tuple(folders))
    if registry.not_loaded:
        raise GptevalError(f"{len(registry)} tasks", registry.not_loaded)
    return f"{len(registry)} tasks"


def _plugin(point: EntryPoint) -> str:
    """What an entry point brings, once it is imported. Raises PluginError."""
    from gpteval.core.plugins import imported

    kind = point.group.removeprefix("gpteval.").removesuffix("s")
    imported(kind, point)
    package = f", of {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"a {kind}: {point.value}{package}"


def _task_file(path: Path) -> str:
    """The tasks that a file gives; what is wrong with others is told of all tasks."""
    from gpteval.tasks.registry import tasks_in_file

    names = [task.name for task in tasks_in_file(path, [])]
    return f"{path.parent}: {', '.join(names)}" if names else f"{path.parent}: no task"


def _cache() -> str:
    from gpteval.store.journal import cache_path

    path = cache_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise GptevalError("the cache folder is not writable", "set GPTEVAL_CACHE to one that is")
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "empty"


def _data() -> str:
    root = os.environ.get("GPTEVAL_DATA")
    if not root:
        return "GPTEVAL_DATA is not set: data come from the Hub"
    if not Path(root).is_dir():
        raise GptevalError("GPTEVAL_DATA names a folder that does not exist")
    return f"GPTEVAL_DATA holds {sum(1 for _ in Path(root).glob('*/*/*/*.*'))} splits"


def _network() -> str:
    off = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    return "HF_HUB_OFFLINE is set: only downloaded models and data" if off else "online: the Hub is asked"
