"""Generation in steps that a GPU is given whole: each is captured once and replayed.

A step of a few hundred rows takes such a device less time than starting its kernels one by one. So every row has a
slot of a cache that stays where it is; a step reads the last token of every slot, writes its keys and values at the
slot's own position, and puts the likeliest next token where the next step reads it. Steps follow each other without
waiting for the host, which looks at what was written every few steps, ends rows, and gives their slots to others.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from gpteval.engine.cache import Prefixes, roomy_cache
from gpteval.engine.continuation import NO_TOKEN, Continuation, choose, continuations
from gpteval.engine.head import Logits, agree, find_head, trunk_states
from gpteval.engine.trees import local_window
from gpteval.models.causal_lm import CausalLM, Reading
from gpteval.models.openai_gpt import CachedGPT1
from gpteval.tokens.queries import NONE, GenerateQuery, QueryResult, Tokens
from gpteval.tokens.tokenizer import Codec

STEPS = 8  # replayed before the host looks
READ = 16384  # prompt tokens that are read at a time, at most: their keys and values are held twice for a moment
COLUMNS = 64  # the width of the cache is a multiple
CapturedStep = Callable[[], tuple[torch.Tensor, torch.Tensor]]


class _SlotLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not type-checked
    """Keys and values of one layer, [slots, heads, width, width of a head]. A step writes at ``columns``."""

    def __init__(self, columns: torch.Tensor, width: int) -> None:
        super().__init__()
        self.keys: torch.Tensor
        self.values: torch.Tensor
        self.columns, self.width = columns, width
        self.numbers = torch.arange(len(columns), device=columns.device)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Zeros, since what nobody wrote is masked but multiplied."""
        slots = len(self.columns)
        self.keys, self.values = (
            new.new_zeros(slots, new.shape[1], self.width, new.shape[3]) for new in (key_states, value_states)
        )
        self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        rows = len(key_states)
        for whole, new in ((self.keys, key_states), (self.values, value_states)):
            whole[self.numbers[:rows], :, self.columns[:rows]] = new[:, :, 0]
        return self.keys[:rows], self.values[:rows]

    def get_seq_length(self) -> int:
        return self.width - 1


