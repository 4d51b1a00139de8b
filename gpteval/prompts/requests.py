"""The request that a task makes of an item, made once for all that ask for it."""

from __future__ import annotations

from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, ItemError, TaskError
from gpteval.core.types import Item, Request
from gpteval.tasks.task import PromptFunction, Task


class Requests:
    """The requests of one data set, by prompt function and item; what an item gives no request for stays known too.

    An item's id is a digest of its content, so items of several splits can be kept side by side.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[PromptFunction, str], Request | GptevalError] = {}

    def of(self, task: Task, item: Item) -> Request:
        """Raises ItemError, ColumnError, naming the item."""
        key = (task.prompt, item.id)
        if key not in self._made:
            try:
                self._made[key] = _request(task, item)
            except GptevalError as error:
                self._made[key] = error
        found = self._made[key]
        if isinstance(found, GptevalError):
            raise found.with_traceback(None)
        return found

    def fits(self, task: Task, item: Item) -> TaskError | None:
        """Why an item gives no request; None where it does."""
        try:
            self.of(task, item)
        except TaskError as error:
            return error
        return None


def _request(task: Task, item: Item) -> Request:
    try:
        request = task.prompt(item)
        if not isinstance(request, Request):
            raise ItemError(f"the prompt function gave a {type(request).__name__}, not a Choice, Rolling or Generate")
        return request
    except GptevalError as error:
        if error.message.startswith(f"task {task.name}"):
            raise
        where = f"task {task.name}" if item.id in error.message else f"task {task.name}, item {item.id}"
        raise type(error)(f"{where}: {error.message}", error.hint) from error
    except PLUGIN_ERRORS as error:  # the prompt function's own
        raise ItemError(f"task {task.name}, item {item.id}: {type(error).__name__}: {error}") from error
