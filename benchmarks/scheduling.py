"""How well parts fill a large cluster: a simulation with the very code that hands them out.

    python benchmarks/scheduling.py --units 10000 --workers 1000

Virtual time, no model. A unit has a size drawn from a lognormal distribution, is cut as by the executors
(``gpteval.run.executors.part_queue``), and its parts go to whichever worker is free. A worker loads a model where it
held another, dies after a random time (exponential), loses the batch it is at, and is replaced after a while; its part
is handed out again, without the batches that came back. The bound is what all tokens take when every worker computes
all the time and none dies. Planning in the main process is not simulated. The last line is JSON; exit code 1 when the
makespan is more than a tenth above the bound, or a part was given up.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from gpteval.run.executors.part_queue import PartQueue, cut


@dataclass(eq=False)
class Piece:
    """A part: its model and the tokens that it lacks."""

    model: int
    tokens: float


@dataclass
class Outcome:
    makespan: float
    bound: float
    deaths: int
    given_up: int
    loading: float  # seconds of all workers


def simulate(asked: argparse.Namespace) -> Outcome:
    """Run all units in virtual time."""
    draw = random.Random(asked.seed)
    per_model = asked.units // asked.models
    sizes = [[draw.lognormvariate(0, asked.spread) for _ in range(per_model)] for _ in range(asked.models)]
    scale = asked.tokens * asked.models * per_model / sum(map(sum, sizes))

    def parts() -> Iterator[Piece]:
        for model, of_model in enumerate(sizes):
            for size in of_model:
                tokens = size * scale
                count = cut(int(tokens), asked.workers, "cuda")
                for _ in range(count):
                    yield Piece(model, tokens / count)

    handout: PartQueue[Piece] = PartQueue(asked.workers)
    coming = parts()
    held = [-1] * asked.workers
    dies = [draw.expovariate(1 / asked.lives) for _ in range(asked.workers)]
    free = [(0.0, number) for number in range(asked.workers)]  # a heap
    waiting: list[tuple[float, Piece]] = []  # parts of workers that have died by then
    end = loading = 0.0
    deaths = given_up = 0
    while free:
        now, worker = heapq.heappop(free)
        while waiting and waiting[0][0] <= now:
            given_up += not handout.lost(heapq.heappop(waiting)[1])
        while not handout.is_full and (planned := next(coming, None)) is not None:
            handout.add(planned)
        if not handout:
            if waiting:  # someone may still leave a part behind
                heapq.heappush(free, (waiting[0][0], worker))
            continue
        piece = handout.next()
        load = 0.0 if held[worker] == piece.model else asked.load
        finish = now + load + piece.tokens / asked.rate
        if finish <= dies[worker]:
            held[worker], loading, end = piece.model, loading + load, max(end, finish)
            heapq.heappush(free, (finish, worker))
            continue
        deaths += 1
        computed = max(0.0, dies[worker] - now - load) * asked.rate
        piece.tokens -= computed // asked.batch * asked.batch
        heapq.heappush(waiting, (dies[worker], piece))
        back = dies[worker] + asked.restart
        held[worker], dies[worker] = -1, back + draw.expovariate(1 / asked.lives)
        heapq.heappush(free, (back, worker))
    total = asked.tokens * asked.models * per_model
    return Outcome(end, total / asked.rate / asked.workers, deaths, given_up, loading)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--tokens", type=float, default=2e6, help="of a unit, on average")
    parser.add_argument("--spread", type=float, default=1.5, help="of the logarithm of a unit's tokens")
    parser.add_argument("--rate", type=float, default=10_000, help="tokens a second of a worker")
    parser.add_argument("--batch", type=float, default=16_384, help="tokens that come back together")
    parser.add_argument("--load", type=float, default=30.0, help="seconds to load a model")
    parser.add_argument("--lives", type=float, default=36_000, help="seconds that a worker lives, on average")
    parser.add_argument("--restart", type=float, default=120.0, help="seconds until another is in its place")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = simulate(asked)
    ratio = found.makespan / found.bound
    print(f"{asked.units:,} units of {asked.models} models on {asked.workers:,} workers, {found.deaths} of which died")
    print(f"bound {found.bound:,.0f} s, makespan {found.makespan:,.0f} s: {ratio:.3f} times")
    print(f"of the difference, loading models is {found.loading / asked.workers:,.0f} s a worker")
    print(json.dumps({"ratio": ratio, **vars(found)}))
    return 1 if ratio > 1.1 or found.given_up else 0


if __name__ == "__main__":
    sys.exit(main())
