"""The engine of a tuned model's head: the same plan, journal and results as of any other, a query an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from gpteval.backends.query_plan import Plan
from gpteval.core.errors import UsageError
from gpteval.core.types import Prompt
from gpteval.engine.engine import Engine
from gpteval.models.loader import HFModel
from gpteval.prompts.build import TaskData
from gpteval.tokens.encode import Encoded
from gpteval.tokens.queries import ENGINE_VERSION, Query, QueryResult, Tokens
from gpteval.tune.saved import trained_items
from gpteval.tune.tuned_info import HEAD, Tuned

PROTOCOL = "finetune"


@dataclass(frozen=True, slots=True)
class HeadQuery:
    """An answer of an item: class ``answer`` of its one sequence, or that one of its several."""

    sequences: tuple[Tokens, ...]
    answer: int

    @property
    def length(self) -> int:
        """Tokens that are read for all answers of the item together, borne by the first."""
        return 0 if self.answer else sum(map(len, self.sequences))

    @property
    def written(self) -> int:
        return 0

    def key(self, model_key: str) -> bytes:
        """The kind has the name that it has in journals."""
        head = json.dumps([ENGINE_VERSION, model_key, "HeadRow", self.answer, list(map(len, self.sequences))])
        content = b"".join(one.tobytes() for one in self.sequences)
        return hashlib.blake2b(head.encode() + b"\0" + content, digest_size=16).digest()


def by_prediction(data: TaskData) -> TaskData:
    """The task with the metrics that look at the chosen answer alone: a head gives no likelihood of a text."""
    return replace(data, task=data.task.by_choice())


class TunedEngine(Engine):
    """The engine of ``model``, a folder that ``tuned`` describes, for the task that it was tuned for."""

    protocol = PROTOCOL

    def __init__(self, model: HFModel, tuned: Tuned, *, batch_tokens: int | None = None) -> None:
        super().__init__(model, batch_tokens=batch_tokens)
        self.tuned = tuned
        self.folder = Path(model.info.location)

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        """Raises UsageError where the model was trained on one of the items, else what an engine's plan raises."""
        seen = trained_items(self.folder)
        if known := [prompt.item_id for prompt in prompts if prompt.item_id in seen]:
            raise UsageError(
                f"model {self.model.info.name} was trained on {len(known)} of these {len(prompts)} items, the first "
                f"{known[0]}: it has learned their answers",
                "evaluate it on a split that it has not seen",
            )
        return self.planned(prompts)

    def planned(self, prompts: Sequence[Prompt]) -> Plan:
        return super().plan(prompts)

    def notes(self) -> list[str]:
        return [*super().notes(), self.tuned.note]


class HeadEngine(TunedEngine):
    """Asks the head for each item's answers.

    A score is the logarithm of the probability that the head gives an answer among the item's.
    """

    def adapted(self, data: TaskData) -> TaskData:
        return by_prediction(data)

    def planned(self, prompts: Sequence[Prompt]) -> Plan:
        """A query an answer. Raises TaskError where the answers are not those that it was tuned for."""
        encoded: list[Encoded] = []
        keys: list[tuple[bytes, ...]] = []
        queries: dict[bytes, Query] = {}
        for prompt in prompts:
            sequences, cut = self.tuned.form.sequences(prompt, self.model.codec)
            count = len(self.tuned.classes) or len(sequences)
            own = tuple(HeadQuery(sequences, answer) for answer in range(count))
            encoded.append(Encoded(prompt.request, own, tokens_cut=cut))
            keys.append(tuple(query.key(self.model.key) for query in own))
            queries.update(zip(keys[-1], own, strict=True))
        return Plan(encoded, keys, queries)

    def batches(self, queries: Mapping[bytes, Query]) -> Iterator[list[bytes]]:
        """Whole items, longest first; padded, they stay within the budget."""
        items: dict[tuple[Any, ...], list[bytes]] = {}
        for key, query in queries.items():
            items.setdefault(cast(Any, query).sequences, []).append(key)
        batch: list[bytes] = []
        lines = longest = 0
        for sequences in sorted(items, key=lambda one: (-max(map(len, one)), one)):
            if batch and (lines + len(sequences)) * longest > self.budget:
                yield batch
                batch, lines = [], 0
            longest = longest if batch else max(map(len, sequences))
            lines += len(sequences)
            batch += items[sequences]
        if batch:
            yield batch

    def begin(self, queries: Sequence[Query]) -> Callable[[], list[QueryResult]]:
        """All queries of one batch; answers of an item are read once."""
        import torch

        from gpteval.engine.score import NOT_FINITE
        from gpteval.tune.head_model import Batch

        asked = cast(Any, queries)
        items = list(dict.fromkeys(query.sequences for query in asked))
        batch, device = Batch.of(items), self.model.module.device
        with torch.inference_mode():
            logits = self.module(batch.ids.to(device), batch.mask.to(device), batch.owners.to(device))["logits"]
            logprobs = torch.log_softmax(logits.double().cpu(), dim=1)
        best = logprobs.argmax(dim=1).tolist()
        place = {sequences: number for number, sequences in enumerate(items)}
        results = []
        for query in asked:
            number = place[query.sequences]
            value = float(logprobs[number, query.answer])
            broken = not torch.isfinite(logprobs[number, query.answer])
            results.append(
                QueryResult(
                    tokens=1,
                    logprob=0.0 if broken else value,
                    greedy=best[number] == query.answer,
                    error=NOT_FINITE if broken else "",
                    processed=query.length,
                )
            )
        return lambda: results

    @cached_property
    def module(self) -> Any:
        """The ``TunedModel`` in evaluation mode."""
        from safetensors.torch import load_file

        from gpteval.tune.added import added
        from gpteval.tune.head_model import TunedModel

        causal = self.model.module
        module = TunedModel(causal, self.tuned.form, added(causal, self.tuned.method, self.tuned.settings["size"]))
        found = load_file(self.folder / HEAD)
        own = {name for name in module.state_dict() if not name.startswith("causal.")}
        if missing := sorted(own - set(found)):
            raise UsageError(f"{self.folder.name}: {HEAD} lacks {', '.join(missing)}", "tune the model again")
        if over := sorted(set(found) - own):
            raise UsageError(f"{self.folder.name}: {HEAD} has {', '.join(over)} besides", "tune the model again")
        module.load_state_dict(found, strict=False)
        return module.to(causal.device).eval()
