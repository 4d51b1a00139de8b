"""The engine: prompts in, outcomes out. Plans batches by a token budget and goes on after out-of-memory."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, cast

from gpteval.backends.interface import GREEDY, LOGPROBS, SAMPLING, TOPS, WORKERS, Backend, CostEstimate
from gpteval.backends.opening import Computing, Opening
from gpteval.backends.query_plan import Plan, plan_queries
from gpteval.core.errors import ModelError
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Prompt
from gpteval.engine.batches import form_batches
from gpteval.engine.budgets import auto_budget, held_tokens, token_need
from gpteval.engine.floor import Rates, Shape, floor_seconds
from gpteval.engine.speed import remembered
from gpteval.engine.trees import CACHED
from gpteval.engine.trials import Trials
from gpteval.models.catalogue import ModelInfo
from gpteval.models.library import skeleton_of
from gpteval.models.loader import HFModel
from gpteval.store.same import WEIGHTS
from gpteval.tokens.encode import Encoder
from gpteval.tokens.queries import GenerateQuery, QueryResult, Sampling, ScoreQuery, TokenQuery

if TYPE_CHECKING:
    from gpteval.engine.score import Scorer
    from gpteval.engine.slots import Slots

GENERATION_FACTOR = 16  # a batch of generations is a queue: queries enter as others end


class Engine(Backend):
    """The backend of a model whose weights are here: runs queries through it.

    ``batch_tokens``: padded tokens a batch, None for a size that fits the free memory. ``as_lm_eval``,
    ``top``: see ``Encoder``.
    """

    can = frozenset({LOGPROBS, GREEDY, SAMPLING, TOPS, WORKERS})
    model: HFModel

    def __init__(
        self,
        model: HFModel,
        *,
        batch_tokens: int | None = None,
        stride: int | None = None,
        sampling: Sampling | None = None,
        as_lm_eval: bool = False,
        top: int = 0,
    ) -> None:
        self.model = model
        vocabulary = model.config.get_text_config().vocab_size
        most = min(top, vocabulary)
        self.encoder = Encoder(model.codec, model.window, stride, sampling or Sampling(), vocabulary, as_lm_eval, most)
        self.batch_tokens = batch_tokens
        self._limit = sys.maxsize  # padded tokens that are known not to fit
        self.backoffs = 0
        self.captured = False  # steps of generations were captured and replayed
        self.alike = False  # generations read only prompts of one length together
        self._slots: Slots | None = None  # of the last batch of generations
        self._free = 0.0  # when the last batch ended

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Self:
        return cls.of(HFModel(info, opening.computing.load), opening.computing)

    @classmethod
    def of(cls, model: HFModel, computing: Computing) -> Self:
        """The engine of a model as a run wants it."""
        return cls(
            model,
            batch_tokens=computing.batch_tokens,
            stride=computing.stride,
            as_lm_eval=computing.as_lm_eval,
            top=computing.top_logprobs,
        )

    @property
    def sampling(self) -> Sampling:
        """How the texts are drawn that are planned next."""
        return self.encoder.sampling

    @sampling.setter
    def sampling(self, sampling: Sampling) -> None:
        self.encoder.sampling = sampling

    @property
    def ready(self) -> bool:
        return self.model.loaded

    def load(self) -> None:
        _ = self.model.module

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        """Encode prompts. Raises ItemError naming the item. Loads no weights."""
        return plan_queries(self.encoder, self.model.key, prompts)

    def estimate(self, queries: Sequence[Any]) -> CostEstimate:
        found = super().estimate(queries)
        speed = remembered(self.model.device, self.model.dtype, self.model.info.n_params or 0)
        if speed is None or self._shape is None:
            return found
        rates = Rates(speed.flops, speed.bytes)
        read = [query for query in queries if isinstance(query, ScoreQuery)]
        written = [query for query in queries if isinstance(query, GenerateQuery)]
        floors = ((read, speed.reading), (written, speed.writing))
        seconds = sum(floor_seconds(some, self._shape, rates) / share for some, share in floors if some)
        return replace(found, seconds=seconds)

    @cached_property
    def _shape(self) -> Shape | None:
        """What a token costs, without the weights; None of a model that does not show it."""
        try:
            return Shape.of(skeleton_of(self.model.config, self.model.options.trust), self.model.config)
        except (AttributeError, ValueError):
            return None

    @cached_property
    def budget(self) -> int:
        """Padded tokens a batch. It does not follow the window: a longer query is a batch alone."""
        return self.batch_tokens or auto_budget(self.model)

    @property
    def generation_budget(self) -> int:
        """Padded tokens a batch of generations, of which a part is on its way at a time."""
        return GENERATION_FACTOR * self.budget

    def compute(
        self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1
    ) -> Iterator[dict[bytes, QueryResult]]:
        """Compute the queries that are not ``known``, a batch at a time, longest queries first; of the batches every
        ``of``-th from the ``part``-th on.

        Batches depend on the plan alone, not on what is known already, so that a continued run computes the same
        batches as an undisturbed one and gets the same last digit.

        Out of memory halves the batch, and the budget of all later ones, and goes on; ModelError
        when one query alone does not fit.
        """
        if len(known) == len(plan.queries):
            return
        queries = cast(Mapping[bytes, TokenQuery], plan.queries)
        ahead = int(self.model.device.startswith("cuda"))  # batches that the device has while the host makes the next
        begun: deque[Callable[[], dict[bytes, QueryResult]]] = deque()
        for batch in islice(self.batches(queries), part, None, of):
            queue = [[key for key in batch if key not in known]]
            while queue:
                keys = queue.pop(0)
                padded = len(keys) * max((queries[key].length for key in keys), default=0)
                if not keys:
                    continue
                if padded <= self._limit or len(keys) == 1:
                    if results := self._attempt(keys, queries):
                        begun.append(results)
                        if len(begun) > ahead:
                            yield begun.popleft()()
                        continue
                    if len(keys) == 1:
                        raise ModelError(
                            f"model {self.model.info.name}: out of memory on a single query of {padded} tokens",
                            "use a smaller model, --dtype bfloat16, or another device",
                        )
                middle = (len(keys) + 1) // 2
                queue[:0] = [keys[:middle], keys[middle:]]
        for results in begun:
            yield results()

    def batches(self, queries: Mapping[bytes, TokenQuery]) -> Iterator[list[bytes]]:
        """The keys of queries that go through the model together, in the order in which they do."""
        scores = any(isinstance(query, ScoreQuery) for query in queries.values())
        reach = self.scorer.reach if scores else 0
        return form_batches(queries, self.budget, self.generation_budget, reach=reach)

    def _attempt(
        self, keys: Sequence[bytes], queries: Mapping[bytes, TokenQuery]
    ) -> Callable[[], dict[bytes, QueryResult]] | None:
        """Begin a batch; what is returned gives its results with their cost. None when it did not fit into memory."""
        import torch

        begin = time.perf_counter()
        try:
            results = self.begin([queries[key] for key in keys])
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise ModelError(f"model {self.model.info.name} failed: {error}") from error
            self._limit = len(keys) * max(queries[key].length for key in keys) // 2
            self.backoffs += 1
            self._slots = results = None
        if not results:  # outside of the handler, so that the failed batch's tensors are free
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return None
        return lambda: self._timed(keys, begin, results)

    def _timed(
        self, keys: Sequence[bytes], begin: float, results: Callable[[], list[QueryResult]]
    ) -> dict[bytes, QueryResult]:
        """A batch's results with their seconds: from its begin on, or from the end of the one before."""
        try:
            found = results()
        except RuntimeError as error:  # a device may tell late what failed
            raise ModelError(f"model {self.model.info.name} failed: {error}") from error
        begin, self._free = max(begin, self._free), time.perf_counter()
        share = (self._free - begin) / max(1, sum(r.processed for r in found))
        return {key: replace(result, seconds=share * result.processed) for key, result in zip(keys, found, strict=True)}

    def begin(self, queries: Sequence[TokenQuery]) -> Callable[[], list[QueryResult]]:
        """Begin a batch, all of one kind; what is returned gives its results in order."""
        from gpteval.engine.generate import generate_batch

        if isinstance(queries[0], ScoreQuery):
            self._slots = None
            return self.scorer.begin(cast(Sequence[ScoreQuery], queries))
        queries = cast(Sequence[GenerateQuery], queries)
        model, codec = self.model.module, self.model.codec
        if slots := self._slots_of(queries):
            self._slots = slots
            results = slots.generate(codec, queries, self.budget)
            self.captured |= slots.captures
        else:
            self.alike = not self._padding_is_ignored
            results = generate_batch(
                model,
                codec,
                queries,
                self.budget,
                held=self._held if self._joins else 0,
                alike=self.alike,
                joins=self._joins,
            )
        return lambda: results

    @cached_property
    def _held(self) -> int:
        return held_tokens(self.model, self.budget)

    def _slots_of(self, queries: Sequence[GenerateQuery]) -> Slots | None:
        """Slots for a batch of generations, on a device that takes whole steps; else None."""
        if not self._takes_slots:
            return None
        from gpteval.engine.cache import token_bytes
        from gpteval.engine.slots import slots_for

        module = self.model.module
        held = self.budget * min(CACHED, 1.25 * token_need(self.model) / token_bytes(module))
        return slots_for(module, queries, int(held), self.model.window, self.scorer.head, self._slots)

    @cached_property
    def _trials(self) -> Trials:
        _ = self.model.module  # which tells what computes it
        return Trials.of(self.model)

    @cached_property
    def _takes_slots(self) -> bool:
        from gpteval.engine.slots import takes_slots

        whole = self.model.device.startswith("cuda") and not self.model.spread
        return whole and self._trials.holds("slots", lambda: takes_slots(self.model.module))

    @cached_property
    def _padding_is_ignored(self) -> bool:
        from gpteval.engine.generate import ignores_padding

        return self._trials.holds("padding", lambda: ignores_padding(self.model.module))

    @cached_property
    def _joins(self) -> bool:
        from gpteval.engine.generate import joins_rows

        return self._trials.holds("rows", lambda: joins_rows(self.model.module))

    @cached_property
    def scorer(self) -> Scorer:
        from gpteval.engine.score import Scorer

        return Scorer(self.model.module, self._trials)

    def run(self, prompts: Sequence[Prompt], progress: Callable[[int], None] | None = None) -> list[Outcome]:
        """Outcomes of ``prompts`` without a store; ``progress`` is told the tokens done."""
        plan = self.plan(prompts)
        results: dict[bytes, QueryResult] = {}
        for batch in self.compute(plan, results):
            results |= batch
            if progress:
                progress(sum(r.processed for r in batch.values()))
        return plan.outcomes(results)

    @property
    def _shared(self) -> str:
        """What queries of one batch read together; known once something was scored."""
        if "scorer" not in self.__dict__:
            return ""
        return "contexts and prefixes" if self.scorer.reach else "equal inputs"

    def notes(self) -> list[str]:
        if not self.alike:
            return []
        return ["the model's texts depend on padding: only prompts of one length were read together"]

    def facts(self) -> dict[str, Any]:
        """What ran, once weights are loaded."""
        if not self.ready:
            return {}
        return {
            "attention": self.model.attention,
            WEIGHTS: self.model.weights,
            "shared": self._shared,
            "captured_steps": self.captured,
            "batch_tokens": self.budget,
            "memory_backoffs": self.backoffs,
        }


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError) or "out of memory" in text or "can't allocate" in text
    )
