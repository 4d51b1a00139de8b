"""Choices by letter: the options stand in the prompt, and a letter answers.

It is how models behind a chat interface, which give no log-probabilities of a prompt, can be asked the same as base
models. Results stand under a template of their own, ``task:letters``.
"""

from __future__ import annotations

from dataclasses import replace

from gpteval.core.types import Choice, Item, Request
from gpteval.prompts.build import TaskData, usable_items
from gpteval.tasks.forms import LETTERS, lettered
from gpteval.tasks.task import DEFAULT

NAME = "letters"
AUTO = "auto"  # of chats by letter, of others as text
CHOICES = (AUTO, "text", NAME, "both")  # how choices are asked: as they are, by letter, or both ways
_CUES = ("Answer:", "A:")  # at the end of a context, where the letters' own cue comes instead


def by_letter(request: Request) -> Request:
    """The request with its options in the prompt and letters as continuations; as it is, where it has that already, or
    has no options.
    """
    if not isinstance(request, Choice):
        return request
    if [text.strip() for text in request.continuations] == list(LETTERS[: len(request.continuations)]):
        return request
    context = request.context.rstrip()
    for cue in _CUES:
        if context.endswith(f"\n{cue}"):
            context = context.removesuffix(cue).rstrip()
    return lettered(context, [text.strip() for text in request.answers], request.gold)


def with_letters(data: TaskData, max_bad_rows: float) -> TaskData | None:
    """The same items with their choices by letter; None where there are no choices, or letters already.

    The metrics are those that look at the chosen answer alone. Raises TaskError.
    """
    task = data.task
    first = data.requests.of(task, data.items[0])
    if not isinstance(first, Choice) or not 1 < len(first.continuations) <= len(LETTERS):
        return None
    if by_letter(first) is first:
        return None
    name = NAME if task.template_name == DEFAULT else f"{task.template_name}-{NAME}"

    def prompt(item: Item) -> Request:
        return by_letter(data.requests.of(task, item))

    asked = task.by_choice().with_prompt(name, prompt)
    items, left_out = usable_items(asked, data.items, max_bad_rows, data.requests)
    return replace(data, task=asked, items=items, notes=data.notes + left_out)
