"""A lock: the revisions of models and data that a run used, for another run to insist on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpteval.backends.interface import Model
from gpteval.core.errors import DataError, ModelError, OutputError, UsageError
from gpteval.core.own import refuse_others
from gpteval.data.sources import HubSource
from gpteval.models.catalogue import ModelInfo
from gpteval.prompts.build import TaskData
from gpteval.run.identity import differs, identity
from gpteval.store.documents import read_document
from gpteval.tasks.task import Task

VERSION = 2  # 1 held neither examples nor golds
_COMMIT = re.compile("[0-9a-f]{40}")
AGAIN = "run without --locked, look at what changed, and write a new lock with 'gpteval lock'"


def write_lock(run: Path, out: Path) -> int:
    """Write the lock of a run's folder; how many models and tasks it holds.

    Raises UsageError for another folder, StoreError for a damaged manifest, OutputError.
    """
    if not (run / "manifest.json").is_file():
        raise UsageError(
            f"{run} is not the folder of a run: it has no manifest.json", "give the folder of a gpteval run"
        )
    manifest = read_document(run / "manifest.json")
    lock = {
        "gpteval_lock": VERSION,
        "models": {
            name: {key: facts.get(key) for key in ("location", "revision", "fingerprint")}
            for name, facts in (manifest.get("models") or {}).items()
        },
        "tasks": {
            name: {key: facts.get(key) for key in ("source", "revision", "version", "examples_revision", "identity")}
            for name, facts in (manifest.get("tasks") or {}).items()
        },
    }
    refuse_others([out], "choose another file with --out")
    try:
        out.write_text(json.dumps(lock, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error
    return len(lock["models"]) + len(lock["tasks"])  # type: ignore[arg-type]


def read_lock(path: Path) -> Lock:
    """Raises UsageError for a file that is no lock."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("gpteval_lock") == 1 and document.keys() >= {"models", "tasks"}:
            raise UsageError(
                f"the lock {path} is of an earlier gpteval, which held neither examples nor golds",
                "write another with 'gpteval lock RUN', of a run of this version",
            )
        if document.get("gpteval_lock") != VERSION:
            raise ValueError(f'it has no "gpteval_lock": {VERSION}')
        return Lock(dict(document["models"]), dict(document["tasks"]))
    except OSError as error:
        raise UsageError(
            f"cannot read the lock {path}: {error.strerror}", "write one with 'gpteval lock RUN'"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a lock file: {error}", "write one with 'gpteval lock RUN'") from None


@dataclass(frozen=True)
class Lock:
    """``models`` and ``tasks``: by name, what they must be."""

    models: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[str, Mapping[str, Any]]

    def pin_model(self, info: ModelInfo) -> ModelInfo:
        """The model at its locked commit, where it comes from the Hub. Raises ModelError for one that is not locked."""
        revision = self._of(self.models, info.name, ModelError)["revision"]
        return replace(info, revision=revision) if not info.local and _is_commit(revision) else info

    def pin_task(self, task: Task) -> Task:
        """The task with its data at their locked commit, where they come from the Hub. Raises DataError."""
        revision = self._of(self.tasks, task.label, DataError)["revision"]
        if isinstance(task.source, HubSource) and _is_commit(revision):
            return task.with_source(replace(task.source, revision=revision))
        return task

    def check_model(self, model: Model) -> None:
        """Raises ModelError for one that is not what is locked."""
        locked = self._of(self.models, model.info.name, ModelError)
        _insist(f"model {model.info.name}", locked, {"fingerprint": model.fingerprint}, ModelError)

    def check_task(self, data: TaskData) -> None:
        """Raises DataError for data or a task that are not what is locked."""
        locked = self._of(self.tasks, data.task.label, DataError)
        now = {"revision": data.revision, "version": data.task.version}
        if data.pool_revision:
            now["examples_revision"] = data.pool_revision
        _insist(f"task {data.task.label}", locked, now, DataError)
        requests = {item.id: data.requests.of(data.task, item) for item in data.items}
        then = locked.get("identity") or {}
        moved = differs(then, identity(data, requests, then))
        if moved is None:
            raise DataError(
                f"task {data.task.label}: these items cannot be held to the lock's",
                "use the --limit and --seed of the run that was locked",
            )
        if moved:
            what = "its prompts, golds, stops, metrics or chance level are other ones"
            raise DataError(f"task {data.task.label} moved: {what} ({moved} items were compared)", AGAIN)

    @staticmethod
    def _of(
        kind: Mapping[str, Mapping[str, Any]], name: str, error: type[ModelError] | type[DataError]
    ) -> Mapping[str, Any]:
        if name not in kind:
            raise error(f"{name} is not in the lock, which has {', '.join(kind) or 'nothing'}", AGAIN)
        return kind[name]


def _is_commit(revision: object) -> bool:
    return isinstance(revision, str) and bool(_COMMIT.fullmatch(revision))


def _insist(
    what: str, locked: Mapping[str, Any], now: Mapping[str, Any], error: type[ModelError] | type[DataError]
) -> None:
    moved = [f"{key} was {locked.get(key)} and is {value}" for key, value in now.items() if locked.get(key) != value]
    if moved:
        raise error(f"{what} moved: {'; '.join(moved)}", AGAIN)
