"""``gguf:FILE``: a GGUF file computed by llama.cpp's own kernels, quantised as it is.

Tokenizer, window and end tokens are those of the file as gpteval unpacks it, to which llama.cpp's own tokenizer is
held; the same file without ``gguf:`` is unpacked and computed in float32.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from gpteval.backends.interface import GREEDY, LOGPROBS, SAMPLING, Backend, Batches
from gpteval.backends.opening import Computing, Opening
from gpteval.backends.query_plan import Plan, plan_queries
from gpteval.core.errors import ModelError
from gpteval.core.types import Prompt
from gpteval.engine.llama_file import crashes, opened
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.tokens.encode import Encoder
from gpteval.tokens.queries import GenerateQuery, QueryResult, ScoreQuery, TokenQuery, extra_of

if TYPE_CHECKING:
    import torch

LIBRARY = "llama-cpp-python"
HOW = (
    f"pip install 'gpteval[llamacpp]' builds {LIBRARY} from its source, some ten minutes; without gguf: before it the \
file is unpacked and computed here in float32"
)
LOGITS = 2**28  # bytes of the logits of a step, at most
REBUILD = (
    "build it for any processor of its kind: CMAKE_ARGS=-DGGML_NATIVE=OFF pip install --force-reinstall --no-binary \
llama-cpp-python llama-cpp-python"
)
ROOM = 256  # places of a context that is made, at least
TEXTS = ("The quick brown fox\njumps over 12 dogs.", " a b  c\n\n", "Été à Noël: 3,50 €")  # for the tokenizers


class GgufModel(HFModel):
    """``source`` is the file. Its numbers depend on the library's version, too. Raises ModelError."""

    def __init__(self, info: ModelInfo, options: LoadOptions) -> None:
        super().__init__(info, options)
        self.device = "cpu"
        try:
            self.library = version(LIBRARY.replace("-", "_"))
        except PackageNotFoundError:
            raise ModelError(f"{info.name} needs {LIBRARY}", HOW) from None

    @property
    def dtype(self) -> str:
        return "as in the file"

    @cached_property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}+llama.cpp:{self.library}"


