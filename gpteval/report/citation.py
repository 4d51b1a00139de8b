"""How to cite the numbers of a page: an entry of BibTeX with the versions and the commands that made them."""

from __future__ import annotations

import re

from gpteval.core.show import listed
from gpteval.core.tables import plain_latex
from gpteval.report.leaderboard import Leaderboard
from gpteval.store.runs import Loaded

NAMED = 6  # models; of more their number is given
LIBRARIES = ("torch", "transformers", "datasets", "sacrebleu")


def citation(loaded: Loaded, board: Leaderboard) -> str:
    """The entry; "" where no run says how it was made."""
    known = [manifest for manifest in loaded.manifests if manifest.get("command")]
    if not known:
        return ""
    last = max(known, key=lambda manifest: str(manifest.get("created") or ""))
    year = str(last.get("created") or "")[:4]
    models = [model.name for model in board.models]
    tasks = len({column.base for column in board.columns})
    who = listed(models) if len(models) <= NAMED else f"{len(models)} language models"
    versions = {"gpteval": last.get("gpteval")} | {name: (last.get("versions") or {}).get(name) for name in LIBRARIES}
    used = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    commands = "; ".join(dict.fromkeys(str(manifest["command"]) for manifest in known))
    key = re.sub(r"[^A-Za-z0-9]+", "-", loaded.names[0]).strip("-") or "run"
    fields = {
        "title": f"Evaluation of {who} on {tasks} task{'' if tasks == 1 else 's'}",
        "year": year,
        "howpublished": commands,
        "note": f"Made with {used}",
    }
    lines = [f"  {name:12} = {{{plain_latex(text)}}}," for name, text in fields.items() if text]
    return "\n".join([f"@misc{{gpteval-{key},", *lines, "}"])
