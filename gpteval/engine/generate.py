"""Generation for a batch of queries: prompts are read in parts, then a token a step; those that end make room."""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from gpteval.engine.cache import ROOM, Prefixes, join, keep_last, roomy_cache, select
from gpteval.engine.continuation import Continuation, choose, continuations
from gpteval.engine.trees import CACHED, local_window
from gpteval.models.causal_lm import CausalLM, Reading
from gpteval.models.openai_gpt import CachedGPT1
from gpteval.tokens.queries import NONE, GenerateQuery, QueryResult, Tokens
from gpteval.tokens.tokenizer import Codec

NARROW = 4  # tokens, fewer than the prompts have by which caches are tried


@torch.inference_mode()
def generate_batch(
    model: CausalLM,
    codec: Codec,
    queries: Sequence[GenerateQuery],
    budget: int,
    *,
    held: int = 0,
    alike: bool = False,
    joins: bool = False,
) -> list[QueryResult]:
    """Continue each query by itself; the settings are its own, never the model's generation_config.

    At most ``budget`` prompt tokens are read at once, and ``held`` are kept (0: ``CACHED`` times as many): a step reads
    all weights, for however many rows. ``alike``: only prompts
    of one length are read together, for a model whose numbers depend on padding. ``joins``: waiting queries take the
    places of those that have ended, for a model that takes caches of ours (``joins_rows``).
    """
    most = 0.75 * (held or CACHED * budget)
    # Padding would stand between a shared beginning and what follows, in columns that a local layer counts.
    sharing = joins and not alike and local_window(model.config) == sys.maxsize
    states, prefix = continuations(queries, sharing=sharing)
    waiting = deque(sorted(states, key=lambda state: -len(state.query.prompt)))
    reader = _Reader(model, max(query.length for query in queries), prefix, joins=joins and not alike)
    flight: _Flight | None = None
    while waiting or flight:
        while waiting and (flight is None or (reader.joins and flight.size <= most)):
            part = [waiting.popleft()]
            longest = len(part[0].query.prompt)
            read = max(longest - len(prefix), longest // CACHED)
            while waiting and (len(part) + 1) * read <= budget:
                if alike and len(waiting[0].query.prompt) < longest:
                    break
                part.append(waiting.popleft())
            begun = reader.read(part, codec)
            flight = flight.joined(begun) if flight and begun else flight or begun
        if flight:
            flight = reader.step(flight, codec)
    return [state.result() for state in states]


@dataclass
class _Flight:
    """Rows on their way, aligned on the right: all write their next token in the same column.

    ``mask``: [rows, columns], 1 where a row has a token; ``fed``: [rows, 1], each row's last token.
    """

    states: list[Continuation]
    mask: torch.Tensor
    fed: torch.Tensor
    cache: Any

    @property
    def size(self) -> int:
        """Places in the cache, with those that rows still need."""
        ahead = max(state.query.max_new_tokens - len(state.tokens) for state in self.states)
        return len(self.states) * (int(self.mask.shape[1]) + ahead)

    def joined(self, other: _Flight) -> _Flight:
        """Both flights' rows in one, no wider than the longest row."""
        width = max(int(flight.mask.sum(1).max()) for flight in (self, other))
        masks = []
        for flight in (self, other):
            lack = width - flight.mask.shape[1]
            masks.append(torch.nn.functional.pad(flight.mask, (lack, 0)))  # a negative lack cuts
        join(self.cache, other.cache, width - 1)  # the last token is not in the cache yet
        return _Flight(self.states + other.states, torch.cat(masks), torch.cat([self.fed, other.fed]), self.cache)


class _Reader:
    """Feeds a model. ``longest``: the most tokens that a row can have; ``joins``: its cache is one of ours.

    ``prefix``: what all prompts begin with; it is read once, into a cache of ours.
    """

    def __init__(self, model: CausalLM, longest: int, prefix: Tokens = NONE, *, joins: bool = False) -> None:
        self.joins = joins or model.config.model_type == "openai-gpt"  # CachedGPT1 knows no other
        self.layers = model.config.get_text_config().num_hidden_layers
        self.model: Reading = CachedGPT1(model) if model.config.model_type == "openai-gpt" else model
        self.accepts = set(inspect.signature(self.model.forward).parameters)
        self.caches = "past_key_values" in self.accepts  # else all is read again at each step
        self.longest = longest
        self.prefix = prefix
        self.prefixes = Prefixes()

    def logits(self, flight: _Flight) -> torch.Tensor:
        """Of each row's next token, [rows, vocabulary]; what was fed goes into the flight's cache."""
        positions = (flight.mask.cumsum(1) - 1).clamp(min=0, max=self.longest - 1)[:, -flight.fed.shape[1] :]
        inputs = {
            "input_ids": flight.fed,
            "attention_mask": flight.mask,
            "position_ids": positions,
            "past_key_values": flight.cache,
            "use_cache": self.caches,
            "logits_to_keep": 1,
        }
        output = self.model(**{name: value for name, value in inputs.items() if name in self.accepts})
        flight.cache = output.past_key_values if self.caches else None
        last: torch.Tensor = output.logits[:, -1].float()
        return last

    def read(self, states: list[Continuation], codec: Codec) -> _Flight | None:
        """The prompts' first new tokens. Prompts are padded on the left, with explicit positions."""
        return self.step(self.flight(states), codec)

    def flight(self, states: list[Continuation]) -> _Flight:
        prompts = [list(state.query.prompt[len(self.prefix) :]) for state in states]
        width = max(map(len, prompts))
        ids = torch.zeros(len(states), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, prompt in enumerate(prompts):
            ids[number, width - len(prompt) :] = torch.tensor(prompt)
            mask[number, width - len(prompt) :] = 1
        mask = torch.cat([torch.ones(len(states), len(self.prefix), dtype=torch.long), mask], dim=1)
        cache = roomy_cache(self.layers) if self.joins else None
        if self.prefix:
            cache = self.prefixes.expanded(self.model, self.prefix, len(states), width + ROOM)
        device = self.model.device
        return _Flight(states, mask.to(device), ids.to(device), cache)

    def step(self, flight: _Flight, codec: Codec) -> _Flight | None:
        """Each row's next token. Rows that have ended leave when they are a quarter, or when their length leaves the
        others no column; None when all have.
        """
        chosen = choose(self.logits(flight), flight.states)
        states, mask, fed, cache = flight.states, flight.mask, flight.fed, flight.cache
        for state, token in zip(states, chosen.tolist(), strict=True):
            if not state.ended:
                state.take([token], codec)
        going = [number for number, state in enumerate(states) if not state.ended]
        if not going:
            return None
        full = self.joins and mask.shape[1] >= self.longest
        if len(going) <= 0.75 * len(states) or (full and len(going) < len(states)):
            keep = torch.tensor(going, device=mask.device)
            if self.caches:
                select(cache, keep)
            states, mask, fed, chosen = [states[n] for n in going], mask[keep], fed[keep], chosen[keep]
        new = chosen[:, None]
        mask = torch.cat([mask, torch.ones_like(new)], dim=1)
        if full:
            width = int(mask.sum(1).max())
            mask = mask[:, -width:]
            keep_last(cache, width - 1)  # the last token is not in the cache yet
        return _Flight(states, mask, new if self.caches else torch.cat([fed, new], dim=1), cache)


@torch.inference_mode()
def ignores_padding(model: CausalLM) -> bool:
    """Whether a padded pair of prompts gives the logits that each gives alone."""
    size = model.config.get_text_config().vocab_size
    prompts = [Tokens(n * n % size for n in range(3, 3 + length)) for length in (9, 5)]
    states = [Continuation(GenerateQuery(prompt, 1, ())) for prompt in prompts]
    reader = _Reader(model, max(map(len, prompts)))
    if not reader.caches:
        return False
    together = reader.logits(reader.flight(states))
    alone = torch.cat([reader.logits(reader.flight([state])) for state in states])
    return _close(together, alone, model)


@torch.inference_mode()
def joins_rows(model: CausalLM) -> bool:
    """Whether a padded pair's second token, read with a cache of ours, has the logits that a row alone has; of a model
    whose layers see a window only, beyond it, too: for this it is made narrow. GPT-Neo's, which tests hold, is trusted.
    """
    if model.config.model_type == "gpt_neo" or local_window(model.config) == sys.maxsize:
        return _joins(model)
    if getattr(model.config.get_text_config(), "sliding_window", None) is None or not _joins(model):
        return False
    prompt = Tokens(n * n % model.config.get_text_config().vocab_size for n in range(3, 12))
    state = Continuation(GenerateQuery(prompt, 1, ()))
    wide = _alone(model, [state])
    with narrow(model.config):
        return not _close(_alone(model, [state]), wide, model) and _joins(model)


@contextmanager
def narrow(config: Any) -> Iterator[None]:
    """A configuration whose ``sliding_window`` is of ``NARROW`` tokens meanwhile."""
    text = config.get_text_config()
    window, text.sliding_window = text.sliding_window, NARROW
    try:
        yield
    finally:
        text.sliding_window = window


def _joins(model: CausalLM) -> bool:
    size = model.config.get_text_config().vocab_size
    prompts = [Tokens(n * n % size for n in range(3, 3 + length)) for length in (9, 5)]
    states = [Continuation(GenerateQuery(prompt, 2, ())) for prompt in prompts]
    reader = _Reader(model, 16, joins=True)
    if not reader.caches:
        return False
    try:
        flight = reader.flight(states)
        reader.logits(flight)
        flight.fed = torch.full((2, 1), 7 % size, device=model.device)
        flight.mask = torch.cat([flight.mask, torch.ones_like(flight.fed)], dim=1)
        together = reader.logits(flight)
    except Exception:  # another architecture's cache may refuse ours in any way
        return False
    longer = [Continuation(GenerateQuery(prompt + Tokens([7 % size]), 1, ())) for prompt in prompts]
    return _close(together, _alone(model, longer), model)


def _alone(model: CausalLM, states: Sequence[Continuation]) -> torch.Tensor:
    """The next token's logits of each, read by itself with the model's own cache, [queries, vocabulary]."""
    reader = _Reader(model, 16)
    return torch.cat([reader.logits(reader.flight([state])) for state in states])


def _close(found: torch.Tensor, expected: torch.Tensor, model: CausalLM) -> bool:
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())
