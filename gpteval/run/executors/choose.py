"""Which executor computes a run."""

from __future__ import annotations

import os

from gpteval.models.loader import pick_device
from gpteval.run.config import RunConfig
from gpteval.run.executors.inline import Inline
from gpteval.run.parts import Executor
from gpteval.run.units import Listener


def make_executor(config: RunConfig, listener: Listener) -> Executor:
    """What ``config.executor`` names; where it is left open, a process a GPU where there are several."""
    import torch

    gpus = torch.cuda.device_count() if config.load.device in ("auto", "cuda") else 0
    if config.executor == "inline" or (config.executor == "auto" and gpus < 2):
        return Inline(listener)
    if config.executor == "ray":
        from gpteval.run.executors.ray_actors import RayPool

        return RayPool(config)
    if config.executor == "folder":
        from gpteval.run.executors.shared_folder import SharedFolder

        return SharedFolder(config, listener)
    from gpteval.run.executors.processes import Pool

    cores = min(4, os.cpu_count() or 1) if pick_device(config.load.device) == "cpu" else 1  # one device: one process
    return Pool(config, config.workers or gpus or cores)
