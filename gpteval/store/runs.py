"""Reading run folders: results, failures, manifests, samples."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.logs.log import PREFIX as LOGGED
from gpteval.metrics.stored import FACTS
from gpteval.store.apart import names_apart
from gpteval.store.documents import read_document, sample_file
from gpteval.store.judged import judged_apart
from gpteval.store.logged import as_runs
from gpteval.store.same import same_weights

_NUMBERS = ("value", "ci_low", "ci_high", "stderr", "chance", "n_params", "seconds", "wall_seconds", "tokens")
_DEFAULTS: dict[str, Any] = {
    "generation": "other",
    "family": "other",
    "shots": 0,
    "higher_is_better": True,
    "n": 0,
    "coverage": 1.0,
    "truncated": 0,
    "notes": (),
}


RunNames = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]  # folders of runs, or what evaluate gave


@dataclass(frozen=True)
class Loaded:
    """One or more runs as one: rows of results.json, failures, manifests, and remarks on the merging.

    ``samples`` maps (task, shots) to each model's file.
    """

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    failures: tuple[Mapping[str, Any], ...]
    manifests: tuple[Mapping[str, Any], ...]
    samples: Mapping[tuple[str, int], Mapping[str, Path]]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Runs:
    """Run folders, read once for all that is made of them. ``called``: what each one's models are called here, where
    all are shown together (``names_apart``). ``each``: each run for itself.
    """

    folders: tuple[Path, ...]
    called: tuple[Mapping[str, str], ...]
    each: tuple[Loaded, ...]

    @cached_property
    def merged(self) -> Loaded:
        """The runs as one; of a result that two have, the later one counts. Raises UsageError where none has any."""
        return _merged(self.each)


def read_runs(runs: Runs | RunNames) -> Runs:
    """Read run folders, and logs of other harnesses; what is read already is given back. Keys that a row lacks get a
    default, so that the files of another version can be shown too.

    Raises UsageError for what is not the folder of a run, StoreError for a damaged file.
    """
    if isinstance(runs, Runs):
        return runs
    folders = as_runs([Path(run) for run in ([runs] if isinstance(runs, str | os.PathLike) else runs)])
    documents: list[dict[str, Any]] = []
    manifests: list[Mapping[str, Any]] = []
    for run in folders:
        if not (run / "results.json").is_file():
            raise UsageError(
                f"{run} is not the folder of a run: it has no results.json",
                "give the folder of a gpteval run, or a log of another harness (docs/logs.md)",
            )
        document = read_document(run / "results.json", members=False)
        documents.append(document)
        manifests.append(read_document(run / "manifest.json") if (run / "manifest.json").is_file() else {})
        whole = document.get("results") or []
        document["results"] = [row for raw in whole if (row := _row(raw)) is not None]
        document["unread"] = len(whole) - len(document["results"])
    fingerprints = [_fingerprints(*both) for both in zip(documents, manifests, strict=True)]
    _part_logs(documents, fingerprints)
    called = names_apart(folders, fingerprints)
    each = tuple(_loaded(*of_run) for of_run in zip(folders, documents, manifests, called, strict=True))
    return Runs(folders, tuple(called), each)


def _part_logs(documents: Sequence[Mapping[str, Any]], fingerprints: Sequence[dict[str, str]]) -> None:
    """Give a model that several logs have on the same task another fingerprint in each: a log does not tell what else
    was other, and who names both wants them side by side. Where they have different tasks they are one model.
    """
    where: dict[tuple[str, str, int], set[int]] = {}
    for place, document in enumerate(documents):
        for row in document["results"]:
            if str(row.get("profile")).startswith(LOGGED):
                where.setdefault((row["model"], row["task"], row["shots"]), set()).add(place)
    for (model, _, _), places in where.items():
        for place in places if len(places) > 1 else ():
            fingerprints[place][model] = f"{fingerprints[place][model].partition('#')[0]}#{place}"


def of_models(runs: Runs, names: Sequence[str]) -> Runs:
    """The runs with these models alone. Raises UnknownNameError for one that none of them has."""
    known = list(dict.fromkeys(row["model"] for one in runs.each for row in one.rows))
    for name in names:
        if name not in known:
            raise UnknownNameError("model", name, known, "these runs have others")
    return Runs(runs.folders, runs.called, tuple(_only(one, names) for one in runs.each))


def _only(one: Loaded, names: Sequence[str]) -> Loaded:
    return replace(
        one,
        rows=tuple(row for row in one.rows if row["model"] in names),
        failures=tuple(failure for failure in one.failures if failure["model"] in names),
        manifests=tuple(
            {**manifest, "models": {name: facts for name, facts in manifest["models"].items() if name in names}}
            if manifest.get("models")
            else manifest
            for manifest in one.manifests
        ),
        samples={
            unit: {name: file for name, file in files.items() if name in names} for unit, files in one.samples.items()
        },
    )


def _merged(each: Sequence[Loaded]) -> Loaded:
    rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    failures: dict[tuple[str, str], Mapping[str, Any]] = {}
    manifests: list[Mapping[str, Any]] = []
    samples: dict[tuple[str, int], dict[str, Path]] = {}
    remarks: list[str] = []
    for one in each:
        (name,), (manifest,) = one.names, one.manifests
        keys = {(r["model"], r["task"], r["shots"], r["metric"]): r for r in one.rows}
        if replaced := len(keys.keys() & rows.keys()):
            verb = "result was" if replaced == 1 else "results were"
            remarks.append(f"{replaced} {verb} in several runs: those of {name} are shown")
        rows |= keys
        for model, task in {(r["model"], r["task"]) for r in one.rows}:
            failures.pop((model, task), None)  # an earlier run's failure that was mended
        failures |= {(failure["model"], failure["task"]): failure for failure in one.failures}
        remarks += [*one.remarks, *_changed(manifests, manifest)]
        manifests.append(manifest)
        for unit, of_models in one.samples.items():
            samples.setdefault(unit, {}).update(of_models)
    if not rows:
        raise UsageError("these runs have no results", "see their failures in results.json")
    names = tuple(one.names[0] for one in each)
    every = tuple(rows.values()), tuple(failures.values()), tuple(manifests)
    found = Loaded(names, *every, samples, tuple(dict.fromkeys(remarks)))
    return replace(found, remarks=(*found.remarks, *same_weights(facts_of(found)), *judged_apart(found.rows)))


def _fingerprints(document: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, str]:
    """Of each model of a run, whose rows and failures it has; "" where nothing says it."""
    models = manifest.get("models") or {}
    found = {row["model"]: str(row.get("fingerprint") or "") for row in document["results"] if not row.get("stale")}
    named = [row.get("model", "?") for row in (*document["results"], *_failures(document))]
    return {name: str((models.get(name) or {}).get("fingerprint") or found.get(name, "")) for name in named}


def _failures(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in document.get("failures") or [] if isinstance(one, dict)]


def _loaded(run: Path, document: dict[str, Any], manifest: Mapping[str, Any], names: Mapping[str, str]) -> Loaded:
    """A run, its models by these names."""
    rows: list[dict[str, Any]] = []
    samples: dict[tuple[str, int], dict[str, Path]] = {}
    for model, task, shots, path in _samples(run, manifest, document["results"]):
        samples.setdefault((task, shots), {})[names.get(model, model)] = path
    for row in document["results"]:
        name = names[row["model"]]
        family = row.get("model_family")
        if name != row["model"] and family:
            row = row | {"model_family": f"{name.removesuffix(row['model'])}{family}"}
        facts = (manifest.get("metrics") or {}).get(row["metric"])
        rows.append(row | {"model": name} | ({FACTS: facts} if facts else {}))
    failures: list[dict[str, Any]] = [
        {"model": names.get(one.get("model", "?"), "?"), "task": one.get("task", "?")}
        | {"error": str(one.get("error", "no cause given")), "unavailable": one.get("unavailable") is True}
        for one in _failures(document)
    ]
    if manifest.get("models"):
        manifest = {**manifest, "models": {names.get(name, name): facts for name, facts in manifest["models"].items()}}
    notes = [f"{document['unread']} rows of {run.resolve().name} name no result"] if document["unread"] else []
    if any(new != old for old, new in names.items()):
        notes.append("models of one name with other weights are told apart by the folders of their runs")
    models = (manifest.get("config") or {}).get("until_decided")
    if isinstance(models, list) and models:
        notes.append(
            f"{run.resolve().name} took items until {' and '.join(map(str, models))} were told apart: differences "
            "allow for that, the intervals of single models do not"
        )
    _mark_primary(rows)
    return Loaded((run.resolve().name,), tuple(rows), tuple(failures), (manifest,), samples, tuple(notes))


def facts_of(loaded: Loaded) -> dict[str, Mapping[str, Any]]:
    """What the manifests say of each model; of two that have it the later one."""
    return {name: facts for one in loaded.manifests for name, facts in (one.get("models") or {}).items()}


def parts_of(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """The tasks, with their numbers of examples, for which a benchmark stands in one of ``rows``; which one."""
    return {(row["task"], row["shots"]): str(row["part_of"]) for row in rows if row.get("part_of")}


def _row(raw: object) -> dict[str, Any] | None:
    if not isinstance(raw, dict) or not all(isinstance(raw.get(k), str) for k in ("model", "task", "metric")):
        return None
    if not isinstance(raw.get("shots", 0), int) or not isinstance(raw.get("notes") or [], list | tuple):
        return None
    row = _DEFAULTS | {key: value for key, value in raw.items() if value is not None}
    for key in _NUMBERS:
        value = row.get(key)
        row[key] = value if isinstance(value, (int, float)) and math.isfinite(value) else None
    if row.get("stale"):
        row["notes"] = [*row["notes"], "stale: the model of this name has other weights by now; run the task again"]
    return row


def _mark_primary(rows: Any) -> None:
    """Where no metric of a task says that it is the primary one, the first is."""
    by_task: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in rows:
        by_task.setdefault((row["model"], row["task"], row["shots"]), []).append(row)
    for group in by_task.values():
        if not any(row.get("primary") for row in group):
            group[0]["primary"] = True


def _changed(earlier: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> list[str]:
    """What two runs call by one name although it is not the same."""
    remarks = []
    for kind, facts in (("tasks", ("revision", "version")), ("models", ("fingerprint",))):
        for name, new in (manifest.get(kind) or {}).items():
            for old in (m[kind][name] for m in earlier if name in (m.get(kind) or {})):
                remarks += [
                    f"{name} is not the same in these runs: its {fact} was {old[fact]} and is {new[fact]}"
                    for fact in facts
                    if old.get(fact) and new.get(fact) and old[fact] != new[fact]
                ]
    return list(dict.fromkeys(remarks))


def _samples(
    run: Path, manifest: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, int, Path]]:
    """The samples that the manifest lists, or without a list those that are named like the results."""
    listed = [
        (s["model"], s["task"], s.get("shots", 0), run / "samples" / Path(s["file"]).name)
        for s in manifest.get("samples") or []
    ]
    if not listed:
        units = {(r["model"], r["task"], r["shots"]) for r in rows}
        listed = [(*unit, run / sample_file(*unit)) for unit in units]
    return [entry for entry in listed if entry[3].is_file()]
