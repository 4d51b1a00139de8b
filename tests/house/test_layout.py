"""The house: rooms import downwards, as docs/design.md lists them, and every name means one thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

PACKAGE = CHECKOUT / "gpteval"
LONGEST = 350  # lines
WITHOUT_TORCH = ("core", "data", "metrics", "stats", "store", "comparison", "report")
ROOMS = re.findall(r"^ {6}(\w+)/? {2,}\S", (CHECKOUT / "docs" / "design.md").read_text(encoding="utf-8"), re.MULTILINE)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(name: str) -> Iterator[str]:
    """The modules of the package that one imports, inside functions too."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gpteval"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("gpteval"))


def room(name: str) -> str:
    return name.split(".")[1]


def inner(name: str) -> bool:
    """Whether a module lies in a room: the package's face and its ``-m`` entry hand on names of all rooms."""
    return name not in ("gpteval", "gpteval.__main__")


def test_every_room_is_listed() -> None:
    assert {room(name) for name in MODULES if inner(name)} == set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


def test_rooms_import_downwards() -> None:
    floors = {name: floor for floor, name in enumerate(ROOMS)}
    upward = [
        f"{name} -> {other}"
        for name in filter(inner, MODULES)
        for other in filter(inner, imports(name))
        if floors[room(other)] > floors[room(name)]
    ]
    assert not upward


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: {other for other in imports(name) if inner(other) and other != name} for name in filter(inner, MODULES)
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph), "raises CycleError with the circle"


def test_no_two_modules_have_one_name() -> None:
    found = defaultdict(list)
    for name, path in MODULES.items():
        if path.name != "__init__.py":
            found[path.stem].append(name)
    assert not {stem: names for stem, names in found.items() if len(names) > 1}


def test_no_two_public_types_have_one_name() -> None:
    found = defaultdict(list)
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name) and re.fullmatch(r"[A-Z]\w*[a-z]\w*", target.id):
                        found[target.id].append(name)
    assert not {name: places for name, places in found.items() if len(places) > 1 and not name.startswith("_")}


def test_no_file_is_long() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=CHECKOUT, capture_output=True, text=True)
    paths = [CHECKOUT / line for line in listed.stdout.split()] or list(MODULES.values())
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths if path.is_file()}
    assert not {path: length for path, length in lengths.items() if length > LONGEST}


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_rooms_that_import_no_torch(name: str) -> None:
    modules = [module for module in MODULES if inner(module) and room(module) == name and ".hf" not in module]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules, 'transformers' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT)
    assert found.stdout.split() == ["False", "False"], found.stderr
