"""``gpteval models``: the known models."""

from __future__ import annotations

from dataclasses import asdict

from gpteval.cli.console import document_only, say
from gpteval.cli.options import Json
from gpteval.core.generations import GENERATIONS
from gpteval.core.show import size
from gpteval.core.strict import strict_json


def models(as_json: Json = False) -> None:
    """List the known models.

    Their generation, size, window, release date and licence.
    """
    from gpteval.cli.rich_tables import add_row, show_table, table_of
    from gpteval.models.catalogue import model_registry

    with document_only(as_json):
        registry = model_registry()
    infos = sorted(
        registry.values(), key=lambda i: (i.group != "nano", GENERATIONS.index(i.generation), i.release_date)
    )
    if as_json:
        hidden = ("location", "revision")
        rows = [{k: v for k, v in asdict(i).items() if k not in hidden or not i.local} for i in infos]
        say(strict_json(rows, 1))
        return
    table = table_of("model", "generation", "parameters", "window", "released", "licence", "Hub id")
    for i in infos:
        where = "embedded" if i.local else i.location
        parameters, window = size(i.n_params), str(i.window or "")
        add_row(table, i.name, i.generation, parameters, window, i.release_date, i.licence, where)
    show_table(table)
    say("\nAlso: any Hub id 'org/name', 'name@revision', or a local folder. 'nano' is the whole embedded family.")
