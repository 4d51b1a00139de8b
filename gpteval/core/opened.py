"""Which files a process reads, and whether they are what they were.

Python tells of every file that it opens (``sys.addaudithook``), whoever opens it: a task's own code too. Of what
libraries open without Python (weights, Arrow, tokenizers), the files beside those that were opened are held for read.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from site import getsitepackages, getusersitepackages
from types import ModuleType
from typing import Any

from gpteval.core.types import digest

FileState = tuple[int, ...]  # of a file: bytes; when it was modified, and changed, in nanoseconds
FileStates = dict[str, FileState]
MOST = 20_000  # files; of more it is not looked at whether they changed
UNHEARD = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".model", ".arrow", ".parquet", ".json", "merges.txt")
_WRITING = frozenset("wax+")
_NO_INPUT = ("/proc/", "/sys/", "/dev/")
_LIBRARIES = tuple({os.path.join(sysconfig.get_path(of), "") for of in ("stdlib", "platstdlib", "purelib", "platlib")})

_entered: list[Opened] = []


class Opened:
    """While it is entered, keeps which files the process reads."""

    _hooked = False  # a hook stays until the process ends

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.began = time.time_ns()
        self.before: frozenset[str] = frozenset()  # names of modules

    def __enter__(self) -> Opened:
        self.before = frozenset(sys.modules)
        if not Opened._hooked:
            sys.addaudithook(_heard)
            Opened._hooked = True
        _entered.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _entered.remove(self)

    def states(self, without: Collection[str]) -> FileStates | None:
        """Of the files that were read, the unheard beside them, and modules that came meanwhile, but those of
        libraries; none below ``without``. None where one changed since this was entered, and where they are too many.
        """
        left_out = (*(os.path.join(os.path.realpath(path), "") for path in without), *_NO_INPUT, *_LIBRARIES)
        came = [module for name, module in list(sys.modules.items()) if name not in self.before]
        known = [vars(module) for module in came if isinstance(module, ModuleType)]
        modules = (names.get("__file__") for names in known)  # none is asked: some then import, and may fail
        read = {os.path.abspath(path) for path in (*self.files, *modules) if isinstance(path, str)}
        folders: dict[str, str] = {}
        read = {path for path in read if not _real(path, folders).startswith(left_out)}
        found: FileStates = {path: state for path in read if (state := state_of(path))}
        for folder in _folders(found):
            found |= unheard_in(folder)
        changed = any(max(state[1:]) >= self.began for state in found.values())
        return None if changed or len(found) > MOST else found


def _real(path: str, folders: dict[str, str]) -> str:
    """An absolute path without links. ``folders``: those of folders that are known; thousands of files lie in a few."""
    folder, name = os.path.split(path)
    if os.path.islink(path) or not name:
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = _real(folder, folders)
    return os.path.join(folders[folder], name)


def unchanged(states: Mapping[str, Sequence[int]]) -> bool:
    """Whether all these files are what they were, and no unheard ones have come beside them."""
    for path, state in states.items():
        if state_of(path) != tuple(state):
            return False
    return all(path in states for folder in _folders(states) for path in unheard_in(folder))


def _folders(paths: Iterable[str]) -> set[str]:
    """Those of data: what lies beside code is not read with it."""
    return {os.path.dirname(path) for path in paths if not path.endswith(".py")}


def state_of(path: str) -> FileState | None:
    """None where there is no such file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def unheard_in(folder: str) -> FileStates:
    """What lies in a folder and may be read without Python."""
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    paths = (os.path.join(folder, name) for name in names if name.endswith(UNHEARD))
    return {path: state for path in paths if (state := state_of(path))}


def files_below(folder: str) -> FileStates:
    """A file, or all files of a folder and of those in it, but what Python compiled; in an order that stays."""
    found: FileStates = {path: state for path in [folder] if (state := state_of(path)) and not os.path.isdir(path)}
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        found |= {path: state for file in sorted(files) if (state := state_of(path := os.path.join(name, file)))}
    return found


def installed() -> str:
    """Digest of which libraries are installed, and when each was: the same from a program's start to its end, while
    libraries that are imported may add to the places that are looked in (``sys.path``).
    """
    places = {*getsitepackages(), getusersitepackages(), *map(sysconfig.get_path, ("purelib", "platlib"))}
    marks = (".dist-info", ".egg-info", ".egg-link", ".pth")
    found = (os.path.join(place, name) for place in places if os.path.isdir(place) for name in os.listdir(place))
    return digest(sorted((path, state_of(path)) for path in found if path.endswith(marks)))


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _entered:
        path, mode = arguments[:2]
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str) and isinstance(mode, str) and not _WRITING & set(mode) and not path.endswith(".pyc"):
            path = os.path.abspath(path)
            for one in _entered:
                one.files.add(path)
