"""All tasks by name: the shipped ones, those of people's own files, and those of entry points; and which are meant."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from gpteval.core.content import content_dir
from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, PluginError, UnknownNameError, UsageError
from gpteval.core.plugins import Registry, reason
from gpteval.core.types import FAMILIES
from gpteval.logs.log import PREFIX as LOGGED
from gpteval.tasks.log_task import log_tasks
from gpteval.tasks.suites import LEFT_OUT, SUITES
from gpteval.tasks.task import DEFAULT, Task, gathered
from gpteval.tasks.text_file import PREFIX, text_task

# Where task files of earlier versions find what they share; to be dropped with the next version.
_MOVED = {"gpteval.core.forms": "gpteval.tasks.forms"}
GENERATED_SUITE = "nano"  # the tasks of the generated world, made for the embedded models


class _AsItStands(SourceFileLoader):
    """Leaves no bytecode in the file's folder, and takes none: Python tells it stale by size and second alone."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _load_module(path: Path) -> tuple[ModuleType, PluginError | None]:
    """Import one plugin file under a name of its own; what of it stands before a fault, and that with file and line."""
    path = path.resolve()
    name = f"gpteval_plugin_{hashlib.sha1(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_AsItStands(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    for old, new in _MOVED.items():
        sys.modules.setdefault(old, importlib.import_module(new))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        return module, PluginError(f"{path.name}, line {error.lineno}: {error.msg}")
    except KeyboardInterrupt as error:
        if not _raised_by(path, error):
            raise
        return module, _fault(path, error)
    except PLUGIN_ERRORS as error:
        return module, _fault(path, error)
    return module, None


def _fault(path: Path, error: BaseException) -> PluginError:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if f.filename == str(path)]
    hint = error.hint if isinstance(error, GptevalError) else ""
    return PluginError(f"{path.name}, line {lines[-1] if lines else '?'}: {reason(error)}", hint)


def _raised_by(path: Path, error: KeyboardInterrupt) -> bool:
    """Whether a plugin raises it itself: the user's Ctrl-C comes from a handler, or in the middle of any line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename == str(path) and (last.line or "").strip().startswith("raise")


def tasks_in_file(path: Path, problems: list[PluginError] | None = None) -> list[Task]:
    """Every task bound to a module-level name of the file, alone or in a list.

    A task that cannot be made is put into ``problems``, and the others are there; so is what ends the whole file,
    behind which it is not read. Without such a list both raise PluginError.
    """
    found: list[Task] = []
    broken: list[tuple[int, GptevalError]] = []
    with gathered(broken):
        module, fault = _load_module(path)
    faults = [PluginError(f"{path.name}, line {line}: {error.message}", error.hint) for line, error in broken]
    faults += [fault] if fault else []
    if problems is None and faults:
        raise faults[0]
    if problems is not None:
        problems += faults
    for value in vars(module).values():
        for thing in value if isinstance(value, list | tuple) else [value]:
            if isinstance(thing, Task) and thing not in found:
                found.append(thing)
    return found


def own_task_files(folders: Sequence[Path]) -> list[Path]:
    """The task files of ``folders`` and of ``$GPTEVAL_TASK_PATH``. Raises UsageError for one that does not exist."""
    extra = [Path(p) for p in os.environ.get("GPTEVAL_TASK_PATH", "").split(os.pathsep) if p]
    for folder in (*folders, *extra):
        if not folder.is_dir():
            raise UsageError(f"the task folder {folder} does not exist", "check --task-dir and GPTEVAL_TASK_PATH")
    return [path for folder in (*folders, *extra) for path in sorted(folder.glob("*.py"))]


@cache
def task_registry(folders: tuple[Path, ...] = ()) -> Registry[Task]:
    """The shipped tasks, those of ``folders`` and ``$GPTEVAL_TASK_PATH``, and entry points'.

    A broken task or file is reported in ``problems`` with file and line; the others load.
    """
    registry: Registry[Task] = Registry("task", ())
    for path in [*sorted(content_dir("tasks").glob("*.py")), *own_task_files(folders)]:
        for one in tasks_in_file(path, registry.problems):
            try:
                registry.add(one)
            except PluginError as error:
                registry.problems.append(PluginError(f"{path.name}: {error.message}", error.hint))
    _drop_shadowing(registry)
    return registry


def _drop_shadowing(registry: Registry[Task]) -> None:
    """Take tasks out that are named like a group: the group could no longer be asked for."""
    groups = {"all", *FAMILIES, *SUITES, *(suite for task in registry.values() for suite in task.suites)}
    for name in sorted(groups & set(registry)):
        code = getattr(registry.remove(name).prompt, "__code__", None)
        where = f"{Path(code.co_filename).name}, line {code.co_firstlineno}: " if code else ""
        registry.problems.append(
            PluginError(f"{where}a task may not be named {name!r}, which names a group of tasks", "rename it")
        )


def task_suites(registry: Registry[Task]) -> dict[str, list[Task]]:
    """Each suite's tasks, each once: those that name it themselves, and those of ``SUITES``."""
    found: dict[str, list[Task]] = {}
    for task in registry.values():
        for suite in task.suites:
            found.setdefault(suite, []).append(task)
    for suite, members in SUITES.items():
        tasks = [task for name in members for task in ([registry[name]] if name in registry else found.get(name, []))]
        found[suite] = list({task.name: task for task in [*found.get(suite, []), *tasks]}.values())
    return {suite: tasks for suite, tasks in found.items() if tasks}


def select_tasks(registry: Registry[Task], names: Iterable[str]) -> list[Task]:
    """Tasks by name, ``name:template``, ``text:PATH``, ``log:PATH``, family, suite or ``all``, each once, in the order
    asked.

    Raises UnknownNameError, or UsageError for two files of one name.
    ``all`` and families are the real tasks: those of the generated world are named by task or by their suite.
    """
    suites = task_suites(registry)
    chosen: dict[str, Task] = {}
    for name in names:
        base, _, template = name.partition(":")
        if name.startswith(PREFIX):
            group = [text_task(name.removeprefix(PREFIX))]
        elif name.startswith(LOGGED):
            group = log_tasks(name.removeprefix(LOGGED))
        elif name in registry:
            group = [registry[name]]
        elif template and base in registry:
            group = [registry[base].with_template(template)]
        elif name == "all" or name in FAMILIES:
            group = [t for t in registry.values() if name in ("all", t.family) and GENERATED_SUITE not in t.suites]
        elif name in suites:
            group = suites[name]
        else:
            if why := next((left[name] for left in LEFT_OUT.values() if name in left), ""):
                raise UsageError(f"{name} is no task of gpteval: {why}", "'gpteval tasks' lists all that are")
            known = [*registry, *suites, *FAMILIES, "all"]
            listed = "'gpteval tasks' lists all"
            raise UnknownNameError("task", name, known, "\n  ".join(filter(None, (listed, registry.not_loaded))))
        for task in group:
            if chosen.setdefault(task.label, task).source != task.source:
                raise UsageError(f"two tasks would be named {task.label}", "rename one of the files")
    return list(chosen.values())


def with_templates(tasks: Iterable[Task], names: Sequence[str]) -> list[Task]:
    """Each task under each of the named templates (``all``: those it has); one that was asked for with a template
    stays so. Raises UnknownNameError for a template that a task has not.
    """
    found: dict[str, Task] = {}
    for task in tasks:
        asked = task.templates if "all" in names else names
        if task.template_name != DEFAULT:
            asked = (task.template_name,)
        found |= {variant.label: variant for variant in map(task.with_template, asked)}
    return list(found.values())
