"""Steps of a training that serve the same weights: told wherever the training is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from gpteval.models.catalogue import resolve_models
from gpteval.models.checkpoint import INDEX
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.report import build_report
from gpteval.store.runs import read_runs
from gpteval.store.same import same_weights
from tests.conftest import RunCli
from tests.data.test_hub import python
from tests.hub_server import HubServer, publish_model
from tests.tiny import save_tiny

SAID = "checkpoint-1 and checkpoint-2 have the same weights: they are one model under 2 names"


def in_parts(folder: Path) -> Path:
    """Its weights in two files, as large models have them."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(sorted(tensors))}
    for file in set(where.values()):
        save_file({n: t for n, t in tensors.items() if where[n] == file}, folder / file, metadata={"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


@pytest.fixture(params=[True, False], ids=["another file beside it", "file by file"])
def training(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Three checkpoints, of which the second is the first again. File by file the same, it is not even loaded: its
    results are there.
    """
    for step in (1, 3):
        save_tiny(tmp_path / "out" / f"checkpoint-{step}", seed=step)
    shutil.copytree(tmp_path / "out" / "checkpoint-1", tmp_path / "out" / "checkpoint-2")
    if request.param:
        (tmp_path / "out" / "checkpoint-2" / "trainer_state.json").write_text("{}")
    return tmp_path / "out"


def test_it_is_told_in_run_place_and_report(training: Path, tmp_path: Path, in_process: RunCli) -> None:
    words = ("--tasks", "nano_topic", "--limit", 20, "--no-cache", "--out", tmp_path / "run")
    done = in_process("run", "--models", f"{training}/checkpoint-*,gpt2-nano", *words)
    assert done.returncode == 0, done.stderr
    assert SAID in done.stderr
    assert "checkpoint-3" not in done.stderr.partition(SAID)[2].split("\n")[0]
    loaded = read_runs([tmp_path / "run"]).merged
    assert SAID in loaded.remarks
    page = build_report([tmp_path / "run"], tmp_path / "report.html").read_text()
    assert SAID in page[page.index("Over training") :]
    done = in_process("place", tmp_path / "run", "--model", "checkpoint-2", "--json")
    assert json.loads(done.stdout)[0]["notes"] == [SAID]
    done = in_process("place", tmp_path / "run", "--model", "checkpoint-2")
    assert SAID in " ".join(done.stdout.split())
    done = in_process("run", "--models", "gpt2-nano", *words)
    assert SAID not in done.stderr, "none of these models"


def test_weights_in_parts_are_told_by_part(tmp_path: Path) -> None:
    facts = {}
    for step in (1, 2, 3):
        folder = in_parts(save_tiny(tmp_path / f"checkpoint-{step}", seed=step))
        if step == 2:
            shutil.copyfile(tmp_path / "checkpoint-1" / "part-1.safetensors", folder / "part-1.safetensors")
        (info,) = resolve_models([str(folder)])
        facts[info.name] = {"weights": HFModel(info, LoadOptions("cpu")).weights, "family": "out"}
    assert {len(one["weights"]) for one in facts.values()} == {2}
    (said,) = same_weights(facts)
    assert said.startswith(
        "checkpoint-1 and checkpoint-2 have 1 of 2 weight files in common, such as part-1.safetensors"
    )
    facts["checkpoint-2"]["weights"] = facts["checkpoint-1"]["weights"]
    assert same_weights(facts) == [SAID]


def test_two_revisions_of_the_hub(hub_server: HubServer, tmp_path: Path) -> None:
    """Told from the files that were downloaded, whatever the commits."""
    folder = save_tiny(tmp_path / "m")
    for step in (1, 2):
        (folder / "note.txt").write_text(str(step))
        publish_model(hub_server.root, "org/m", folder, f"step{step}")
    script = f"""
from gpteval.run.evaluate import evaluate
from gpteval.run.units import Listener
class Told(Listener):
    def warned(self, message): print(message)
evaluate("org/m@step1,step2", "nano_topic", limit=2, out={str(tmp_path / "run")!r}, cache=False, listener=Told())
"""
    done = python(hub_server, tmp_path / "home", script)
    assert "org/m@step1 and org/m@step2 have the same weights" in done.stdout, done.stderr
    models = json.loads((tmp_path / "run" / "manifest.json").read_text())["models"]
    assert len({facts["fingerprint"] for facts in models.values()}) == 2


def test_sentences() -> None:
    one = {"weights": {"a": "1", "b": "2"}, "family": "f"}
    assert same_weights({"m": one, "n": {}, "o": {"weights": {}}, "p": {"fingerprint": "f"}}) == []
    kept = {"fingerprint": "f"}
    assert len(same_weights({"m": one | kept, "n": kept})) == 1, "one of them was not loaded"
    assert len(same_weights({"m": kept, "n": kept})) == 1, "none was"
    asked = {"fingerprint": "api:1", "answered_as": "x"}
    assert same_weights({"m": asked, "n": asked}) == []
    assert same_weights({"m": one, "n": one, "o": one}) == [
        "m, n and o have the same weights: they are one model under 3 names"
    ]
    other = {"weights": {"a": "1", "b": "3"}}
    assert same_weights({"m": one, "n": other}) == [], "of one training only"


def test_names_that_begin_alike_are_others() -> None:
    """checkpoint-1 is not meant where checkpoint-10 is."""
    same, other = {"weights": {"a": "1"}}, {"weights": {"a": "2"}}
    models = {"checkpoint-1": other, "checkpoint-10": same, "checkpoint-11": same}
    assert same_weights(models, ["checkpoint-1"]) == []
    assert len(same_weights(models, ["checkpoint-11"])) == 1


def test_which_files_are_a_models_weights(tmp_path: Path) -> None:
    """The parts that an index names, and not an old pickle beside them."""
    folder = in_parts(save_tiny(tmp_path / "m"))
    (folder / "pytorch_model.bin").write_bytes(b"old")
    (info,) = resolve_models([str(folder)])
    assert sorted(HFModel(info, LoadOptions("cpu")).weights) == ["part-0.safetensors", "part-1.safetensors"]


def test_tuned_ones_are_told_apart_by_their_heads() -> None:
    """Of the methods that leave the base as it is, the files of weights are those of the base."""
    base = {"weights": {"model.safetensors": "a"}, "family": "f"}
    tuned = {name: base | {"finetune": {"method": "head"}, "fingerprint": f"sha256:{name}"} for name in ("one", "two")}
    assert same_weights({"base": base | {"fingerprint": "sha256:base"}, **tuned}) == []
    assert len(same_weights({"one": tuned["one"], "again": tuned["one"]})) == 1
