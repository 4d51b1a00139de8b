"""The engine against the naive loop, side by side in one run: ``make bench``.

Both score the same choices and continue the same prompts with the same embedded model; their
results must agree before any time is printed. The rounds alternate, and the median of their ratios
is reported. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from gpteval.core.prompts import build_prompts, load_task
from gpteval.core.registry import task_registry
from gpteval.core.types import Choice, Generate, Generated, Prompt, Scored
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions


@torch.inference_mode()
def naive_choices(model: HFModel, prompts: list[Prompt]) -> list[list[float]]:
    """One forward a continuation, every logit."""
    scores = []
    for prompt in prompts:
        assert isinstance(prompt.request, Choice)
        context = model.codec.encode([prompt.text()])[0]
        row = []
        for continuation in prompt.request.continuations:
            ids = model.codec.encode([prompt.text() + continuation])[0]
            logits = model.module(input_ids=torch.tensor([ids[:-1]], device=model.device)).logits[0].float()
            chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(ids[1:], device=model.device)[:, None])
            row.append(float(chosen[len(context) - 1 :].sum()))
        scores.append(row)
    return scores


@torch.inference_mode()
def naive_texts(model: HFModel, prompts: list[Prompt]) -> list[str]:
    """One prompt after the other with transformers' own generate."""
    texts = []
    for prompt in prompts:
        assert isinstance(prompt.request, Generate)
        ids = torch.tensor(model.codec.encode([prompt.text()]), device=model.device)
        out = model.module.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=prompt.request.max_new_tokens,
            stop_strings=list(model.codec.stops(prompt.request.stop)),
            tokenizer=model.codec.tokenizer,
            pad_token_id=0,
        )
        text = model.codec.decode(out[0, ids.shape[1] :].tolist())
        cuts = [text.find(stop) for stop in model.codec.stops(prompt.request.stop) if stop in text]
        texts.append(text[: min(cuts)] if cuts else text)
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gpt2-nano")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    model = HFModel(resolve_models([asked.model])[0], LoadOptions())
    engine = Engine(model)
    figures = {}
    for task, shots in (("nano_topic", 0), ("nano_topic", 3), ("nano_en_fr", 0)):
        data = load_task(task_registry()[task], shots=shots, limit=asked.items)
        prompts = build_prompts(data, shots=shots)
        choices = isinstance(prompts[0].request, Choice)
        slow_way = naive_choices if choices else naive_texts
        agree(slow_way(model, prompts), engine.run(prompts))
        ratios, best = [], float("inf")
        for _ in range(asked.rounds):
            slow = seconds(slow_way, model, prompts)
            fast = seconds(engine.run, prompts)
            ratios.append(slow / fast)
            best = min(best, fast)
        name = f"{task} {shots}-shot"
        ratio = round(statistics.median(ratios), 2)
        figures[name] = {"engine_s": round(best, 3), "naive_over_engine": ratio}
        print(f"{name:<22} {asked.items} items  engine {best:6.2f} s  naive / engine {ratio:5.2f}")
    print(json.dumps({"model": asked.model, "device": model.device, "items": asked.items, "figures": figures}))


def agree(naive: object, outcomes: object) -> None:
    """Raise when the two computations differ."""
    for expected, outcome in zip(naive, outcomes, strict=True):  # type: ignore[call-overload]
        if isinstance(outcome, Scored):
            assert max(abs(a - b.logprob) for a, b in zip(expected, outcome.scores, strict=True)) < 1e-4
        else:
            assert isinstance(outcome, Generated)
            assert outcome.text == expected


def seconds(work: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
