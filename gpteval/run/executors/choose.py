"""Which executor computes a run."""

from __future__ import annotations

from gpteval.core.plugins import imported
from gpteval.run.config import RunConfig
from gpteval.run.executors.names import AUTO, executors
from gpteval.run.parts import Executor
from gpteval.run.units import Listener


def make_executor(config: RunConfig, listener: Listener) -> Executor:
    """What ``config.executor`` names; where it is left open, a process a GPU where there are several. Raises
    PluginError where it cannot be imported, UsageError where it cannot be used.
    """
    name = config.executor
    if name == AUTO:
        import torch

        gpus = torch.cuda.device_count() if config.load.device in ("auto", "cuda") else 0
        name = "process" if gpus > 1 else "inline"
    executor: Executor = imported("executor", executors()[name])(config, listener)
    return executor
