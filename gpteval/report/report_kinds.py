"""The kinds of reports: a folder each, with a template, and what stands beside it.

``template.html`` is a page: what it prints is escaped, ``style`` and ``script`` are its .css and .js files, joined in
the order of their names, or the leaderboard's where it has neither. It may extend ``leaderboard/template.html``.
``template.md`` is Markdown: what it prints shows as it is.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpteval.core.content import content_dir
from gpteval.core.errors import UnknownNameError
from gpteval.core.show import p_value, signed
from gpteval.core.tables import plain_markdown
from gpteval.core.text import printable
from gpteval.report.leaderboard import show, show_interval
from gpteval.report.samples_view import SHORT, clip

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

LEADERBOARD = "leaderboard"
TEMPLATES = ("template.html", "template.md")
NAME_MARKS = "_-/:."


def kind_folder(kind: str) -> Path:
    """The folder of a kind of the package by its name, or one of the user's own by its path. Raises
    UnknownNameError.
    """
    own = {folder.name: folder for folder in content_dir("reports").iterdir() if _template_name(folder) is not None}
    if kind not in own and _template_name(Path(kind)) is None:
        raise UnknownNameError("report", kind, own, "or give a folder with a template.html or template.md")
    return own.get(kind) or Path(kind)


def file_name(kind: str) -> str:
    """What a report of this kind is called where nobody says otherwise."""
    folder = kind_folder(kind)
    name = "report" if folder.name == LEADERBOARD else folder.resolve().name
    return f"{name}{Path(_template_name(folder) or '').suffix}"


def template_of(folder: Path) -> Template:
    """The template of a kind: compiled once in a process, and anew where its file has changed."""
    name = _template_name(folder)
    assert name is not None
    return _environment(folder, name.endswith(".md")).get_template(name)


def _template_name(folder: Path) -> str | None:
    return next((name for name in TEMPLATES if (folder / name).is_file()), None)


@cache
def _environment(folder: Path, is_markdown: bool) -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, content_dir("reports")]),  # so that one may extend another
        autoescape=not is_markdown,
        finalize=_shown_in_markdown if is_markdown else _shown_on_a_page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clip": clip, "pieces": clip_words, "breakable": breakable, "prose": prose, "yaml": yaml}
    environment.filters |= {"show": show, "interval": show_interval, "signed": signed, "probability": p_value}
    return environment


def _shown_on_a_page(value: object) -> object:
    """What a template prints, without control characters and lone surrogates. Markup of our own passes."""
    return printable(value) if type(value) is str else value


def _shown_in_markdown(value: object) -> object:
    return plain_markdown(value) if type(value) is str else value


def clip_words(text: object) -> str:
    """A short text of a table or card."""
    return clip(text, SHORT)


def yaml(value: object) -> Markup:
    """A value of YAML on one line: JSON is one."""
    from markupsafe import Markup

    return Markup(json.dumps(printable(value) if isinstance(value, str) else value, ensure_ascii=False))


def breakable(name: str) -> Markup:
    """A name that a narrow column breaks behind its marks, not within its words."""
    from markupsafe import Markup, escape

    parts = [part for part in re.split(f"([{re.escape(NAME_MARKS)}])", name) if part]
    return Markup("").join(escape(printable(part)) + Markup("<wbr>") * (part in NAME_MARKS) for part in parts)


def prose(text: object) -> Markup:
    """A short text of a docstring: what stands between two pairs of backticks is code."""
    from markupsafe import Markup, escape

    pieces = [escape(printable(piece)) for piece in clip_words(text).split("``")]
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else piece for place, piece in enumerate(pieces)
    )
