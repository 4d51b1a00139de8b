"""What runs say, for Python: scores and answers as pandas frames, figures of plotly, the page itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpteval.core.errors import UnknownNameError
from gpteval.report import build_report
from gpteval.report.paper_figures import figures_of, paper
from gpteval.report.score_table import FACTS, score_table
from gpteval.store.answered import rows_of
from gpteval.store.runs import RunNames, read_runs

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

HEIGHT = 700  # pixels of a page in a notebook


def table(
    runs: RunNames,
    *,
    tasks: str | Sequence[str] = (),
    models: str | Sequence[str] = (),
    shots: int | Sequence[int] = (),
    metric: str = "",
) -> pd.DataFrame:
    """The scores of runs, a row each: what ``gpteval table --format csv`` prints, and by the same rules.

    Raises UsageError for what is not the folder of a run, UnknownNameError for a model or task that none has.
    """
    import pandas as pd

    made = score_table(
        read_runs(runs),
        tasks=(tasks,) if isinstance(tasks, str) else tuple(tasks),
        models=(models,) if isinstance(models, str) else tuple(models),
        shots=(shots,) if isinstance(shots, int) else tuple(shots),
        metric=metric,
    )
    return pd.DataFrame([dict(fact) for fact in made.facts], columns=list(FACTS))


def samples(run: str | Path, model: str, task: str, shots: int | None = None) -> pd.DataFrame:
    """What a model was asked on a task and what it answered, a row an item; each metric is a column of its own.

    Raises UsageError where the run has no such samples, with those that it has.
    """
    import pandas as pd

    rows = rows_of(Path(run), model, task, shots)
    own = [{key: value for key, value in row.items() if key not in ("values", "stats")} for row in rows]
    return pd.DataFrame([one | row["values"] for one, row in zip(own, rows, strict=True)])


def figure(runs: RunNames, name: str) -> Figure:
    """A figure of the runs' page by its name, such as ``charts-qa``, in the colours of the light page.

    Raises UnknownNameError with the names of those that there are.
    """
    import plotly.graph_objects as go

    found = figures_of(read_runs(runs).folders)
    if name not in found:
        raise UnknownNameError("figure", name, found, f"these runs have {', '.join(found) or 'none'}")
    return go.Figure(paper(found[name]), skip_invalid=True)


@dataclass(frozen=True)
class Page:
    """The page of runs: a notebook shows it, ``save`` writes it."""

    html: str = field(repr=False)

    def save(self, path: str | Path) -> Path:
        """Write the page to one file."""
        Path(path).write_text(self.html, encoding="utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        style = f"width:100%;height:{HEIGHT}px;border:0"
        return f'<iframe title="gpteval" style="{style}" srcdoc="{escape(self.html, quote=True)}"></iframe>'


def page(runs: RunNames, **settings: Any) -> Page:
    """The page that ``gpteval report`` writes. ``settings``: those of ``gpteval.report.build_report``."""
    folders = read_runs(runs).folders
    with tempfile.TemporaryDirectory() as scratch:
        path = build_report(folders, Path(scratch, "page.html"), **settings)
        return Page(path.read_text(encoding="utf-8"))


def known_models() -> pd.DataFrame:
    """The models of the catalogue, a row each: name, generation, size, window, release date, licence, Hub id."""
    import pandas as pd

    from gpteval.models.catalogue import model_registry

    rows = [asdict(info) | {"location": "" if info.local else info.location} for info in model_registry().values()]
    columns = ("name", "generation", "family", "n_params", "window", "release_date", "licence", "location")
    return pd.DataFrame(rows)[list(columns)]


def known_tasks() -> pd.DataFrame:
    """The tasks that there are, a row each: name, family, metric, examples, source, licence, description."""
    import pandas as pd

    from gpteval.tasks.registry import task_registry

    columns = ("name", "family", "metric", "shots", "licence", "version", "description")
    rows = [
        {name: getattr(task, name) for name in columns} | {"source": task.source.label}
        for task in task_registry().values()
    ]
    return pd.DataFrame(rows)
