"""A whole backend, as docs/backends.md speaks of: ``parrot:B`` says B, or repeats the last word."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from gpteval.backends.interface import GREEDY, WORKERS, Backend, Batches, PlainModel
from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan
from gpteval.backends.text_queries import TextQuery, letter_result, plan_texts
from gpteval.core.types import Prompt
from gpteval.models.catalogue import ModelInfo
from gpteval.tokens.queries import QueryResult


class Parrot(Backend):
    can = frozenset({GREEDY, WORKERS})

    def __init__(self, info: ModelInfo) -> None:
        self.model = PlainModel(info, depends_on="parrot 1")

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Parrot:
        return cls(info)

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        return plan_texts(prompts, self.model.key)

    def compute(self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1) -> Batches:
        for key in list(plan.queries)[part::of]:
            if key not in known:
                yield {key: self.answer(cast(TextQuery, plan.queries[key]))}

    def answer(self, query: TextQuery) -> QueryResult:
        if query.options:
            return letter_result(self.model.info.location, options=query.options)
        return QueryResult(1, text=query.prompt.split()[-1], finish="stop")
