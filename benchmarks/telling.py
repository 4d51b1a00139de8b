"""At how many items each metric tells a model from a copy of it with noise in its weights.

    GPTEVAL_DATA=... python benchmarks/telling.py FOLDER [--noise 0.05] [--tasks piqa,arc_easy] [--limit 1000]

FOLDER holds a model that has read something, such as ``benchmarks/real_model.py`` is given. A copy of it gets normal
noise, of so much of each matrix' own standard deviation. Both are run; then so many items are drawn again and again,
and the paired test of each metric is asked whether it sees a difference (p < 0.05). The table has the share of draws
in which it does, and the fewest items at which that are 80 of 100. Of texts the divergence of ``compare --kl`` is told
beside. The last line is JSON. On two cores 270M parameters on 1,000 items of two tasks take ten minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gpteval import evaluate
from gpteval.comparison.answers import Answers
from gpteval.comparison.compare import load
from gpteval.comparison.divergence import divergences
from gpteval.comparison.pairing import PairedAnswers
from gpteval.stats.significance import ALPHA, POWER

METRICS = ("bpb", "prob", "log_odds", "brier", "log_loss")
SIZES = (25, 50, 100, 200, 400, 800, 1600)
DRAWS = 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--noise", type=float, default=0.05, help="of a matrix' standard deviation")
    parser.add_argument("--tasks", default="piqa,arc_easy")
    parser.add_argument("--texts", default="", help="a task that scores texts, for the divergence")
    parser.add_argument("--pages", type=int, default=10, help="texts")
    parser.add_argument("--limit", type=int, default=1000, help="items a task")
    parser.add_argument("--out", type=Path, default=Path("runs/telling"))
    asked = parser.parse_args()
    damaged = asked.out / f"noise-{asked.noise:g}"
    _damage(asked.folder, damaged, asked.noise)
    models = [str(asked.folder), str(damaged)]
    tasks = asked.tasks.split(",")
    outcome = evaluate(
        models, tasks, limit=asked.limit, metrics=METRICS, shots=0, out=asked.out / "run", dtype="float32"
    )
    for failure in outcome.failures:
        print(f"{failure.task} was not run: {failure.error.splitlines()[0]}", file=sys.stderr)
    found = []
    print(f"{'task':<12} {'metric':<10} {'whole':>8} {'damaged':>8} {'items':>6}  seen at {', '.join(map(str, SIZES))}")
    for task in tasks:
        for name in (None, *METRICS):
            both = [one for one in load(str(asked.out / "run"), name) if one.base == task]
            if len(both) == 2:
                found.append(_row(both))
    if asked.texts:
        texts = evaluate(
            models, asked.texts, limit=asked.limit, top_logprobs=50, out=asked.out / "texts", dtype="float32"
        )
        for one in divergences(str(texts.folder), baseline=asked.folder.name).pairs:
            same = f"the same likeliest token at {100 * one.same.value:.1f} %"
            kl = f"{one.kl.value:.4g} ({one.kl.ci_low:.4g} to {one.kl.ci_high:.4g})"
            print(f"{one.task}: KL {kl} nats over {one.tokens:,} tokens, {same}")
            found.append(asdict(one))
    print(json.dumps(found))
    return int(bool(outcome.failures))


def _damage(whole: Path, damaged: Path, share: float) -> None:
    """Made once. Vectors (norms, biases) stay as they are."""
    if (damaged / "config.json").exists():
        return
    import torch
    from transformers import AutoModelForCausalLM

    shutil.copytree(whole, damaged, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors*", "*.bin*"))
    model = AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32)
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights += share * weights.std() * torch.randn_like(weights)
    model.save_pretrained(damaged)


def _row(both: Sequence[Answers]) -> dict[str, object]:
    """By one metric: both values, and how often the paired test sees a difference at each number of items."""
    paired = PairedAnswers(both, common=False, force=False, seed=0, draws=0)
    a, b = both
    values = [float(one.metric.value(one.stats.sum(axis=0))) for one in both]
    draw = np.random.default_rng(0)
    seen: dict[int, float] = {}
    for size in SIZES:
        if size <= len(a.ids):
            told = 0
            for _ in range(DRAWS):
                mask = np.zeros(len(a.ids), dtype=bool)
                mask[draw.choice(len(a.ids), size, replace=False)] = True
                told += paired.evidence(a, b, mask, mask).p < ALPHA
            seen[size] = told / DRAWS
    enough = next((size for size, share in seen.items() if share >= POWER), None)
    shares = "  ".join(f"{100 * share:3.0f}" for share in seen.values())
    print(
        f"{a.base:<12} {a.metric.name:<10} {values[0]:>8.4f} {values[1]:>8.4f} {enough or 'more':>6}  {shares}",
        flush=True,
    )
    return {"task": a.base, "metric": a.metric.name, "values": values, "items": enough, "seen": seen}


if __name__ == "__main__":
    sys.exit(main())
