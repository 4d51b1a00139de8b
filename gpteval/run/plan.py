"""The plan of a run: the tasks' data, what is asked of each model, and the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gpteval.backends.by_prefix import backend_class
from gpteval.backends.interface import CHAT, GIVEN, LOGPROBS, TOPS
from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.kinds import PREFER
from gpteval.core.types import Generate, Prompt
from gpteval.data.downloads import announced
from gpteval.metrics.evaluated import as_metric
from gpteval.metrics.named import metric_registry
from gpteval.metrics.repeated import added_for
from gpteval.models.catalogue import ModelInfo
from gpteval.prompts.build import TaskData, TaskItems, build_prompts, load_items, takes_examples, under_template
from gpteval.prompts.controls import ORDER, RANDOM_LABELS, other_orders
from gpteval.prompts.letters import AUTO, NAME, with_letters
from gpteval.run.config import RunConfig
from gpteval.run.lock import Lock
from gpteval.run.units import Listener, Unit
from gpteval.tasks.suites import LEFT_OUT
from gpteval.tasks.task import Task


@dataclass
class RunPlan:
    """``data``: by a task's label what was loaded, or why it cannot be. ``letters``: the same task by letter."""

    config: RunConfig
    listener: Listener
    lock: Lock | None = None
    data: dict[str, TaskData | GptevalError] = field(default_factory=dict)
    prompts: dict[tuple[str, int], list[Prompt]] = field(default_factory=dict)
    letters: dict[str, Task] = field(default_factory=dict)
    _read: dict[str, TaskItems] = field(default_factory=dict)

    def load_all(self, tasks: Sequence[Task], *, by_letter: bool) -> Sequence[Task]:
        """Load what tasks need, with their choices by letter where that is asked; the tasks that are to be run.

        Raises UnknownNameError for a further metric that there is not.
        """
        for name in self.config.metrics:
            if name.startswith(PREFER):
                way = f"when the run is done: gpteval compare RUN --metric {name}"
                raise UsageError(f"{name} is of two models' texts, and not of one's", way)
            if isinstance(as_metric(name), str):
                metric_registry()[name]
        for number, task in enumerate(tasks, 1):
            with announced(self.listener.loading, f"task data {number}/{len(tasks)}, {task.label}"):
                self.load(task)
        if self.config.tasks_with_examples:
            tasks = self.only_with_examples(tasks)
        if by_letter or self.config.choices in (NAME, "both"):
            for task in tasks:
                self.add_letters(task)
        return tasks

    def load(self, task: Task) -> None:
        """Load a task's data, or keep why it cannot be: found out for all tasks before scoring begins."""
        config = self.config
        most = max(self.config.shots or (task.shots,))
        try:
            task = self.lock.pin_task(task) if self.lock else task
            if task.name not in self._read:  # once for all of its templates
                self._read[task.name] = load_items(task, shots=most, limit=config.items, seed=config.seed)
            data = under_template(self._read[task.name], task, config.seed, config.max_bad_rows)
            takes_examples(data)
            if self.lock:
                self.lock.check_task(data)
            for note in data.notes:
                self.listener.warned(f"{task.label}: {note}")
            asked = data.requests.of(data.task, data.items[0])
            several = config.repeats.count > 1 and isinstance(asked, Generate)
            further = [*config.metrics, *(added_for(task.metric_named(task.metric)) if several else ())]
            if further:
                data = replace(data, task=data.task.with_extra(further, asked))
            self.data[task.label] = data
        except GptevalError as error:
            self.data[task.label] = error

    def add_letters(self, task: Task) -> None:
        """The task's choices by letter beside them; a task without choices, or with letters already, stays alone."""
        data = self.data[task.label]
        if isinstance(data, TaskData) and (found := with_letters(data, self.config.max_bad_rows)) is not None:
            self.letters[task.label] = found.task
            self.data[found.task.label] = found

    def _asked_of(self, task: Task, choices: str) -> list[Task]:
        """The task with its choices as they are, by letter, or both."""
        lettered = self.letters.get(task.label, task)
        both = {one.label: one for one in (task, lettered)}
        return list(both.values()) if choices == "both" else [lettered if choices == NAME else task]

    def only_with_examples(self, tasks: Sequence[Task]) -> list[Task]:
        """Without those that score whole texts, or whose prompts are whole. Raises UsageError where none is left."""
        left = [t for t in tasks if not isinstance(data := self.data[t.label], TaskData) or takes_examples(data)]
        for task in tasks:
            if task not in left:
                why = "scores whole texts and" if task.shots_inside is None else "asks a log's own prompts, and"
                self.listener.warned(f"{task.label} {why} takes no examples: it is left out")
        if not left:
            raise UsageError("none of these tasks takes examples", "for example --tasks nano_topic")
        return left

    def units_of(self, model: ModelInfo, tasks: Sequence[Task]) -> list[Unit]:
        """What to run of a model, which is asked by letter where it cannot be asked otherwise."""
        can = backend_class(model.backend).can
        choices = self.config.choices if can & {LOGPROBS, GIVEN} else NAME
        choices = NAME if choices == AUTO and CHAT in can else choices
        if self.config.top_logprobs and TOPS not in can:
            self.listener.warned(f"{model.name}: the likeliest tokens are not kept of servers and chats")
        return [unit for task in tasks for one in self._asked_of(task, choices) for unit in self._units(model, one)]

    def _units(self, model: ModelInfo, task: Task) -> list[Unit]:
        """What to run of a task; of one that scores whole texts, without examples."""
        config, data = self.config, self.data[task.label]
        takes = not isinstance(data, TaskData) or takes_examples(data)
        numbers = dict.fromkeys(config.shots or (task.shots,)) if takes else (task.shots_inside or 0,)
        units = []
        for shots in numbers:
            units.append(Unit(model, task, shots, config.seed))
            if not shots or not takes:
                continue  # no examples: nothing that a seed or a control could change
            for seed in range(config.seed, config.seed + config.seeds):
                further = partial(Unit, model, task, shots, seed, is_result=False)
                if seed != config.seed:
                    units.append(further())
                if RANDOM_LABELS in config.controls:
                    units.append(further(RANDOM_LABELS))
            if ORDER in config.controls:
                orders = min(max(2, config.seeds), other_orders(shots))
                units += [
                    Unit(model, task, shots, config.seed, f"{ORDER}-{n + 1}", is_result=False) for n in range(orders)
                ]
        return units

    def prompts_of(self, data: TaskData, unit: Unit) -> list[Prompt]:
        """The unit's prompts, those of results built once for all models. Raises TaskError, ItemError, ColumnError."""
        key = (data.task.label, unit.shots)
        if not unit.is_result or key not in self.prompts:
            mode = self.config.shots_mode
            made = build_prompts(data, shots=unit.shots, seed=unit.seed, mode=mode, control=unit.control)
            if not unit.is_result:
                return made
            self.prompts[key] = made
        return self.prompts[key]


def as_in_profile(tasks: Sequence[Task], config: RunConfig, listener: Listener) -> list[Task]:
    """The tasks as the profile has them, without those that it does not know. Raises UsageError where none is left."""
    profile = config.profile
    for suite in LEFT_OUT.keys() & set(config.tasks):
        for name, why in LEFT_OUT[suite].items():
            listener.warned(f"{suite}: {name} is left out: {why}")
    found = [(task, task.under(profile)) for task in tasks]
    left_out = [task.label for task, known in found if known is None]
    if left_out:
        some = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
        listener.warned(f"left out, because the profile {profile} does not define them: {some}")
    known = [task for _, task in found if task is not None]
    if not known:
        raise UsageError(f"none of these tasks has the profile {profile}", "run them with --profile gpteval")
    return known
