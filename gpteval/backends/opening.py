"""With what a backend is opened: how models are loaded and asked, and what may be spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpteval.backends.api_options import ApiOptions
from gpteval.backends.chat_options import ChatOptions
from gpteval.backends.prices import Budget
from gpteval.models.loader import LoadOptions
from gpteval.tasks.profiles import LM_EVAL


@dataclass(frozen=True)
class Computing:
    """What of a run's configuration whoever computes needs: how a model is loaded, how queries are cut and batched, and
    how chats are asked.
    """

    load: LoadOptions
    batch_tokens: int | None = None
    stride: int | None = None
    profile: str = "gpteval"
    top_logprobs: int = 0
    chat: ChatOptions = field(default_factory=ChatOptions)

    @property
    def as_lm_eval(self) -> bool:
        """Whether what is too long is cut as lm-evaluation-harness does."""
        return self.profile == LM_EVAL


@dataclass(frozen=True)
class Opening:
    """``most_missing``: share of items to which given answers may have none. ``budget``: dollars that may be spent, by
    all models together; ``waiting`` is told what is waited for.
    """

    computing: Computing = field(default_factory=lambda: Computing(LoadOptions()))
    api: ApiOptions = field(default_factory=ApiOptions)
    most_missing: float = 0.01
    budget: Budget = field(default_factory=lambda: Budget(None))
    waiting: Callable[[str], None] = lambda what: None
