"""gpteval against lm-evaluation-harness: the same requests through both, in turn, on the same model.

    GPTEVAL_DATA=... python benchmarks/vs_peer.py --tokenizer FOLDER

installs the peer into an environment of its own (runs/peer), makes a model of GPT-2's 124M shape with random
weights and the tokenizer of FOLDER (or takes --model), and for each workload checks that log-likelihoods, greedy
flags and texts agree before it prints any time. In half precision they cannot: there the log-likelihoods of both are
held against gpteval's in float32, ours must not be further from it than the peer's, and greedy flags and texts are not
compared. Seconds are those in the loop: tokenising
and computing, without loading. The peer runs at the best of --peer-batches. Two rows have another opponent or another
clock: GPT-1's generation (with --gpt1-tokenizer, on a CPU) runs against itself without gpteval's key-value cache, as
transformers has it; and start-up is a whole command that scores one item, from the shell and back. The floor is the
time of the unique tokens at the device's own rates (``gpteval bench``). The last line is JSON. Exit code 1 when
something differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gpteval.core.outcomes import Generated, Rolled, Scored
from gpteval.core.types import Choice, Generate, Prompt
from gpteval.engine import generate
from gpteval.engine.bench import rates
from gpteval.engine.engine import Engine
from gpteval.engine.floor import Shape, floor_seconds
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.prompts.build import build_prompts, load_task
from gpteval.tasks.registry import task_registry

PEER = "lm_eval==0.4.13"
HERE = Path(__file__).parent
PEER_TASK = """
task: piqa_file
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {file}}}}}
validation_split: validation
output_type: multiple_choice
doc_to_text: "Question: {{{{goal}}}}\\nAnswer:"
doc_to_target: label
doc_to_choice: "{{{{[sol1, sol2]}}}}"
metric_list: [{{metric: acc}}]
"""
NEVER = "\n\n\n\n\n"  # a stop string that random weights do not write


@dataclass(frozen=True)
class Workload:
    """``least``: the ratio that must be reached; ``aim``: the one that is hoped for."""

    name: str
    task: str
    shots: int
    items: int
    least: float
    aim: float
    mode: Any = "per-item"


WORKLOADS = (
    Workload("4 choices, 5 shots an item (ARC-Easy)", "arc_easy", 5, 24, 4, 5),
    Workload("2 choices, 0 shots (PIQA)", "piqa", 0, 48, 1.6, 2),
    Workload("one-token classes, 5 shots an item (SST-2)", "sst2", 5, 48, 2, 2.4),
    Workload("one-token classes, 5 fixed shots (SST-2)", "sst2", 5, 48, 8, 12, "fixed"),
    Workload("last word (LAMBADA)", "lambada_openai", 0, 64, 1.4, 1.7),
    Workload("48 new tokens (DialogSum TL;DR:)", "dialogsum", 0, 16, 1.4, 2),
    Workload("rolling perplexity (WikiText-2)", "wikitext2", 0, 3, 1.2, 1.3),
)
GPT1 = Workload("16 new tokens, GPT-1 (DialogSum TL;DR:)", "dialogsum", 0, 4, 8, 15)
START = Workload("start-up, one item (PIQA)", "piqa", 0, 1, 2, 4)


def peer_python(folder: Path) -> Path:
    """An environment with the peer, which sees this one's torch and transformers."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        inside = next(folder.glob("lib/python*/site-packages"))
        (inside / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([str(python), "-m", "pip", "install", "-q", PEER], check=True)
    return python


def random_model(folder: Path, kind: str, tokenizer: str, device: str = "cpu") -> Path:
    """The shape of GPT-1 ("openai-gpt"), of GPT-2's 124M ("gpt2") or 1.5B ("gpt2-xl") with random weights."""
    import transformers

    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        shape = {"n_embd": 1600, "n_layer": 48, "n_head": 25} if kind == "gpt2-xl" else {}
        kind = kind.removesuffix("-xl")
        kinds = {"gpt2": transformers.GPT2Tokenizer, "openai-gpt": transformers.OpenAIGPTTokenizer}
        words = kinds[kind].from_pretrained(tokenizer)
        config = transformers.AutoConfig.for_model(kind, vocab_size=len(words), **shape)
        with torch.device(device):
            model = transformers.AutoModelForCausalLM.from_config(config)
        if shape:
            model = model.to(torch.bfloat16)
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


def spread(outcomes: list[Any], exact: list[Any]) -> float:
    """The root of the mean squared difference of log-likelihoods from exact ones, relative for whole texts."""
    found = []
    for outcome, right in zip(outcomes, exact, strict=True):
        if isinstance(right, Scored):
            scores = [s.logprob for s in outcome.scores] if isinstance(outcome, Scored) else outcome
            found += [a - b.logprob for a, b in zip(scores, right.scores, strict=True)]
        elif isinstance(right, Rolled):
            logprob = outcome.logprob if isinstance(outcome, Rolled) else outcome
            found.append((logprob - right.logprob) / right.logprob)
    return math.sqrt(sum(one**2 for one in found) / len(found)) if found else 0.0


def grouped(prompts: list[Prompt], results: list[Any]) -> list[Any]:
    """The peer's results by prompt, as ``spread`` takes them: log-likelihoods of all choices, or one of a text."""
    left = iter(results)
    return [
        [next(left)[0] for _ in prompt.request.continuations] if isinstance(prompt.request, Choice) else next(left)
        for prompt in prompts
    ]


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


def prompts_of(load: Workload, items: int, new_tokens: int) -> list[Prompt]:
    data = load_task(task_registry()[load.task], shots=load.shots, limit=items)
    return [
        replace(p, request=replace(p.request, stop=(NEVER,), max_new_tokens=new_tokens))
        if isinstance(p.request, Generate)
        else p
        for p in build_prompts(data, shots=load.shots, mode=load.mode)
    ]


def timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def row_of(load: Workload, theirs: list[float], ours: list[float], difference: float, **more: Any) -> dict[str, Any]:
    """A row of the table, printed: medians of seconds, the median of the ratios of pairs."""
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    row = {"workload": load.name, "peer_s": statistics.median(theirs), "ours_s": statistics.median(ours)}
    row |= {"ratio": ratio, "least": load.least, "aim": load.aim, "difference": difference} | more
    print(
        f"{load.name:<44} {more.get('items', 1):>5} {row['peer_s']:>8.2f} {more.get('peer_batch', ''):>3} "
        f"{row['ours_s']:>8.2f} {ratio:>6.2f} {load.least:>5.1f} {load.aim:>5.1f} {difference:>8.1e} "
        f"{more.get('peer_difference', 0.0):>8.1e} {more.get('floor_s', 0.0):>7.2f}",
        flush=True,
    )
    return row


def against_peer(
    load: Workload, asked: argparse.Namespace, engine: Engine, exact: Engine | None, peer: Peer
) -> dict[str, Any]:
    """``exact``: the same model in float32, where ``engine``'s is in half precision."""
    items = max(1, round(load.items * asked.scale))
    prompts = prompts_of(load, items, 48)
    kind, requests = requests_of(prompts)
    outcomes = engine.run(prompts)
    sizes = [int(size) for size in asked.peer_batches.split(",")]
    tried = {size: peer.run(kind, requests, size) for size in sizes}
    size = min(tried, key=lambda one: tried[one][0])
    more: dict[str, Any] = {"items": len(prompts), "peer_batch": size}
    if exact is None:
        worst = difference(outcomes, tried[size][1])
    elif kind == "generate_until":
        worst = 0.0
    else:
        right = exact.run(prompts)
        worst = spread(outcomes, right)
        more["peer_difference"] = spread(grouped(prompts, tried[size][1]), right)
    more["floor_s"] = floor_seconds(list(engine.plan(prompts).queries.values()), asked.shape, asked.rates)
    theirs, ours = [], []
    for _ in range(asked.rounds):
        theirs.append(peer.run(kind, requests, size)[0])
        ours.append(timed(lambda: engine.run(prompts)))
    return row_of(load, theirs, ours, worst, **more)


def against_no_cache(asked: argparse.Namespace) -> dict[str, Any]:
    """GPT-1 with gpteval's cache, and as transformers has it: all tokens again, and all their logits, at each step."""
    (info,) = resolve_models([str(random_model(asked.folder / "gpt1-random", "openai-gpt", asked.gpt1_tokenizer))])
    engine = Engine(HFModel(info, LoadOptions(device=asked.device, dtype=asked.dtype)))
    prompts = prompts_of(GPT1, GPT1.items, 16)
    outcomes = engine.run(prompts)
    ours = [timed(lambda: engine.run(prompts)) for _ in range(asked.rounds)]
    cached, generate.CachedGPT1 = generate.CachedGPT1, lambda model: model  # type: ignore[assignment,misc]
    try:
        begin = time.perf_counter()
        plain = engine.run(prompts)
        theirs = [time.perf_counter() - begin]
    finally:
        generate.CachedGPT1 = cached  # type: ignore[misc]
    if [o.text for o in plain] != [o.text for o in outcomes]:  # type: ignore[union-attr]
        sys.exit("a text of GPT-1 differs")
    return row_of(GPT1, theirs * asked.rounds, ours, 0.0, items=GPT1.items)


def against_start(asked: argparse.Namespace, model: str, python: Path) -> dict[str, Any]:
    """``gpteval run`` and ``lm_eval``, each with a model's folder, a task in a file, and one item."""
    env = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    file = Path(os.environ["GPTEVAL_DATA"], "baber/piqa/default/validation.jsonl").absolute()
    theirs, ours = [], []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            tasks = Path(folder, "tasks")
            tasks.mkdir()
            (tasks / "piqa_file.yaml").write_text(PEER_TASK.format(file=file))
            peer = [str(python), "-m", "lm_eval", "--model", "hf", "--tasks", "piqa_file", "--limit", "1"]
            peer += ["--model_args", f"pretrained={model},dtype={asked.dtype}", "--include_path", str(tasks)]
            peer += ["--device", asked.device]
            own = [sys.executable, "-m", "gpteval", "run", "--models", model, "--tasks", "piqa", "--limit", "1"]
            own += [
                "--dtype",
                asked.dtype,
                "--device",
                asked.device,
                "--out",
                f"{folder}/run",
                "--no-cache",
                "--no-report",
            ]
            for command, seconds in ((peer, theirs), (own, ours)):
                begin = time.perf_counter()
                done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
                seconds.append(time.perf_counter() - begin)
                if done.returncode:
                    sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return row_of(START, theirs, ours, 0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", help="folder of GPT-2's tokenizer, for the model of random weights")
    parser.add_argument("--kind", default="gpt2", choices=["gpt2", "gpt2-xl"], help="its shape")
    parser.add_argument("--peer-python", type=Path, help="a Python that has the peer, instead of installing it")
    parser.add_argument("--gpt1-tokenizer", help="folder of GPT-1's tokenizer, for the row about its cache")
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
    location = asked.model or str(
        random_model(asked.folder / f"{asked.kind}-random", asked.kind, asked.tokenizer, asked.device)
    )
    (info,) = resolve_models([location])
    model = HFModel(info, LoadOptions(device=asked.device, dtype=asked.dtype))
    engine, exact = Engine(model), None
    if asked.dtype != "float32":
        exact = Engine(HFModel(info, LoadOptions(device=asked.device, dtype="float32")))
    asked.shape, asked.rates = Shape.of(model.module, model.config), rates(model, engine.budget)
    python = asked.peer_python or peer_python(asked.folder / "env")
    peer = Peer(python, info.location, asked.device, asked.dtype)
    print(
        f"{'workload':<44} {'items':>5} {'peer s':>8} {'at':>3} {'ours s':>8} {'ratio':>6} {'least':>5} {'aim':>5} "
        f"{'differ':>8} {'peer':>8} {'floor s':>7}"
    )
    rows = [against_peer(load, asked, engine, exact, peer) for load in WORKLOADS if asked.only in load.name]
    if asked.only in GPT1.name and asked.gpt1_tokenizer and asked.device == "cpu":
        rows.append(against_no_cache(asked))
    if asked.only in START.name:
        rows.append(against_start(asked, info.location, python))
    about = {"model": info.name, "device": asked.device, "dtype": asked.dtype, **asdict(asked.rates)}
    print(json.dumps(about | {"rows": rows}))
    return 0 if all(row["difference"] < max(1e-4, row.get("peer_difference", 0.0)) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
