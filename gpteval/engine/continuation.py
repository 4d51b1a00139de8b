"""One query that is being continued: which token comes next, and where the text ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from gpteval.engine.score import NOT_FINITE
from gpteval.engine.trees import common_beginning
from gpteval.tokens.queries import GenerateQuery, QueryResult, Sampling, Tokens
from gpteval.tokens.tokenizer import Codec

NO_TOKEN = -1  # what stands for a token where no logit is finite


@dataclass
class Continuation:
    """A query on its way. ``generator``: its own random stream, the same in any batch.

    ``shared``: the prompt's first tokens that were read once, for another query.
    """

    query: GenerateQuery
    generator: torch.Generator = field(init=False)
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish: str = ""
    error: str = ""
    shared: int = 0

    def __post_init__(self) -> None:
        seed = hash((self.query.sampling.seed, tuple(self.query.prompt))) & (2**63 - 1)
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def ended(self) -> bool:
        return bool(self.finish or self.error)

    def take(self, tokens: Sequence[int], codec: Codec) -> None:
        """Take the next tokens up to where the query ends: an end token, a stop string, the limit.

        What lies beyond is passed over. ``NO_TOKEN`` is an error. How many are given at a time does not matter.
        """
        before = len(self.tokens)
        for token in tokens:
            if token == NO_TOKEN:
                self.error = NOT_FINITE
                break
            if token in codec.eos:
                self.finish = "eos"
                break
            self.tokens.append(token)
            if len(self.tokens) >= self.query.max_new_tokens:
                self.finish = "length"
                break
        self.text = codec.decode(self.tokens)
        if self._stops(self.text):
            count = before + 1  # the first token with which the text has a stop string is the last one
            while not self._stops(text := codec.decode(self.tokens[:count])):
                count += 1
            self.tokens, self.text, self.finish = self.tokens[:count], text[: min(self._stops(text))], "stop"

    def _stops(self, text: str) -> list[int]:
        begin = len(text) - len(text.lstrip()) if self.query.blank_first else 0
        return [at for stop in self.query.stop if (at := text.find(stop, begin)) >= 0]

    def result(self) -> QueryResult:
        return QueryResult(
            tokens=len(self.tokens),
            text=self.text,
            finish=self.finish,
            error=self.error,
            processed=len(self.query.prompt) - self.shared + len(self.tokens),
        )


def continuations(queries: Sequence[GenerateQuery], *, sharing: bool) -> tuple[list[Continuation], Tokens]:
    """A batch's queries, and the tokens that all their prompts begin with: none unless ``sharing``."""
    states = [Continuation(query) for query in queries]
    prefix = common_beginning([query.prompt for query in queries]) if sharing else Tokens()
    for state in states[1:]:
        state.shared = len(prefix)
    return states, prefix


def choose(logits: torch.Tensor, states: Sequence[Continuation]) -> torch.Tensor:
    """The next token of each row, [rows], by its logits; a row whose logits are not finite gets an error."""
    greedy = logits.argmax(dim=-1)
    for number, bad in enumerate((~logits.amax(dim=-1).isfinite()).tolist()):
        if bad and not states[number].ended:
            states[number].error = NOT_FINITE
    if all(state.query.sampling.temperature == 0 for state in states):
        return greedy
    on_cpu = logits.cpu()
    picks = [
        int(greedy[number]) if state.ended else _sample(on_cpu[number], state.query.sampling, state.generator)
        for number, state in enumerate(states)
    ]
    return torch.tensor(picks, device=logits.device)


def _sample(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    if 0 < sampling.top_k < logits.numel():
        logits = logits.masked_fill(logits < logits.topk(sampling.top_k).values[-1], -torch.inf)
    probabilities = torch.softmax(logits / sampling.temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))
