"""How much memory a process took."""

from __future__ import annotations

import sys


def peak_memory(device: str) -> int:
    """Bytes: the device's peak for CUDA, else the process's."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