class LlamaCpp(Backend):
    """One sequence at a time; what a query has in common with the one before stays in llama.cpp's cache."""

    can = frozenset({LOGPROBS, GREEDY, SAMPLING})
    model: GgufModel

    def __init__(self, model: GgufModel, computing: Computing) -> None:
        self.model = model
        self.vocabulary: int = model.config.get_text_config().vocab_size
        self.encoder = Encoder(
            model.codec, model.window, computing.stride, vocabulary=self.vocabulary, as_lm_eval=computing.as_lm_eval
        )
        self._llama: Any = None
        self._read: list[int] = []  # what is in the cache
        self._repacked: bool | None = None  # weights, for kernels of this very processor; not known yet

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Self:
        return cls(GgufModel(info, opening.computing.load), opening.computing)

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        self.encoder.sampling = self.sampling
        return plan_queries(self.encoder, self.model.key, prompts)

    def facts(self) -> dict[str, Any]:
        plain = (
            ""
            if self._repacked is not False
            else ", without its kernels for this processor's matrix units, which crash here"
        )
        return {"llama.cpp": f"{LIBRARY} {self.model.library}{plain}"}

    def notes(self) -> list[str]:
        return ["computed by llama.cpp, quantised as the file is"]

    def compute(self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1) -> Batches:
        wanted = {key: cast(TokenQuery, query) for key, query in plan.queries.items() if key not in known}
        if not wanted:
            return
        self._make(max(query.length for query in wanted.values()) + 1)
        # What begins alike stands together.
        for key in sorted(wanted, key=lambda one: (isinstance(wanted[one], GenerateQuery), list(wanted[one].input))):
            query, begin = wanted[key], time.perf_counter()
            result = self._scored(query) if isinstance(query, ScoreQuery) else self._written(query)
            yield {key: replace(result, seconds=time.perf_counter() - begin)}

    def _make(self, places: int) -> None:
        """The file with room for so many tokens, and its tokenizer held to ours. Raises ModelError."""
        if self._llama is not None and self._llama.n_ctx() >= places:
            return
        path, name = self.model.source, self.model.info.name
        if self._repacked is None:
            signal = crashes(path, repacked=True)
            self._repacked = not signal
            if signal and crashes(path, repacked=False):
                raise ModelError(f"llama.cpp crashes on this machine with {name} (signal {signal})", REBUILD)
        self._read = []
        step = max(32, min(512, LOGITS // (4 * self.vocabulary)))
        try:
            self._llama = opened(path, max(ROOM, places), step, repacked=self._repacked)
        except (ValueError, RuntimeError, AssertionError) as error:
            raise ModelError(f"llama.cpp cannot load {name}: {error}", HOW) from error
        for text in TEXTS:
            ours = self.model.codec.encode([text])[0]
            theirs = self._llama.tokenize(text.encode(), add_bos=False, special=True)
            if list(theirs) != ours:
                raise ModelError(
                    f"{self.model.info.name}: llama.cpp cuts {text!r} into {list(theirs)}, and the file's tokenizer, "
                    f"as it is unpacked, into {ours}",
                    "name the original's tokenizer with --tokenizer, or make the file anew",
                )

    def _logits(self, ids: Sequence[int], count: int) -> Iterator[torch.Tensor]:
        """After each of the last ``count`` tokens, in stretches of [some, vocabulary], float32; each is overwritten by
        the next one.
        """
        import torch
        from llama_cpp import llama_get_logits_ith

        keep = 0
        most = min(len(self._read), len(ids) - count)
        while keep < most and self._read[keep] == ids[keep]:
            keep += 1
        context, batch = self._llama._ctx, self._llama._batch
        if not context.kv_cache_seq_rm(-1, keep, -1):  # states of some architectures know no way back
            keep = 0
            context.kv_cache_clear()
        self._read = list(ids[:keep])
        for begin in range(keep, len(ids), self._llama.n_batch):
            part = ids[begin : begin + self._llama.n_batch]
            batch.set_batch(part, begin, logits_all=False)
            first = max(0, len(ids) - count - begin)
            for at in range(first, len(part)):
                batch.batch.logits[at] = 1
            context.decode(batch)
            self._read += part
            if first < len(part):
                found = llama_get_logits_ith(context.ctx, first)
                yield torch.from_numpy(np.ctypeslib.as_array(found, (len(part) - first, self._llama.n_vocab())))

    def _scored(self, query: ScoreQuery) -> QueryResult:
        import torch

        from gpteval.engine.score import NOT_FINITE

        targets, logprobs, greedy = torch.tensor(list(query.targets)), list[float](), True
        for logits in self._logits(list(query.input), len(targets)):
            place = targets[len(logprobs) : len(logprobs) + len(logits)]
            chosen = logits.gather(1, place[:, None]).squeeze(1).double()
            normaliser = logits.double().logsumexp(dim=1)
            if query.barred and not logprobs:
                logits[0, list(query.barred)] = -torch.inf
            logprobs += (chosen - normaliser).tolist()
            greedy = greedy and bool((logits.argmax(dim=1) == place).all())
        total = math.fsum(logprobs)
        if not math.isfinite(total):
            return QueryResult(len(logprobs), error=NOT_FINITE)
        extra = extra_of(logprobs, query.parts)
        return QueryResult(len(logprobs), total, greedy, processed=query.length, extra=extra)

    def _written(self, query: GenerateQuery) -> QueryResult:
        from gpteval.engine.continuation import Continuation, choose

        state = Continuation(query)
        while not state.ended:
            (logits,) = self._logits([*query.prompt, *state.tokens], 1)
            state.take(choose(logits, [state]).tolist(), self.model.codec)
        return state.result()
