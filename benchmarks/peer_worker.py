"""The peer's side of vs_peer.py: loads a model into lm-evaluation-harness and runs the requests it is sent.

Reads one JSON document a line: {"kind", "requests", "batch_size"}; writes {"seconds", "results"}.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    out = sys.stdout
    sys.stdout = sys.stderr  # the peer prints
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(int(sys.argv[3]))
    lm = HFLM(pretrained=sys.argv[1], dtype=sys.argv[4], device=sys.argv[2], batch_size=1)
    for line in sys.stdin:
        asked = json.loads(line)
        lm.batch_size_per_gpu = asked["batch_size"]
        requests = [
            Instance(request_type=asked["kind"], doc={}, arguments=tuple(arguments), idx=number)
            for number, arguments in enumerate(asked["requests"])
        ]
        begin = time.perf_counter()
        results = getattr(lm, asked["kind"])(requests, disable_tqdm=True)
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "results": results}), file=out, flush=True)


if __name__ == "__main__":
    main()
