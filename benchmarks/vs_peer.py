"""gpteval against lm-evaluation-harness: the same requests through both, in turn, on the same model.

    GPTEVAL_DATA=... python benchmarks/vs_peer.py --tokenizer FOLDER

installs the peer into an environment of its own (runs/peer), makes a model of GPT-2's 124M shape with random
weights and the tokenizer of FOLDER (or takes --model), and for each workload checks that log-likelihoods, greedy
flags and texts agree before it prints any time. Seconds are those in the loop: tokenising and computing, without
loading. The peer runs at the best of --peer-batches. The last line is JSON. Exit code 1 when something differs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gpteval.core.prompts import build_prompts, load_task
from gpteval.core.registry import task_registry
from gpteval.core.types import Choice, Generate, Generated, Prompt, Rolled, Scored
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions

PEER = "lm_eval==0.4.13"
HERE = Path(__file__).parent
NEVER = "\n\n\n\n\n"  # a stop string that random weights do not write


@dataclass(frozen=True)
class Workload:
    name: str
    task: str
    shots: int
    items: int
    bar: float
    mode: Any = "per-item"


WORKLOADS = (
    Workload("4 choices, 5 shots an item (ARC-Easy)", "arc_easy", 5, 24, 5.0),
    Workload("2 choices, 0 shots (PIQA)", "piqa", 0, 48, 2.0),
    Workload("one-token classes, 5 shots an item (SST-2)", "sst2", 5, 48, 2.4),
    Workload("one-token classes, 5 fixed shots (SST-2)", "sst2", 5, 48, 8.0, "fixed"),
    Workload("last word (LAMBADA)", "lambada_openai", 0, 64, 1.7),
    Workload("48 new tokens (DialogSum TL;DR:)", "dialogsum", 0, 16, 2.5),
    Workload("rolling perplexity (WikiText-2)", "wikitext2", 0, 3, 1.1),
)


def peer_python(folder: Path) -> Path:
    """An environment with the peer, which sees this one's torch and transformers."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        inside = next(folder.glob("lib/python*/site-packages"))
        (inside / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([str(python), "-m", "pip", "install", "-q", PEER], check=True)
    return python


def random_gpt2(folder: Path, tokenizer: str) -> Path:
    """GPT-2's 124M shape with random weights, some of them large, so that answers differ."""
    import transformers

    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        words = transformers.GPT2Tokenizer.from_pretrained(tokenizer)
        model = transformers.AutoModelForCausalLM.from_config(transformers.GPT2Config(vocab_size=len(words)))
        model.save_pretrained(folder)
        words.save_pretrained(folder)
    return folder


class Peer:
    def __init__(self, python: Path, model: str, device: str, dtype: str) -> None:
        command = [str(python), str(HERE / "peer_worker.py"), model, device, str(torch.get_num_threads()), dtype]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )

    def run(self, kind: str, requests: list[Any], batch_size: int) -> tuple[float, list[Any]]:
        assert self.process.stdin
        assert self.process.stdout
        asked = {"kind": kind, "requests": requests, "batch_size": batch_size}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the peer ended; its last words are above")
        answer = json.loads(line)
        return answer["seconds"], answer["results"]


def requests_of(prompts: list[Prompt]) -> tuple[str, list[Any]]:
    """The same for the peer: its name of the kind, and the arguments."""
    first = prompts[0].request
    if isinstance(first, Choice):
        pairs = [(p.text(), c) for p in prompts for c in p.request.continuations]  # type: ignore[union-attr]
        return "loglikelihood", pairs
    if isinstance(first, Generate):
        settings = {"until": [NEVER], "max_gen_toks": first.max_new_tokens, "do_sample": False}
        return "generate_until", [(p.text(), settings) for p in prompts]
    return "loglikelihood_rolling", [(p.request.text,) for p in prompts]  # type: ignore[union-attr]


def difference(outcomes: list[Any], results: list[Any]) -> float:
    """The largest difference of log-likelihoods, relative for whole texts. Exits when greedy flags or texts differ."""
    theirs = iter(results)
    worst = 0.0
    for outcome in outcomes:
        if isinstance(outcome, Scored):
            for score in outcome.scores:
                logprob, greedy = next(theirs)
                worst = max(worst, abs(score.logprob - logprob))
                if score.greedy is not greedy:
                    sys.exit("a greedy flag differs")
        elif isinstance(outcome, Generated):
            if outcome.text != (text := next(theirs)):
                sys.exit(f"a text differs: {outcome.text!r}, the peer: {text!r}")
        else:
            assert isinstance(outcome, Rolled)
            logprob = next(theirs)
            worst = max(worst, abs(outcome.logprob - logprob) / abs(logprob))
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", help="folder of GPT-2's tokenizer, for the model of random weights")
    parser.add_argument("--model", help="a model's name or folder instead")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer items")
    parser.add_argument("--peer-batches", default="4,8,16")
    parser.add_argument("--only", default="", help="a part of the workloads' names")
    parser.add_argument("--folder", type=Path, default=Path("runs/peer"))
    asked = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if not (asked.model or asked.tokenizer):
        parser.error("--tokenizer or --model is needed")
    location = asked.model or str(random_gpt2(asked.folder / "gpt2-random", asked.tokenizer))
    (info,) = resolve_models([location])
    model = HFModel(info, LoadOptions(device=asked.device, dtype=asked.dtype))
    engine = Engine(model)
    peer = Peer(peer_python(asked.folder / "env"), info.location, asked.device, asked.dtype)
    rows = []
    print(f"{'workload':<44} {'items':>5} {'peer s':>8} {'at':>3} {'ours s':>8} {'ratio':>6} {'bar':>5} {'differ':>8}")
    for load in WORKLOADS:
        if asked.only not in load.name:
            continue
        items = max(1, round(load.items * asked.scale))
        data = load_task(task_registry()[load.task], shots=load.shots, limit=items)
        prompts = build_prompts(data, shots=load.shots, mode=load.mode)
        prompts = [
            replace(p, request=replace(p.request, stop=(NEVER,), max_new_tokens=48))
            if isinstance(p.request, Generate)
            else p
            for p in prompts
        ]
        kind, requests = requests_of(prompts)
        outcomes = engine.run(prompts)
        sizes = [int(size) for size in asked.peer_batches.split(",")]
        tried = {size: peer.run(kind, requests, size) for size in sizes}
        size = min(tried, key=lambda one: tried[one][0])
        worst = difference(outcomes, tried[size][1])
        ratios, ours, theirs = [], [], []
        for _ in range(asked.rounds):
            theirs.append(peer.run(kind, requests, size)[0])
            begin = time.perf_counter()
            engine.run(prompts)
            ours.append(time.perf_counter() - begin)
            ratios.append(theirs[-1] / ours[-1])
        row = {
            "workload": load.name,
            "items": items,
            "peer_s": statistics.median(theirs),
            "peer_batch": size,
            "ours_s": statistics.median(ours),
            "ratio": statistics.median(ratios),
            "bar": load.bar,
            "difference": worst,
        }
        rows.append(row)
        print(
            f"{load.name:<44} {items:>5} {row['peer_s']:>8.2f} {size:>3} {row['ours_s']:>8.2f} "
            f"{row['ratio']:>6.2f} {load.bar:>5.1f} {worst:>8.1e}",
            flush=True,
        )
    print(json.dumps({"model": info.name, "device": asked.device, "dtype": asked.dtype, "rows": rows}))
    return 0 if all(row["difference"] < 1e-4 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
