"""The peer's side of parity.py: runs tasks of lm-evaluation-harness on local files.

Reads one JSON document a line: {"task", "files", "shots", "limit"}; writes {"results", "samples"}, where a sample is
an item's requests and answers; or {"error"}.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def made(index: Any, task: str, files: dict[str, str], shots: int) -> Any:
    """The peer's task on local files, a split each."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(index[task].yaml_path)
    config |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    for split in ("training_split", "validation_split", "test_split", "fewshot_split"):
        if config.get(split) not in files:
            config[split] = None
    loaded = ConfigurableTask(config={key: value for key, value in config.items() if key not in ("tag", "include")})
    loaded.set_config(key="num_fewshot", value=shots)
    loaded.set_fewshot_seed(seed=1234)
    return loaded


def main() -> None:
    out = sys.stdout
    sys.stdout = sys.stderr  # the peer prints
    import torch
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(int(sys.argv[2]))
    index = TaskManager().task_index
    lm = HFLM(pretrained=sys.argv[1], dtype="float32", device="cpu", batch_size=8)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            task = made(index, asked["task"], asked["files"], asked["shots"])
            found = evaluate(lm, {asked["task"]: task}, limit=asked["limit"], bootstrap_iters=0, log_samples=True)
        except Exception as error:  # whatever: the peer cannot run it
            print(json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}), file=out, flush=True)
            continue
        samples = found["samples"][asked["task"]]
        samples.sort(key=lambda sample: sample["doc_id"])
        kept = [{"arguments": s["arguments"], "resps": s["resps"]} for s in samples]
        print(json.dumps({"results": found["results"][asked["task"]], "samples": kept}), file=out, flush=True)


if __name__ == "__main__":
    main()
