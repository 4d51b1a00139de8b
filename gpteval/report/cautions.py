"""What a reader of a page may not conclude from it, in a line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpteval.core.kinds import RAW
from gpteval.core.show import counted, listed
from gpteval.report.costs import API
from gpteval.report.leaderboard import NOT_RUN, Column, Leaderboard, is_fraction
from gpteval.store.runs import Loaded, facts_of
from gpteval.tasks.profiles import GPTEVAL

WIDE = 0.05  # half an interval, as a share, from which a task is said to have few items
SHOWN = 3  # names in a line


def cautions(loaded: Loaded, board: Leaderboard, several_sets: frozenset[str] = frozenset()) -> list[str]:
    """What the numbers do not say. ``several_sets``: ids of columns whose examples were drawn several times."""
    made = (
        *(_absent(board), _failed(board), _few_items(board), _at_chance(board), _shortened(board), _partly(board)),
        _protocols(board),
        _raw(board),
        _one_set(board, several_sets),
        _machines(loaded),
        _servers(loaded),
    )
    return [line for line in made if line]


def _rows(board: Leaderboard) -> Iterator[tuple[str, Column, Mapping[str, Any]]]:
    for model in board.models:
        for column in board.columns:
            row = board.primary.get((model.name, column.id))
            if row is not None and row.get("value") is not None:
                yield model.name, column, row


def _some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    names = list(dict.fromkeys(names))
    rest = len(names) - SHOWN
    return listed([*names[:SHOWN], f"{rest} more"] if rest > 0 else names)


def _absent(board: Leaderboard) -> str:
    absent = [(m.name, c.label) for m in board.models for c, cell in zip(board.columns, m.cells, strict=True)
              if cell.why == NOT_RUN]  # fmt: skip
    if not absent:
        return ""
    models, tasks = ([pair[place] for pair in absent] for place in (0, 1))
    every = len(board.models) * len(board.columns)
    return (
        f"{len(absent)} of {every} cells were not run ({_some(models)}; {_some(tasks)}): a task's best number there is "
        "that of the models that ran it."
    )


def _failed(board: Leaderboard) -> str:
    failed = [m.name for m in board.models for cell in m.cells if cell.why not in ("", NOT_RUN)]
    if not failed:
        return ""
    return f"{len(failed)} could not be had (‡: {_some(failed)}); that is no score of 0."


def _few_items(board: Leaderboard) -> str:
    wide: dict[str, tuple[float, int]] = {}
    for _, column, row in _rows(board):
        low, high = row.get("ci_low"), row.get("ci_high")
        if is_fraction(column.metric) and low is not None and high is not None and (high - low) / 2 > WIDE:
            half, items = wide.get(column.label, (0.0, row.get("n") or 0))
            wide[column.label] = max(half, (high - low) / 2), min(items, row.get("n") or 0)
    if not wide:
        return ""
    label, (half, items) = max(wide.items(), key=lambda one: one[1][0])
    others = f", and wider than ± {100 * WIDE:.0f} on {len(wide) - 1} more" if len(wide) > 1 else ""
    return (
        f"Few items: on {label} ({items:,} items) a score lies within ± {100 * half:.0f} points{others}. That two "
        "numbers there look alike does not say that the models are."
    )


def _at_chance(board: Leaderboard) -> str:
    guessed = [column.label for column in board.columns if column.at_chance]
    if not guessed:
        return ""
    return (
        f"No score on {_some(guessed)} is clearly above guessing: ranks there are chance. 'gpteval tasks --run' says "
        "whether the probability of right answers tells what their number does not."
    )


def _shortened(board: Leaderboard) -> str:
    cut = [(model, row) for model, _, row in _rows(board) if row.get("truncated")]
    if not cut:
        return ""
    rest = "rests" if len(cut) == 1 else "rest"
    return (
        f"{counted(len(cut), 'result')} {rest} on prompts that were shortened to a model's window "
        f"({_some([m for m, _ in cut])}), and measure{'s' * (len(cut) == 1)} the window as well as the model."
    )


def _partly(board: Leaderboard) -> str:
    partly = [model for model, _, row in _rows(board) if row.get("coverage", 1) < 1]
    if not partly:
        return ""
    are = "is" if len(partly) == 1 else "are"
    which = f"{counted(len(partly), 'result')} {are} over a part of the items"
    return f"{which} ({_some(partly)}), which need not be like the rest."


def _protocols(board: Leaderboard) -> str:
    by_column: dict[str, set[str]] = {}
    for _, column, row in _rows(board):
        by_column.setdefault(column.label, set()).add(row.get("profile") or GPTEVAL)
    mixed = [label for label, profiles in by_column.items() if len(profiles) > 1]
    if mixed:
        return f"Models were asked by different protocols on {_some(mixed)}: what differs there need not be the models."
    others = {profile for profiles in by_column.values() for profile in profiles} - {GPTEVAL}
    if not others:
        return ""
    return f"The protocol is that of {listed(sorted(others))}: numbers by another do not compare with these."


def _raw(board: Leaderboard) -> str:
    raw = [model for model, _, row in _rows(board) if any(RAW in note for note in row.get("notes") or ())]
    if not raw:
        return ""
    return f"Chat models were {RAW} ({_some(raw)}), and may do better than this: chat:NAME asks one by it."


def _one_set(board: Leaderboard, several_sets: frozenset[str]) -> str:
    once = [column.label for column in board.columns if column.shots and column.id not in several_sets]
    if not once:
        return ""
    return (
        f"With examples in the prompt there is one set of them ({_some(once)}): other examples give other numbers, and "
        "no interval here allows for that. 'gpteval fewshot --seeds' does."
    )


def _machines(loaded: Loaded) -> str:
    found = {kind for manifest in loaded.manifests if (kind := _hardware(manifest.get("hardware")))}
    if len(found) < 2:
        return ""
    return f"The runs are of several machines ({_some(sorted(found))}): their seconds do not compare."


def _servers(loaded: Loaded) -> str:
    devices = {name: facts.get("device") for name, facts in facts_of(loaded).items() if facts.get("device")}
    behind = [name for name, device in devices.items() if device == API]
    if not behind or len(behind) == len(devices):
        return ""
    return (
        f"Seconds of {_some(behind)} hang on a server elsewhere and on how many requests were under way at a time; "
        "they do not compare with those of a model that runs here."
    )


def _hardware(known: object) -> str:
    """A machine's GPUs, or its processor and how many threads it used; "" where that is not told."""
    if not isinstance(known, Mapping) or not known.get("machine"):
        return ""
    gpus = known.get("gpus")
    named = [str(gpu) for gpu in gpus] if isinstance(gpus, list) else []
    return listed(named) or f"{known['machine']} with {known.get('threads')} threads"
