"""Who multiplies fastest on this processor: a layer's products in float32 by MKL, as its transpose, and by oneDNN.

    python benchmarks/products.py

The matrices are those of GPT-2's 124M shape, all layers in turn (so that they come from memory, as in a model), and its
output layer; milliseconds for so many rows, the best of several. ``ONEDNN_MAX_CPU_ISA=AVX2`` shows a processor without
AVX-512. ``gpteval.models.kernels`` takes oneDNN's, and the transpose of 2 to 4 rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from gpteval.models.kernels import by_one_dnn

LAYER = ((768, 2304), (768, 768), (768, 3072), (3072, 768))  # in, out
LAYERS, VOCABULARY, WIDTH = 12, 50257, 768
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
WAYS: dict[str, Product] = {
    "MKL": torch.nn.functional.linear,
    "transposed": lambda states, weight: torch.mm(weight, states.T).T,
    "oneDNN": by_one_dnn,
}


def milliseconds(way: Product, weights: list[torch.Tensor], rows: int) -> float:
    states = {width: torch.randn(rows, width) for width in {weight.shape[1] for weight in weights}}
    found = []
    for _ in range(5):
        begin = time.perf_counter()
        for weight in weights:
            way(states[weight.shape[1]], weight)
        found.append(time.perf_counter() - begin)
    return 1000 * min(found)


def main() -> None:
    layers = [torch.randn(wide, narrow) for _ in range(LAYERS) for narrow, wide in LAYER]
    head = [torch.randn(VOCABULARY, WIDTH)]
    print(f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads; ms: layers, head")
    print("rows" + "".join(f"{name:>22}" for name in WAYS))
    for rows in ROWS:
        times = [(milliseconds(way, layers, rows), milliseconds(way, head, rows)) for way in WAYS.values()]
        print(f"{rows:>4}" + "".join(f"{one:>12.1f}{other:>10.1f}" for one, other in times), flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
