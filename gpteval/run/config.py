"""What a run is asked to do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gpteval.backends.api_options import ApiOptions
from gpteval.backends.chat_options import ChatOptions
from gpteval.backends.opening import Computing, Opening
from gpteval.backends.prices import Budget
from gpteval.backends.repeats import ONCE, Repeats
from gpteval.core.errors import OutputError, UsageError
from gpteval.core.types import digest
from gpteval.logs.log import PREFIX as LOGGED
from gpteval.models.loader import LoadOptions
from gpteval.prompts.build import MAX_BAD_ROWS, ShotsMode
from gpteval.prompts.controls import CONTROLS
from gpteval.prompts.letters import AUTO as AS_EACH
from gpteval.prompts.letters import CHOICES, NAME
from gpteval.run.executors.names import AUTO, executors
from gpteval.tasks.profiles import GPT4_PAPER, GPTEVAL, LM_EVAL, PAPER, PROFILES
from gpteval.tasks.task import DEFAULT

FURTHER = ("chat_", "repeats", "temperature")  # how settings begin that are there where they are not as by default


@dataclass(frozen=True)
class RunConfig:
    """One ``gpteval run``. ``shots`` None means each task's own default.

    ``templates``: which of the tasks' prompts, or ``all``. ``seeds`` and ``controls`` are those of an experiment: so
    many sets of examples, from ``seed`` on, and other ways to show them (``gpteval.prompts.controls``).
    ``metrics``: further ones, for all tasks whose requests they can score.
    ``top_logprobs``: how many of the likeliest tokens are kept at each place of texts that are scored whole.
    ``choices``: whether they are asked as they are, by letter, or both ways (``gpteval.prompts.letters``); ``chat``:
    how chats are asked; ``repeats``: how often texts are, and how they are drawn.
    ``tasks_with_examples``: tasks that take none are left out. ``locked``: a lock to insist on (``run.lock``).
    ``agree``: the weights that are here of models that are asked elsewhere, which are held to them first, and refused
    beyond ``agree_within`` nats a token.
    ``executor``: inline, or process: ``workers`` processes (None: one a GPU, or one a core up to 4), or ray: so many
    actors of the cluster at ``ray_address`` (one of this machine by default), or folder: whoever runs ``gpteval
    worker``; auto is process where there are several GPUs. ``worker_timeout``: seconds after which a worker that gives
    nothing is replaced. ``until_decided``: two models, for which items are taken until they are told apart, ``take`` of
    them so far (``run.decide``). ``dry_run``: say what would be asked, and ask nothing. ``retry_failed``: only what
    failed before. ``settings`` are the part that changes numbers: a run folder holds results of one setting only.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    shots: tuple[int, ...] | None = None
    limit: int | None = None
    seed: int = 0
    shots_mode: ShotsMode = "per-item"
    templates: tuple[str, ...] = (DEFAULT,)
    seeds: int = 1
    controls: tuple[str, ...] = ()
    tasks_with_examples: bool = False
    profile: str = GPTEVAL
    choices: str = AS_EACH
    chat: ChatOptions = field(default_factory=ChatOptions)
    repeats: Repeats = ONCE
    metrics: tuple[str, ...] = ()
    stride: int | None = None
    batch_tokens: int | None = None
    top_logprobs: int = 0
    max_bad_rows: float = MAX_BAD_ROWS
    locked: Path | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    api: ApiOptions = field(default_factory=ApiOptions)
    task_dirs: tuple[Path, ...] = ()
    out: Path | None = None
    cache: bool = True
    dry_run: bool = False
    retry_failed: bool = False
    executor: str = AUTO
    workers: int | None = None
    worker_timeout: float = 1800.0
    ray_address: str = ""
    command: str = ""
    agree: str = ""
    agree_within: float | None = None
    until_decided: tuple[str, ...] = ()
    take: int | None = None

    def __post_init__(self) -> None:
        if self.profile == PAPER and GPT4_PAPER in self.tasks:
            if set(self.tasks) != {GPT4_PAPER}:
                raise UsageError(
                    f"{GPT4_PAPER} has a protocol of its own under --profile {PAPER}, and other tasks have theirs",
                    f"run --tasks {GPT4_PAPER} alone, and the others by a command of their own",
                )
            object.__setattr__(self, "profile", GPT4_PAPER)
        checks: Sequence[tuple[bool, str]] = (
            (bool(self.models), "no models named; for example --models nano"),
            (bool(self.tasks), "no tasks named; for example --tasks all"),
            (self.limit is None or self.limit > 0, f"--limit must be at least 1, not {self.limit}"),
            (self.seed >= 0, f"--seed must be at least 0, not {self.seed}"),
            (all(k >= 0 for k in self.shots or ()), "--shots cannot be negative"),
            (bool(self.templates), "no templates named; for example --templates all"),
            (self.seeds > 0, f"--seeds must be at least 1, not {self.seeds}"),
            (
                set(self.controls) <= set(CONTROLS),
                f"--controls are {' and '.join(CONTROLS)}, not {', '.join(self.controls)}",
            ),
            (self.agree_within is None or bool(self.agree), "--agree-within is for --agree MODEL: add that"),
            (self.stride is None or self.stride > 0, f"--stride must be at least 1, not {self.stride}"),
            (self.top_logprobs >= 0, f"--top-logprobs must be at least 1, not {self.top_logprobs}"),
            (0 <= self.max_bad_rows <= 1, f"--max-bad-rows is a share from 0 to 1, not {self.max_bad_rows}"),
            (
                self.executor in (AUTO, *executors()),
                f"--executor is one of {', '.join((AUTO, *executors()))}, not {self.executor!r}",
            ),
            (self.workers is None or self.workers > 0, f"--workers must be at least 1, not {self.workers}"),
            (not self.ray_address or self.executor == "ray", "--ray-address is for --executor ray: add that"),
            (self.worker_timeout > 0, f"--worker-timeout must be above 0 seconds, not {self.worker_timeout:g}"),
            (self.batch_tokens is None or self.batch_tokens > 0, "--batch-tokens must be at least 1"),
            (self.profile in PROFILES, f"--profile is one of {', '.join(PROFILES)}, not {self.profile!r}"),
            (self.choices in CHOICES, f"--choices is one of {', '.join(CHOICES)}, not {self.choices!r}"),
            (
                self.choices not in (NAME, "both") or self.profile == GPTEVAL,
                f"--choices {self.choices} is none of the profile {self.profile}: leave one of the two out",
            ),
            (
                self.profile != LM_EVAL
                or (self.seed, self.seeds, self.controls, self.shots_mode) == (0, 1, (), "per-item"),
                f"--profile {self.profile} draws its own examples: without --seed, --seeds, --controls, --shots-mode",
            ),
            (
                self.shots_mode in ("per-item", "fixed"),
                f"--shots-mode is per-item or fixed, not {self.shots_mode!r}",
            ),
        )
        for fine, message in checks:
            if not fine:
                raise UsageError(message)

    @property
    def logs(self) -> list[Path]:
        """Logs of other harnesses whose requests are asked again."""
        return [Path(name.removeprefix(LOGGED)).expanduser() for name in self.tasks if name.startswith(LOGGED)]

    @property
    def items(self) -> int | None:
        """How many of a task's items are taken; None: all."""
        return self.limit if self.take is None else self.take

    @property
    def settings(self) -> dict[str, Any]:
        stopping = {"until_decided": list(self.until_decided)} if self.until_decided else {}
        chat = {f"chat_{name}": value for name, value in self.chat.changed.items()}
        drawn = {"repeats": self.repeats.count, "temperature": self.repeats.temperature} if self.repeats.drawn else {}
        return stopping | {
            "seed": self.seed,
            "limit": self.limit,
            "shots_mode": self.shots_mode,
            "profile": self.profile,
            "stride": self.stride,
            "dtype": self.load.dtype,
            **chat,
            **drawn,
        }

    def takes_more(self, earlier: Mapping[str, Any]) -> bool:
        """Whether it is a run with these settings over more items, among which are those of before."""
        before = earlier.get("limit")
        return before is not None and not self.until_decided and (self.limit is None or self.limit > before)

    def refuse_other(self, folder: Path, earlier: Mapping[str, Any]) -> None:
        """Raise OutputError where ``folder`` holds a run whose settings, ``earlier``, differ in more than that."""
        keys = [*self.settings, *(key for key in earlier if key.startswith(FURTHER) and key not in self.settings)]
        known = {key: value for key, value in earlier.items() if key in keys}
        if known and earlier.get("until_decided") != self.settings.get("until_decided"):
            raise OutputError(
                f"{folder} holds a run whose items were taken until two models were told apart, or this command is one",
                "such a run has a folder of its own: choose another with --out",
            )
        differing = [key for key in keys if known and known.get(key) != self.settings.get(key)]
        if differing == ["limit"] and self.takes_more(earlier):
            return
        if differing:
            had = ", ".join(f"{key}={known.get(key)}" for key in differing)
            now = ", ".join(f"{key}={self.settings.get(key)}" for key in differing)
            chosen = {
                key: "all" if key == "limit" and self.limit is None else self.settings.get(key) for key in differing
            }
            named = "-".join(f"{key.replace('_', '-')}-{value}" for key, value in chosen.items())
            raise OutputError(
                f"{folder} holds a run with {had}; this command has {now}",
                f"choose another folder, such as --out {folder}-{named}",
            )

    @property
    def computing(self) -> Computing:
        """What workers need of it, wherever they were started."""
        path = self.load.tokenizer
        load = replace(self.load, tokenizer=os.path.abspath(path)) if path and Path(path).exists() else self.load
        return Computing(load, self.batch_tokens, self.stride, self.profile, self.top_logprobs, self.chat)

    def opening(self, budget: Budget, waiting: Callable[[str], None]) -> Opening:
        """With what models are opened. ``waiting`` is told what is waited for."""
        return Opening(self.computing, self.api, self.max_bad_rows, budget, waiting)

    @property
    def folder(self) -> Path:
        """``out``, or a folder under ``runs/`` that the same command finds again."""
        if self.out is not None:
            return self.out
        words = re.sub(r"[^a-z0-9]+", "-", "-".join((*self.models, *self.tasks)).lower()).strip("-")
        experiment = (self.seeds, self.controls) if self.seeds > 1 or self.controls else ()
        chosen = self.templates if self.templates != (DEFAULT,) else ()
        chosen = (*chosen, self.choices) if self.choices in (NAME, "both") else chosen
        unique = digest(
            self.models, self.tasks, self.shots, self.settings, asdict(self.load), *chosen, *experiment, size=3
        )
        return Path("runs") / f"{words[:40].rstrip('-')}-{unique}"


def by_present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under the names that ``RunConfig`` has now; those of the version before are taken too."""
    found = {"choices" if name == "protocol" else name: value for name, value in settings.items()}
    return found | ({"choices": "text"} if found.get("choices") == "default" else {})
