"""How the answer is taken out of what a model wrote: a task's own rule, for texts in which it reasons."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from gpteval.core.errors import PLUGIN_ERRORS, PluginError, TaskError
from gpteval.core.outcomes import Failed, Generated, Outcome, Repeated
from gpteval.core.plugins import place_in_code, reason
from gpteval.core.types import Generate, Request, digest

Taking = str | Callable[[str], str | None]


@dataclass(frozen=True)
class AnswerRule:
    """``taking``: a regular expression, whose first group in its first match is the answer (the match, where it has no
    group), or a function from a text to its answer. None and "" are no answer. Raises TaskError for no expression.
    """

    taking: Taking

    def __post_init__(self) -> None:
        if isinstance(self.taking, str):
            try:
                re.compile(self.taking)
            except re.error as error:
                raise TaskError(f"answer={self.taking!r} is no regular expression: {error}") from None
        elif not callable(self.taking):
            raise TaskError(f"answer is {self.taking!r}", "give a regular expression, or a function of the text")

    def taken(self, text: str) -> str:
        """The answer in a text; "" where there is none. Raises PluginError where the task's function fails."""
        if isinstance(self.taking, str):
            found = re.search(self.taking, text)
            return (next((group for group in found.groups() if group), None) or found[0]).strip() if found else ""
        try:
            answer = self.taking(text)
        except PLUGIN_ERRORS as error:
            raise PluginError(
                f"the task's answer function fails: {reason(error)}", f"mend it in {place_in_code(error)}"
            ) from error
        if not isinstance(answer, str | None):
            raise PluginError(f"the task's answer function gives {answer!r}", "it gives a text, or None for no answer")
        return (answer or "").strip()

    def of_outcome(self, outcome: Outcome) -> Outcome:
        """The outcome with the answer of its text, or of each."""
        if isinstance(outcome, Repeated):
            taken = [self.of_outcome(one) for one in outcome.outcomes]
            return Repeated(tuple(one for one in taken if isinstance(one, Generated | Failed)))
        return replace(outcome, taken=self.taken(outcome.text)) if isinstance(outcome, Generated) else outcome

    def of_request(self, request: Request) -> Request:
        """The request with the answers of its references: those in which none is found stay as they are."""
        if not isinstance(request, Generate):
            return request
        return replace(request, references=[self.taken(one) or one for one in request.references])

    @property
    def signature(self) -> str:
        """For results: the expression, or the function's name and a digest of its source."""
        if isinstance(self.taking, str):
            return f"answer:/{self.taking}/"
        name = getattr(self.taking, "__name__", type(self.taking).__name__)
        try:
            return f"answer:{name}-{digest(inspect.getsource(self.taking), size=3)}"
        except (OSError, TypeError):  # typed in, or made by code
            return f"answer:{name}"
