"""What a head reads of an item: the input transformations of GPT-1 (Radford et al. 2018, section 3.3).

Three tokens that no vocabulary has stand at the start, between two parts, and at the end; the head looks at the last.
Where all items share their answers, these are classes, and an item is one sequence: start, text, extract. Where each
has answers of its own, it is one sequence an answer, start, context, delimiter, answer, extract, and each gets a score.
Of a pair of texts the delimiter stands between them; where the two have no order, both orders are read and added.

A task of texts needs no head: the prompt, then the text that is wanted, and the loss is that text's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from gpteval.core.errors import TaskError, UsageError
from gpteval.core.types import Choice, Generate, Prompt, Request
from gpteval.tokens.queries import Tokens
from gpteval.tokens.tokenizer import Codec

SPECIAL = ("start", "delimiter", "extract")  # ids behind the vocabulary, in this order
InputKind = Literal["classes", "answers", "texts"]


@dataclass(frozen=True)
class InputForm:
    """How a task's items become sequences. ``classes``: the answers that all items share, for kind "classes".

    ``vocabulary``: rows of the model's embedding, behind which the special tokens are numbered. ``window``: tokens
    that the model can read, of which ``reads`` are the method's.
    """

    kind: InputKind
    classes: tuple[str, ...]
    vocabulary: int
    window: int
    reads: int = 0

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for a sequence."""
        return len(self.classes) if self.kind == "classes" else 1

    def sequences(self, prompt: Prompt, codec: Codec) -> tuple[tuple[Tokens, ...], int]:
        """The item's sequences, each cut from its front to the window, and how many tokens that took from the longest.

        Raises TaskError where the item's answers are not the task's classes.
        """
        if self.kind == "texts":
            return self._text(prompt, codec)
        request = choice_of(prompt)
        start, delimiter, extract = (Tokens([self.vocabulary + n]) for n in range(len(SPECIAL)))
        if self.kind == "classes":
            if request.answers != self.classes:
                raise TaskError(
                    f"item {prompt.item_id} has the answers {', '.join(map(repr, request.answers))}, "
                    f"and the head the classes {', '.join(map(repr, self.classes))}",
                    "tune for the task as it is now",
                )
            texts = [text.strip() for text in request.parts] or [prompt.text().strip()]
            parts = [codec.encode(texts)]
            if request.similar:
                parts.append(parts[0][::-1])
        else:
            context = codec.encode([prompt.text().strip()])[0]
            parts = [[context, answer] for answer in codec.encode([text.strip() for text in request.answers])]
        found, most = [], 0
        for part in parts:
            room = self.window - self.reads - len(part) - 1 - sum(map(len, part[1:]))
            cut = max(0, len(part[0]) - max(0, room))
            most = max(most, cut)
            sequence = start + Tokens(part[0][cut:])
            for more in part[1:]:
                sequence = sequence + delimiter + Tokens(more)
            found.append((sequence + extract)[-(self.window - self.reads) :])
        return tuple(found), most

    def _text(self, prompt: Prompt, codec: Codec) -> tuple[tuple[Tokens, ...], int]:
        target = target_of(prompt, codec)
        context = Tokens(codec.prefix) + Tokens(codec.encode([prompt.text()])[0])
        cut = max(0, len(context) + len(target) - self.window)
        return ((context[min(cut, len(context)) :] + target)[-self.window :],), cut


def target_of(prompt: Prompt, codec: Codec) -> Tokens:
    """The text that is wanted, as an example in the prompt would show it, and what ends it: its stop, an end token."""
    request = cast(Generate, prompt.request)
    (ids,) = codec.encode([request.answer + (request.stop[0] if request.stop else "")])
    return Tokens(ids) + Tokens(sorted(codec.eos)[:1])


def choice_of(prompt: Prompt) -> Choice:
    """The prompt's request. Raises TaskError where it is none with choices."""
    request: Request = prompt.request
    if not isinstance(request, Choice) or len(request.continuations) < 2:
        raise TaskError(
            f"item {prompt.item_id} has no choices: a head chooses among answers",
            "name a classification or a choice task, as sst2 or arc_easy, or one of translation or summarization",
        )
    return request


def form_of(prompts: Sequence[Prompt], vocabulary: int, window: int, reads: int = 0) -> InputForm:
    """How these items become sequences. Raises TaskError."""
    if all(isinstance(prompt.request, Generate) for prompt in prompts):
        return InputForm("texts", (), vocabulary, window)
    answers = {choice_of(prompt).answers for prompt in prompts}
    if len(answers) == 1:
        return InputForm("classes", answers.pop(), vocabulary, window, reads)
    return InputForm("answers", (), vocabulary, window, reads)


@dataclass(frozen=True)
class Example:
    """An item to train on: its sequences, and which class or sequence is right; of a text how many tokens it has."""

    item_id: str
    sequences: tuple[Tokens, ...]
    label: int


def make_examples(prompts: Sequence[Prompt], form: InputForm, codec: Codec, *, cut: bool = False) -> list[Example]:
    """Examples of items that have a right answer.

    Raises TaskError where there is none to learn from, or one class only; UsageError where texts are longer than the
    window, unless they may be ``cut``.
    """
    if form.kind == "texts":
        labels = [(prompt, min(len(target_of(prompt, codec)), form.window - 1)) for prompt in prompts]
    else:
        labels = [(prompt, choice_of(prompt).gold) for prompt in prompts]
    if not labels:
        raise TaskError("there are no examples to train on", "give more of them with --examples")
    if form.kind == "classes" and len({label for _, label in labels}) < 2:
        raise TaskError(
            f"all {len(labels)} examples are of the class {form.classes[labels[0][1]]!r}: nothing to learn",
            "give more of them with --examples, or another --seed",
        )
    made, longer = [], []
    for prompt, label in labels:
        sequences, over = form.sequences(prompt, codec)
        if over:
            longer.append((over, prompt.item_id))
        made.append(Example(prompt.item_id, sequences, label))
    if longer and not cut:
        over, item = max(longer)
        raise UsageError(
            f"{len(longer)} of {len(made)} texts are longer than the window of {form.window} tokens, "
            f"that of item {item} by {over}",
            "--cut shortens them from their beginnings",
        )
    return made