class Slots:
    """So many slots of ``width`` tokens for one model, whose ``head`` turns its trunk's states into logits.

    ``fed`` and ``columns``, [slots]: each slot's last token, and where it goes.
    """

    def __init__(self, model: CausalLM, slots: int, width: int, head: Logits | None = None) -> None:
        self.model: Reading = model
        self.head = head and partial(head, model)
        if model.config.model_type == "openai-gpt":
            self.model, self.head = CachedGPT1(model), None
        self.accepts = set(inspect.signature(self.model.forward).parameters)
        self.layers = model.config.get_text_config().num_hidden_layers
        self.dtype = model.dtype
        self.count, self.width = slots, width
        device = model.device
        self.fed = torch.zeros(slots, dtype=torch.long, device=device)
        self.columns = torch.zeros(slots, dtype=torch.long, device=device)
        self.all_columns = torch.arange(width, device=device)
        self.cache = Cache(layers=[_SlotLayer(self.columns, width) for _ in range(self.layers)])
        self.prefixes = Prefixes()
        self.captures = device.type == "cuda"
        self._steps: dict[int, CapturedStep] = {}
        self._spoilt: set[int] = set()  # slots in which something is not finite: what is masked is still multiplied

    def generate(self, codec: Codec, queries: Sequence[GenerateQuery], budget: int) -> list[QueryResult]:
        """As ``generate_batch``. No query may be longer than a slot."""
        states, prefix = continuations(queries, sharing=True)
        waiting = deque(sorted(states, key=lambda state: -len(state.query.prompt)))
        going: dict[int, Continuation] = {}
        while waiting or going:
            free = [slot for slot in range(self.count) if slot not in going]
            if waiting and (not going or len(free) >= max(1, self.count // 8)):
                self._admit(going, waiting, free, prefix, min(budget, READ))
            elif not waiting and len(going) <= (1 + max(going)) // 2:
                going = self._moved(going)
            rows_read = min(self.count, _bucket(1 + max(going)))
            drawn = any(state.query.sampling.temperature for state in going.values())
            for slot, tokens in enumerate(self._run(rows_read, going, drawn=drawn)):
                if slot not in going:
                    continue
                going[slot].take(tokens, codec)
                if going[slot].error:
                    self._spoilt.add(slot)
                if going[slot].ended:
                    del going[slot]
        return [state.result() for state in states]

    def _admit(
        self,
        going: dict[int, Continuation],
        waiting: deque[Continuation],
        free: list[int],
        prefix: Tokens,
        budget: int,
    ) -> None:
        """Give waiting queries the free slots, and read their prompts but the last token, in parts of ``budget``."""
        while waiting and free:
            part = [waiting.popleft()]
            longest = max(1, len(part[0].query.prompt) - len(prefix))
            while waiting and len(part) < len(free) and (len(part) + 1) * longest <= budget:
                part.append(waiting.popleft())
            slots, free = free[: len(part)], free[len(part) :]
            self.read([state.query.prompt for state in part], slots, prefix)
            going.update(zip(slots, part, strict=True))

    @torch.inference_mode()
    def read(self, prompts: Sequence[Tokens], slots: Sequence[int], prefix: Tokens = NONE) -> None:
        """Put prompts into slots: all but the last token through the trunk, padded on the right."""
        device = self.fed.device
        skip = len(prefix)
        width = max(map(len, prompts)) - 1 - skip
        cache = roomy_cache(self.layers, 0)
        if prefix:
            cache = self.prefixes.expanded(self.model, prefix, len(prompts), width)
        if width:
            ids = torch.zeros(len(prompts), width, dtype=torch.long)
            for line, prompt in enumerate(prompts):
                ids[line, : len(prompt) - 1 - skip] = torch.tensor(list(prompt[skip:-1]))
            self.model.base_model(input_ids=ids.to(device), past_key_values=cache, use_cache=True)
        numbers = torch.tensor(slots, device=device)
        for own, layer in zip(self.cache.layers, cache.layers, strict=True):
            for slot in self._spoilt.intersection(slots):
                own.keys[slot], own.values[slot] = 0, 0
            if skip + width:
                if not own.is_initialized:
                    own.lazy_initialization(layer.keys, layer.values)
                own.keys[numbers, :, : skip + width] = layer.keys
                own.values[numbers, :, : skip + width] = layer.values
        self._spoilt.difference_update(slots)
        self.fed[numbers] = torch.tensor([prompt[-1] for prompt in prompts], device=device)
        self.columns[numbers] = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)

    @torch.inference_mode()
    def _moved(self, going: dict[int, Continuation]) -> dict[int, Continuation]:
        """The rows in the first slots, so that a step reads fewer."""
        slots = sorted(going)
        numbers = torch.tensor(slots, device=self.fed.device)
        for tensor in (self.fed, self.columns, *(t for one in self.cache.layers for t in (one.keys, one.values))):
            tensor[: len(slots)] = tensor[numbers]
        return {number: going[slot] for number, slot in enumerate(slots)}

    @torch.inference_mode()
    def _run(self, rows: int, going: dict[int, Continuation], *, drawn: bool) -> list[list[int]]:
        """The next tokens of the first ``rows`` slots, a list for each."""
        step = self._step_of(rows)
        if drawn:
            slots = list(going)
            chosen = choose(step()[1][slots], [going[slot] for slot in slots])
            self.fed[slots] = chosen
            tokens = [[0]] * rows
            for slot, token in zip(slots, chosen.tolist(), strict=True):
                tokens[slot] = [token]
            return tokens
        steps = min(STEPS, max(state.query.max_new_tokens - len(state.tokens) for state in going.values()))
        history = torch.empty(steps, rows, dtype=torch.long, device=self.fed.device)
        for line in history:
            line.copy_(step()[0])
        found: list[list[int]] = history.T.tolist()
        return found

    def _step_of(self, rows: int) -> CapturedStep:
        """What runs a step of so many rows: see ``_step``. Captured where that can be."""
        if rows not in self._steps and self.captures:
            try:
                self._steps[rows] = self._captured(rows)
            except RuntimeError:  # an architecture may do in a step what no capture takes
                self.captures = False
        if rows not in self._steps:
            self._steps[rows] = lambda: self._step(rows)
        return self._steps[rows]

    def _captured(self, rows: int) -> CapturedStep:
        """A step is run as it is, which prepares what must not be prepared in a capture, and then captured."""
        before = self.fed.clone(), self.columns.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step(rows)
        torch.cuda.current_stream().wait_stream(stream)
        self.fed.copy_(before[0])
        self.columns.copy_(before[1])
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = self._step(rows)

        def step() -> tuple[torch.Tensor, torch.Tensor]:
            graph.replay()
            return found

        return step

    def _step(self, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token of each of the first slots, [rows], ``NO_TOKEN`` where none is finite; and its logits."""
        columns = self.columns[:rows]
        beyond = (self.all_columns > columns[:, None])[:, None, None]
        mask = torch.zeros(beyond.shape, dtype=self.dtype, device=columns.device)
        inputs = {
            "input_ids": self.fed[:rows, None],
            "attention_mask": mask.masked_fill_(beyond, torch.finfo(self.dtype).min),
            "position_ids": columns[:, None],
            "past_key_values": self.cache,
            "use_cache": True,
        }
        if self.head:
            logits = self.head(trunk_states(self.model, inputs)[:, -1]).float()
        else:
            inputs = {name: value for name, value in inputs.items() if name in self.accepts}
            logits = self.model(**inputs).logits[:, -1].float()
        best, tokens = logits.max(dim=1)
        self.fed[:rows] = tokens
        self.columns[:rows] = (columns + 1).clamp(max=self.width - 1)  # rows that have ended go on for a while
        return torch.where(best.isfinite(), tokens, NO_TOKEN), logits


def _bucket(rows: int) -> int:
    """``rows`` rounded up to a power of two, so that few steps are captured."""
    return 1 << (rows - 1).bit_length()


def slots_for(
    model: CausalLM,
    queries: Sequence[GenerateQuery],
    tokens: int,
    window: int,
    head: Logits | None = None,
    kept: Slots | None = None,
) -> Slots | None:
    """Slots for a batch, ``kept`` if those are of the size that it would get without them; None where a query is
    longer than all layers see.

    ``tokens``: what all slots may hold together. The numbers depend on the batch alone, not on what was before it.
    """
    width = min(window, -(-max(query.length for query in queries) // COLUMNS) * COLUMNS)
    if width > local_window(model.config):
        return None
    count = max(1, min(len(queries), tokens // width))
    if kept and (kept.count, kept.width) == (count, width):
        return kept
    return Slots(model, count, width, head)


@torch.inference_mode()
def takes_slots(model: CausalLM) -> bool:
    """Whether two prompts in slots have the logits, two steps on, that each has when it is read alone."""
    size = model.config.get_text_config().vocab_size
    prompts = [Tokens(n * n % size for n in range(3, 3 + length)) for length in (9, 5)]
    try:
        slots = Slots(model, 2, 16, find_head(model))
        slots.captures = False
        slots.read(prompts, [0, 1])
        tokens, _ = slots._step(2)
        _, found = slots._step(2)
    except Exception:  # another architecture may refuse masks, positions or caches of ours in any way
        return False
    alone = [[*prompt, token] for prompt, token in zip(prompts, tokens.tolist(), strict=True)]
    expected = torch.stack([model(input_ids=torch.tensor([ids], device=model.device)).logits[0, -1] for ids in alone])
    return agree(found, expected)
