"""Log-probabilities of a batch of score queries: one forward, logits only where a token is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from gpteval.engine.cache import Prefixes
from gpteval.engine.head import Logits, find_head, trunk_states
from gpteval.engine.lastlayer import find_last_block, only_at
from gpteval.engine.pack import Packed, pack
from gpteval.engine.tops import Tops
from gpteval.engine.trees import BEGINNING, FAMILY, local_window
from gpteval.engine.trials import ANEW, Trials
from gpteval.models.causal_lm import CausalLM
from gpteval.tokens.queries import QueryResult, ScoreQuery, Tokens, extra_of

# float32 logits turned into log-probabilities at a time. Not less than 32 MiB: what is smaller, glibc takes from its
# heap, which small tensors that stay split up until it holds gigabytes.
CHUNK_BYTES = 128 * 2**20

# Tokens of a tree, whose mask has the square of that many places. One of about 100,000 had wrong numbers on a GPU,
# without a word.
LONGEST = 32768

NOT_FINITE = "the model gave log-probabilities that are not finite (nan or inf); try --dtype float32"


class Scorer:
    """Scores batches with one model. Its output layer is known once, a prefix is kept from batch to batch."""

    def __init__(self, model: CausalLM, trials: Trials = ANEW) -> None:
        self.model = model
        self.head: Logits | None = find_head(model, trials)
        self.last_block = find_last_block(model, trials) if self.head else None
        self.prefixes = Prefixes()
        self.reach = 0
        reach = min(local_window(model.config), LONGEST)
        if trials.holds("trees", lambda: self._takes_trees(reach)):
            self.reach = reach  # up to which trees are exact

    def score(self, queries: Sequence[ScoreQuery]) -> list[QueryResult]:
        """Sum of log-probs and greedy flag of each query's targets."""
        results: list[QueryResult] = self.begin(queries)()
        return results

    @torch.inference_mode()
    def begin(self, queries: Sequence[ScoreQuery]) -> Callable[[], list[QueryResult]]:
        """Give a batch to the device; what is returned waits for it and gives the results.

        What queries share passes through the model once (``pack``). Inputs are padded on the right: a causal
        model never looks there, so the numbers equal those of one query alone. The softmax is over the whole
        width of the output layer, in float32 whatever the weights' dtype; sums are float64.
        """
        packed = pack(queries, reach=self.reach)
        places, targets = packed.places.to(self.model.device), packed.targets.to(self.model.device)
        barring = [(int(packed.begins[n]), list(query.barred)) for n, query in enumerate(queries) if query.barred]
        logprobs, greedy = [], []
        tops = Tops(queries, packed)
        begin = 0
        for logits in self._logits(packed):
            end = begin + len(logits)
            part = slice(*torch.searchsorted(packed.places, torch.tensor([begin, end])).tolist())
            place, target = places[part] - begin, targets[part]
            top = (chosen := logits.float()).amax(dim=1)
            greedy.append(likeliest(chosen, top, place, target))
            for at, barred in barring:
                if part.start <= at < part.stop:
                    line = chosen[place[at - part.start]].clone()
                    line[barred] = float("-inf")
                    greedy[-1][at - part.start] = line.argmax() == target[at - part.start]
            tops.take(chosen, part, place)
            below = chosen.sub_(top[:, None])
            picked = below[place, target]
            normaliser = below.exp_().sum(dim=1)
            tops.normalise(top, normaliser)
            logprobs.append(torch.stack([picked, normaliser[place]]))
            begin = end
        found, matches = torch.cat(logprobs, dim=1), torch.cat(greedy)
        return lambda: self._results(queries, packed, found, matches, tops)

    @staticmethod
    def _results(
        queries: Sequence[ScoreQuery], packed: Packed, found: torch.Tensor, matches: torch.Tensor, tops: Tops
    ) -> list[QueryResult]:
        """``found``: the targets' logits and normalisers, [2, all]; ``matches``: whether each is the likeliest."""
        picked, normaliser = found.cpu().double()  # not every device has float64
        logprobs = picked - normaliser.log()
        sums = torch.zeros(len(queries), dtype=torch.float64).index_add_(0, packed.owners, logprobs)
        top = tops.of_queries()
        extra = {
            number: extra_of(logprobs[packed.owners == number].tolist(), query.parts, top.get(number, ()))
            for number, query in enumerate(queries)
            if query.parts or query.top
        }
        missed = torch.zeros(len(queries)).index_add_(0, packed.owners, (~matches.cpu()).float())
        return [
            QueryResult(
                tokens=len(query.targets),
                logprob=total if finite else 0.0,
                greedy=misses == 0,
                error="" if finite else NOT_FINITE,
                processed=processed,
                extra=extra.get(number, "") if finite else "",
            )
            for number, (query, total, misses, finite, processed) in enumerate(
                zip(queries, sums.tolist(), missed.tolist(), sums.isfinite().tolist(), packed.processed, strict=True)
            )
        ]

    def _takes_trees(self, reach: int) -> bool:
        """Whether queries packed as trees after a cached prefix have the numbers that they have alone: found by trial.

        An architecture may ignore a mask or positions, refuse them, or have no cache.
        """
        config = self.model.config.get_text_config()
        size = config.vocab_size
        prefix = Tokens(n * n % size for n in range(3, 3 + BEGINNING))
        queries = [
            ScoreQuery(prefix + Tokens(n * stem % size for n in range(5, 7 + stem)), Tokens(n % size for n in target))
            for stem in range(1, 1 + FAMILY)
            for target in ((7, 9, 11), (8,), (7, 12))  # on all: one alone can agree by chance
        ]
        window = getattr(config, "max_position_embeddings", None)
        too_long = window is not None and max(query.length for query in queries) > window
        if too_long or not pack(queries, reach=reach).branching:
            return False
        alone = self.score(queries)
        try:
            self.reach = reach
            packed = self.score(queries)
        except Exception:  # what an architecture cannot take may raise anything
            return False
        finally:
            self.reach = 0
        tolerance = 1e-3 if self.model.dtype == torch.float32 else 3e-2
        return all(
            not a.error and not b.error and abs(a.logprob - b.logprob) <= tolerance * max(1.0, abs(a.logprob))
            for a, b in zip(alone, packed, strict=True)
        )

    def _logits(self, packed: Packed) -> Iterator[torch.Tensor]:
        """The logits of the places, in parts, [part, vocabulary]."""
        model, device = self.model, self.model.device
        inputs: dict[str, Any] = {"input_ids": packed.ids.to(device), "use_cache": False}
        if packed.branching:
            inputs["attention_mask"] = packed.mask(model.dtype, device)
        if packed.branching or packed.prefix:
            inputs["position_ids"] = packed.positions.to(device)
        if packed.prefix:
            inputs["past_key_values"] = self.prefixes.expanded(model, packed.prefix, *packed.ids.shape)
            inputs["use_cache"] = True
        places = packed.lines.to(device), packed.columns.to(device)
        if self.head is None:
            yield model(**inputs).logits[places]
            return
        few = 2 * len(packed.lines) < packed.ids.numel()
        with only_at(self.last_block, places) if few and self.last_block is not None else nullcontext():
            states = trunk_states(model, inputs)[places]
        step = max(1, CHUNK_BYTES // (4 * model.config.get_text_config().vocab_size))
        for begin in range(0, len(states), step):
            yield self.head(model, states[begin : begin + step])


def likeliest(logits: torch.Tensor, top: torch.Tensor, places: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Whether each target has the highest logit of its place, ``top``, and is the lowest of those that have it.

    On a CPU it is the search for where the highest is that costs; so only where a target has it.
    """
    if logits.is_cuda:  # which would have to wait for the answer
        return logits.argmax(dim=1)[places] == targets
    found = logits[places, targets] == top[places]
    (which,) = found.nonzero(as_tuple=True)
    found[which] = logits[places[which]].argmax(dim=1) == targets[which]
    return found
