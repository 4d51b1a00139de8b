"""Trainings that are killed, or whose disk is full: the same command goes on, to the same weights."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from gpteval.core.atomic import remove
from tests import forks

KILLS = int(os.environ.get("GPTEVAL_TEST_KILLS", "8"))  # 30 were tried, too
# One process that has all imported, and begins the training anew in a child each time.
DRIVER = """
import os, random, signal, sys, time
from pathlib import Path
import torch, transformers
from gpteval.train import pretrain as module
from gpteval.tune import trainer
from tests.train.test_pretrain import SEED, small
from tests.tiny import save_tiny
from tests.tuning import tuned, write_tasks

module.TOKENIZER_DOCUMENTS = 300
arguments = transformers.TrainingArguments

def often(**settings):
    settings["save_steps"] = settings["logging_steps"] = 1
    return arguments(**settings)

def train(what, out):
    transformers.TrainingArguments = often
    if what == "pretrain":
        module.pretrain(small("gpt2-nano"), out, seed=SEED, device="cpu", checkpoints=2)
    else:
        tuned(base, tasks, "fox", out, epochs=4, examples=40, patience=2)

def child(what, out):
    pid = os.fork()
    if pid == 0:
        try:
            train(what, out)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    return pid

def ended(out):
    # a kill may come after the last step, where a next run would begin anew
    kept = {"checkpoints", "settings.json"}
    unfinished = [path for path in out.rglob("*") if path.name in kept or path.suffix in (".partial", ".removed")]
    return (out / ("training.json" if what == "pretrain" else "finetune.json")).exists() and not unfinished

what, folder, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
draw = random.Random(0)
if what == "finetune":
    (folder / "tasks").mkdir()
    base, tasks = save_tiny(folder / "base"), write_tasks(folder / "tasks")
begin = time.monotonic()
assert os.waitpid(child(what, folder / "whole"), 0)[1] == 0
whole = time.monotonic() - begin
number = 0
for kill in range(kills):
    out = folder / f"broken-{number}"
    pid = child(what, out)
    time.sleep(whole * draw.uniform(0.3, 1.0))
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), f"kill {kill}"
    number += status == 0 or ended(out)
if not ended(out):
    assert os.waitpid(child(what, out), 0)[1] == 0
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["pretrain", "finetune"])
def test_killed_at_random_moments_it_goes_on_to_the_same_weights(what: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, what, tmp_path, str(KILLS)]
    done = forks.run(command)
    assert done.returncode == 0, done.stderr
    whole = sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.safetensors"))
    broken = list(tmp_path.glob("broken-*"))
    assert broken
    for folder in broken:
        assert sorted(path.relative_to(folder) for path in folder.rglob("*.safetensors")) == whole
        for name in whole:
            one, other = load_file(tmp_path / "whole" / name), load_file(folder / name)
            assert one.keys() == other.keys()
            assert all((one[key] == other[key]).all() for key in one), (folder, name)
        assert not list(folder.rglob("*.partial"))
        assert not list(folder.rglob("*.removed"))
        assert not (folder / "checkpoints").exists()


FULL = """
import resource, sys, traceback
from pathlib import Path
from gpteval.cli.console import say
from gpteval.core.errors import GptevalError
exec(sys.argv[4].partition("def child")[0])
what, folder, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
if what == "finetune":
    (folder / "tasks").mkdir(exist_ok=True)
    base, tasks = save_tiny(folder / "base"), write_tasks(folder / "tasks")
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    train(what, folder / "out")
except GptevalError as error:
    sys.exit(str(error))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("what", "limit"), [("pretrain", 100), ("pretrain", 12_000), ("finetune", 40_000)])
def test_a_full_disk_is_told_and_the_same_command_goes_on(what: str, limit: int, tmp_path: Path) -> None:
    """No file may grow beyond a limit: of settings and logs, of the optimizer's state, of the weights."""
    command = [sys.executable, "-c", FULL, what, tmp_path]
    full = forks.run([*command, str(limit), DRIVER])
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert re.search(r"cannot write .*: .*\n  free some space, then run the same command again", full.stderr)
    done = forks.run([*command, "0", DRIVER])
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "out").rglob("*.partial"))
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_removal_that_was_cut_short_is_ended_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints.removed"
    for there in (False, True):
        (left / "checkpoint-1").mkdir(parents=True)
        (left / "checkpoint-1" / "model.safetensors").write_bytes(b"x")
        if there:
            (tmp_path / "checkpoints" / "checkpoint-2").mkdir(parents=True)
        remove(tmp_path / "checkpoints")
        assert not list(tmp_path.iterdir())
