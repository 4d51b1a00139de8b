"""gpteval under --profile lm-eval against lm-evaluation-harness itself: prompts, log-likelihoods, metrics.

    GPTEVAL_DATA=... python benchmarks/parity.py --models gpt2-nano,gpt3-nano --limit 50

installs the peer into an environment of its own (runs/peer), and runs every task that both have, that the profile
covers, and whose data are in GPTEVAL_DATA, with 0 and 5 examples, in float32 on a CPU. Prompts must be identical,
log-likelihoods agree within 1e-4 (absolute or relative), texts be equal and metrics agree within 1e-6, perplexities
by their logarithm (the mean log-likelihood, of which the peer's is a sum of float32 numbers). The last line is JSON.
Exit code 1 when something differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from vs_peer import peer_python

from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Generated, Outcome, Rolled, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.data.sources import HubSource, local_copy
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.prompts.build import build_prompts, load_task
from gpteval.run.records import make_records, task_metrics
from gpteval.tasks.profiles import LM_EVAL
from gpteval.tasks.registry import task_registry
from gpteval.tasks.task import Task

# The peer's name of a task where it is another one.
NAMES = {"wikitext2": "wikitext", "lambada_cloze": "lambada_openai_cloze_yaml", "mnli_mismatched": "mnli_mismatch"}
NAMES |= {f"unscramble_{name}": name for name in ("anagrams1", "anagrams2", "cycle_letters", "random_insertion")}
NAMES |= {"unscramble_reversed_words": "reversed_words"}
# The peer's metrics by ours, where the task has both.
METRICS = {
    "acc": "acc",
    "acc_char": "acc_norm",
    "mcc": "mcc",
    "acc_greedy": "acc",
    "target_perplexity": "perplexity",
    "exact_match": "exact_match",
    "any_greedy": "exact_match",
    "exact_match_bare": "exact_match",
    "exact_match_verbatim": "exact_match",
    "word_perplexity": "word_perplexity",
    "byte_perplexity": "byte_perplexity",
    "bits_per_byte": "bits_per_byte",
}
SPLITS = ("train", "validation", "test")


class PeerError(Exception):
    """The peer cannot run this task."""


class Peer:
    def __init__(self, python: Path, model: str) -> None:
        worker = Path(__file__).with_name("parity_worker.py")
        command = [str(python), str(worker), model, str(torch.get_num_threads())]
        quiet = subprocess.DEVNULL if not os.environ.get("PARITY_LOUD") else None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=quiet)

    def run(self, task: str, files: dict[str, str], shots: int, limit: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        document = {"task": task, "files": files, "shots": shots, "limit": limit}
        print(json.dumps(document), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the peer failed on {task}; PARITY_LOUD=1 shows why")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise PeerError(found["error"])
        return found


def files_of(task: Task) -> dict[str, str]:
    """The local files of a task's splits, by name."""
    source = task.source
    if not isinstance(source, HubSource):
        return {}
    found = {split: local_copy(source.dataset, source.config, split) for split in {*SPLITS, source.split}}
    return {split: str(path) for split, path in found.items() if path} if found[source.split] else {}


def differences(prompt: Prompt, outcome: Outcome, theirs: dict[str, Any]) -> tuple[bool, float]:
    """Whether the prompts are the same, and the largest difference of log-likelihoods; inf for different texts."""
    request, text = prompt.request, prompt.text()
    if isinstance(request, Choice) and isinstance(outcome, Scored):
        leads = request.leads or [""] * len(request.continuations)
        ours = [[text + lead, after] for lead, after in zip(leads, request.continuations, strict=True)]
        worst = 0.0
        for score, answer in zip(outcome.scores, theirs["resps"], strict=True):
            (logprob, _) = answer[0]
            gap = abs(score.logprob - float(logprob))
            worst = max(worst, min(gap, gap / abs(float(logprob))))
        return [list(pair) for pair in theirs["arguments"]] == ours, worst
    if isinstance(request, Rolling) and isinstance(outcome, Rolled):
        logprob = float(theirs["resps"][0][0])
        gap = abs(outcome.logprob - logprob)
        return theirs["arguments"][0][0] == request.text, min(gap, gap / abs(logprob))
    if isinstance(request, Generate) and isinstance(outcome, Generated):
        same = outcome.text == theirs["resps"][0][0]
        return theirs["arguments"][0][0] == text, 0.0 if same else float("inf")
    raise TypeError(f"{type(outcome).__name__} for {type(request).__name__}")


