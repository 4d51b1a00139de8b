"""A page's items in files beside it, each read when its task is opened: where they are too many for one file."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from gpteval.core.atomic import write_whole
from gpteval.core.own import SCRIPT_MARK, refuse_others


class ItemFiles:
    """The folder ``NAME.items`` of a page ``NAME.html``. Page and folder move together."""

    def __init__(self, page: Path) -> None:
        self.folder = page.with_name(f"{page.stem}.items")
        self._scripts: dict[str, str] = {}

    def add(self, element: str, packed: str) -> str:
        """Take what the element of that id is to hold; the file's address, as the page names it."""
        name = f"{len(self._scripts)}.js"
        text = f"document.getElementById({json.dumps(element)}).textContent = {json.dumps(packed)};"
        self._scripts[name] = f"{SCRIPT_MARK}\n{text}\n"
        return f"{quote(self.folder.name)}/{name}"

    def write(self) -> None:
        """In the place of an earlier page's. Raises OutputError where another's file has such a name, OSError."""
        before = [path for path in self.folder.glob("*.js") if path.stem.isdecimal()]
        refuse_others(before, "name another page with --out")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._scripts.items():
            write_whole(self.folder / name, text)
        for path in before:
            if path.name not in self._scripts:
                path.unlink()
