"""``vllm:NAME``: a model computed by vLLM in this process: its scheduler, its kernels, as many GPUs as it is told.

Tokens, window and end tokens are gpteval's own. ``docs/servers.md`` has what was measured.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import count, islice
from typing import IO, Any, Self, cast

from gpteval.backends.interface import GREEDY, LOGPROBS, SAMPLING, Backend, Batches
from gpteval.backends.opening import Computing, Opening
from gpteval.backends.query_plan import Plan, plan_queries
from gpteval.core.errors import ModelError, UsageError
from gpteval.core.types import Prompt, digest
from gpteval.engine.vllm_requests import VllmRequest, requests_of
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.tokens.encode import Encoder
from gpteval.tokens.queries import QueryResult, TokenQuery

LIBRARY = "vllm"
OURS = "without vllm: before its name gpteval's own engine computes"
HOW = f"pip install 'gpteval[vllm]' on a machine with a GPU; {OURS}"
ARGUMENTS = "--vllm-args"
# Arguments that say which model it is, what its numbers mean, or what gpteval's own options say.
SET = (
    *("model", "tokenizer", "revision", "dtype", "trust_remote_code", "generation_config"),
    *("max_model_len", "max_logprobs", "logprobs_mode", "skip_tokenizer_init"),
)
WHOLE = ("max_num_seqs", "max_num_batched_tokens")
PLACES = 2048  # of a sequence, unless a longer one comes
LOGITS = 2**30  # bytes of float32 logits in a step, at most: prompts' log-probabilities need them, and vLLM's own
# profile of the memory knows nothing of that
ROWS = {"cuda": 256, "cpu": 32}  # sequences at a time
KV_ON_CPU = 2 * 2**30  # bytes; its own default is half of the machine
AHEAD = 4  # of as many times the rows it knows
PART = 64  # results that are given at a time, or what there is
SECONDS = 5.0  # after so long


class VllmModel(HFModel):
    """Its numbers depend on vLLM's version and arguments, too. Raises ModelError, UsageError."""

    def __init__(self, info: ModelInfo, options: LoadOptions) -> None:
        try:
            self.library = version(LIBRARY)
        except PackageNotFoundError:
            raise ModelError(f"{info.name} needs {LIBRARY}", HOW) from None
        super().__init__(info, replace(options, device="auto"))
        if "cpu" in self.library or self.device == "mps":
            self.device = "cpu"
        if options.device not in ("auto", self.device):
            raise UsageError(
                f"device {options.device}: {info.name} runs where this vLLM ({self.library}) does, on {self.device}",
                "CUDA_VISIBLE_DEVICES says which GPUs it sees",
            )
        self.arguments = arguments(options.vllm)

    @cached_property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}+vllm:{self.library}"

    @property
    def key(self) -> str:
        return digest(super().key, self.options.vllm)

    @property
    def commit(self) -> str | None:
        return self._pinned["revision"] or None