def compare(task: Task, engine: Engine, peer: Peer, shots: int, limit: int) -> dict[str, Any]:
    data = load_task(task, shots=shots, limit=limit)
    prompts = build_prompts(data, shots=shots)
    theirs = peer.run(NAMES.get(task.name, task.name), files_of(task), shots, limit)
    outcomes = engine.run(prompts)
    found = [differences(p, o, s) for p, o, s in zip(prompts, outcomes, theirs["samples"], strict=True)]
    metrics = task_metrics(data, prompts)
    records = make_records(prompts, outcomes, metrics)
    gap = 0.0
    compared = []
    for metric in metrics:
        value = next((v for k, v in theirs["results"].items() if k.split(",")[0] == METRICS.get(metric.name)), None)
        if value is not None and np.isfinite(value):
            ours = float(metric.value(np.sum([r.stats[metric.name] for r in records], axis=0)))
            if metric.by_ratio:
                ours, value = np.log(ours) / np.log(value), 1.0
            gap = max(gap, abs(ours - value))
            compared.append(metric.name)
    return {
        "task": task.name,
        "shots": shots,
        "items": len(prompts),
        "other_prompts": sum(not same for same, _ in found),
        "logprob": max(gap for _, gap in found),
        "metric": gap,
        "metrics": compared,
    }


def covered(names: Sequence[str]) -> list[Task]:
    """The tasks of the profile whose data are here."""
    asked = [task_registry()[name] for name in names] if names else task_registry().values()
    found = [task.under(LM_EVAL) for task in asked]
    return [task for task in found if task is not None and files_of(task)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="gpt2-nano,gpt3-nano")
    parser.add_argument("--tasks", default="", help="names; default: all that can be compared")
    parser.add_argument("--shots", default="0,5")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=Path("runs/peer"))
    asked = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    tasks = covered([name for name in asked.tasks.split(",") if name])
    rows = []
    print(f"{'model':<12} {'task':<28} {'shots':>5} {'items':>5} {'prompts':>8} {'logprob':>9} {'metric':>9}")
    for info in resolve_models(asked.models.split(",")):
        engine = Engine(HFModel(info, LoadOptions(device="cpu", dtype="float32")), as_lm_eval=True)
        peer = Peer(peer_python(asked.folder / "env"), info.location)
        for task in tasks:
            for shots in map(int, asked.shots.split(",")):
                try:
                    row = compare(task, engine, peer, shots, asked.limit)
                except (GptevalError, PeerError) as error:
                    whose = "the peer" if isinstance(error, PeerError) else "gpteval"
                    print(f"{info.name:<12} {task.name:<28} {shots:>5} not run by {whose}: {error}", flush=True)
                    continue
                rows.append({"model": info.name} | row)
                fine = not row["other_prompts"] and row["logprob"] <= 1e-4 and row["metric"] <= 1e-6
                print(
                    f"{info.name:<12} {task.name:<28} {shots:>5} {row['items']:>5} "
                    f"{'same' if not row['other_prompts'] else row['other_prompts']:>8} {row['logprob']:>9.1e} "
                    f"{row['metric']:>9.1e}{'' if fine else '  DIFFERS'}",
                    flush=True,
                )
        peer.process.terminate()
    print(json.dumps(rows))
    return int(any(r["other_prompts"] or r["logprob"] > 1e-4 or r["metric"] > 1e-6 for r in rows))


if __name__ == "__main__":
    sys.exit(main())