class VllmEngine(Backend):
    """vLLM's engine runs in a process of its own. One that dies is started again, to compute half as much at a time."""

    can = frozenset({LOGPROBS, GREEDY, SAMPLING})
    model: VllmModel

    def __init__(self, model: VllmModel, computing: Computing) -> None:
        self.model = model
        self.vocabulary: int = model.config.get_text_config().vocab_size
        self.encoder = Encoder(
            model.codec, model.window, computing.stride, vocabulary=self.vocabulary, as_lm_eval=computing.as_lm_eval
        )
        self.rows = int(model.arguments.get("max_num_seqs", ROWS[model.place]))
        batched = max(512, min(8192, LOGITS // (4 * self.vocabulary)))
        self.batched = int(model.arguments.get("max_num_batched_tokens", max(batched, self.rows)))
        self.deaths = 0
        self._llm: Any = None
        self._places = 0  # of a sequence
        self._log: IO[bytes] | None = None
        self._answered = False  # since it was started
        self._names = map(str, count())  # of requests: an answer to one that was given up may still come

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Self:
        return cls(VllmModel(info, opening.computing.load), opening.computing)

    @property
    def ready(self) -> bool:
        return self._llm is not None

    def load(self) -> None:
        self._make(0)

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        self.encoder.sampling = self.sampling
        return plan_queries(self.encoder, self.model.key, prompts)

    def facts(self) -> dict[str, Any]:
        facts = {
            "vllm": self.model.library,
            "arguments": self.model.options.vllm,
            "rows": self.rows,
            "tokens_a_step": self.batched,
        }
        return facts | ({"deaths": self.deaths} if self.deaths else {})

    def notes(self) -> list[str]:
        died = "; its engine died, and was started again to compute less at a time"
        with_ = f" with {self.model.options.vllm}" if self.model.options.vllm else ""
        return [f"computed by vLLM {self.model.library}{with_}{died if self.deaths else ''}"]

    def compute(self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1) -> Batches:
        wanted = {key: cast(TokenQuery, query) for key, query in plan.queries.items() if key not in known}
        if not wanted:
            return
        self._make(max(query.length for query in wanted.values()) + 1)
        waiting = requests_of(wanted, self.model.codec)
        asked: dict[str, VllmRequest] = {}
        ready: dict[bytes, QueryResult] = {}
        begin = time.perf_counter()
        while True:
            for request in islice(waiting, max(0, AHEAD * self.rows - len(asked))):
                ready |= self._ask(request, asked)
            if not asked and not ready:
                return
            late = time.perf_counter() - begin > SECONDS
            if ready and (len(ready) >= PART or late or not asked):
                yield _timed(ready, time.perf_counter() - begin)
                begin, ready = time.perf_counter(), {}
            for output in self._step(asked):
                if output.request_id in asked:
                    request = asked.pop(output.request_id)
                    ready |= request.take(output) or self._ask(request, asked)

    def _ask(self, request: VllmRequest, asked: dict[str, VllmRequest]) -> dict[bytes, QueryResult]:
        """Give a request to the engine; one that it does not take has its results already."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        name = next(self._names)
        try:
            params = SamplingParams(**request.params(), output_kind=RequestOutputKind.FINAL_ONLY)
            self._llm.llm_engine.add_request(name, {"prompt_token_ids": request.ids}, params)
        except ValueError as error:
            return request.failed(f"vLLM refuses it: {error}")
        except EngineDeadError:
            pass  # the next step finds that, and asks again
        asked[name] = request
        return {}

    def _step(self, asked: dict[str, VllmRequest]) -> list[Any]:
        """Answers that are whole; where the engine died, none, and all is asked again of another. One that died of an
        error, not of memory, before its first answer would do so again: raises ModelError.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        if not asked:
            return []
        try:
            found = [output for output in self._llm.llm_engine.step() if output.finished]
            self._answered |= bool(found)
            return found
        except EngineDeadError as error:
            words = self._last_words()
            self._close()
            for_memory = "memory" in words.lower() or "Error" not in words
            if self.rows == 1 or not (self._answered or for_memory):
                raise ModelError(f"model {self.model.info.name}: vLLM's engine died: {words}", OURS) from error
        self.deaths += 1
        self.rows, self.batched = max(1, self.rows // 2), max(256, self.batched // 2)
        self._make(self._places)
        for name in list(asked):  # which it took before
            self._ask(asked.pop(name), asked)
        return []

    def _make(self, places: int) -> None:
        """vLLM's engine, with room for sequences of so many tokens. Raises ModelError."""
        if self._llm is not None and self._places >= places:
            return
        self._close()
        self._places = max(places, self._places, min(PLACES, self.model.window))
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
        if self._places > self.model.window:  # by the one token that is written after a whole window, and never read
            os.environ["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] = "1"
        model, options = self.model, self.model.options
        asked: dict[str, Any] = {
            "model": model.info.location,
            "tokenizer": options.tokenizer or model.info.location,
            "revision": model.commit,
            "dtype": model.dtype,
            "trust_remote_code": options.trust_remote_code,
            "generation_config": "vllm",
            "max_logprobs": -1,
            "max_model_len": self._places,
            **({"kv_cache_memory_bytes": KV_ON_CPU} if model.place == "cpu" else {}),
            **model.arguments,
            "max_num_seqs": self.rows,
            "max_num_batched_tokens": max(self.batched, self.rows),
        }
        self._answered = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the engine
        try:
            with _into(self._log):
                from vllm import LLM

                self._llm = LLM(**asked)
        except Exception as error:  # it raises whatever its parts raise
            text = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelError(
                f"model {model.info.name}: vLLM does not start: {text}: {self._last_words()}",
                f"{ARGUMENTS} gives it other arguments, such as {ARGUMENTS} gpu_memory_utilization=0.8",
            ) from error
        logging.getLogger("vllm").setLevel(logging.ERROR)
        client = self._llm.llm_engine.engine_core
        threading.Thread(target=_tell_of_death, args=(weakref.ref(client),), daemon=True).start()
        self._shut = weakref.finalize(self, client.shutdown)

    def _close(self) -> None:
        """End the engine's process, so that its memory is free for another."""
        if self._llm is not None:
            self._shut()
        self._llm = None

    def _last_words(self) -> str:
        """The last error that the engine told of."""
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        errors = [line for line in lines if "Error" in line]
        return (errors or ["it said nothing"])[-1][-400:]


def _tell_of_death(client: Callable[[], Any]) -> None:
    """vLLM 0.32 knows that its engine's process was killed, as by a system without memory, and waits for its answers
    for ever. What waits is told here, while there is the ``client``.
    """
    from vllm.v1.engine.exceptions import EngineDeadError

    while (one := client()) and hasattr(one, "outputs_queue"):
        if one.resources.engine_dead:
            one.outputs_queue.put_nowait(EngineDeadError())
            return
        del one
        time.sleep(0.5)


def arguments(text: str) -> dict[str, Any]:
    """``a=1,b=x`` as arguments of vLLM's ``LLM``; values are Python's, or words. Raises UsageError."""
    found: dict[str, Any] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = one.partition("=")
        if not equals or not name.strip().isidentifier():
            raise UsageError(f"{ARGUMENTS} {one}", f"write name=value, as in {ARGUMENTS} tensor_parallel_size=2")
        name = name.strip()
        if name in SET:
            raise UsageError(
                f"{ARGUMENTS} {one}: gpteval says that itself", "--dtype, --tokenizer and the model's name do"
            )
        try:
            found[name] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            found[name] = value.strip()
        if name in WHOLE and not (type(found[name]) is int and found[name] > 0):
            raise UsageError(f"{ARGUMENTS} {one}: that is no number from 1 on", f"write {name}=8")
    return found


def _timed(results: Mapping[bytes, QueryResult], seconds: float) -> dict[bytes, QueryResult]:
    """Each with its share of the time, by the tokens that were read and written for it."""
    whole = sum(result.processed for result in results.values()) or 1
    return {key: replace(result, seconds=seconds * result.processed / whole) for key, result in results.items()}


@contextmanager
def _into(log: IO[bytes]) -> Iterator[None]:
    """What is written meanwhile, and by processes that start meanwhile, goes into ``log``."""
    kept = [os.dup(one) for one in (1, 2)]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        for one in (1, 2):
            os.dup2(log.fileno(), one)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for one, was in zip((1, 2), kept, strict=True):
            os.dup2(was, one)
            os.close(was)
