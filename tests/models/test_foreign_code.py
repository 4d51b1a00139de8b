"""What models' files bring along: no code of them runs, no pickle is read, nobody is asked on the terminal."""

from __future__ import annotations

import ast
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from gpteval.core.errors import ModelError
from gpteval.models.catalogue import resolve_models
from gpteval.models.checkpoint import INDEX, PICKLED_INDEX
from gpteval.models.loader import HFModel, LoadOptions
from tests import forks
from tests.conftest import CHECKOUT, RunCli
from tests.tiny import save_tiny

ROOT = CHECKOUT
LIBRARY = "gpteval/models/library.py"
SPOKEN_OUT = {  # what a call has to say for itself, if it is made at all
    "from_pretrained": {"trust_remote_code"},
    "from_config": {"trust_remote_code"},
    "torch.load": {"weights_only"},
}
NEVER = {"input", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "yaml.load"}
NEVER |= {"np.load", "numpy.load", "read_pickle", "AutoPeftModelForCausalLM"}
CODE = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nPath({marker!r}).touch()\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_calls_that_can_run_code_are_in_one_place_and_say_what_they_may_do() -> None:
    seen = []
    for folder in ("gpteval", "tasks", "reports"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            where = path.relative_to(ROOT).as_posix()
            for name, call in _calls(path):
                last = name.rpartition(".")[2]
                assert not {name, last} & NEVER, f"{where}:{call.lineno} {name}"
                wanted = SPOKEN_OUT.get(name, SPOKEN_OUT.get(last))
                if wanted is None:
                    continue
                seen.append(name)
                assert where == LIBRARY, f"{where}:{call.lineno} calls {name}: there is gpteval.models.library"
                if not name.startswith("peft."):
                    assert wanted <= {word.arg for word in call.keywords}, f"{where}:{call.lineno} {name}"
    assert len(seen) >= 6, seen
    assert not any("stdin" in path.read_text(encoding="utf-8") for path in (ROOT / "gpteval").rglob("*.py"))


def put_code(folder: Path, marker: Path, file: str, kinds: dict[str, Any]) -> None:
    """Code in a model's folder, as a repository names it: in its configuration or its tokenizer's."""
    kinds = {"auto_map": kinds, "tokenizer_class": "Own"} if "AutoTokenizer" in kinds else {"auto_map": kinds}
    found = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
    (folder / file).write_text(json.dumps(found | kinds))
    (folder / "own.py").write_text(CODE.format(marker=str(marker)))


def save_adapter(base: Path, out: Path) -> Path:
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    peft.get_peft_model(model, config).save_pretrained(out)
    return out


def yes(*arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    """The command, with somebody who answers every question with yes."""
    env = {**os.environ, "GPTEVAL_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    return forks.run([sys.executable, "-m", "gpteval", *arguments], env=env, input="y\n" * 10_000)


@pytest.mark.parametrize(
    ("command", "whose"),
    [("run", "adapter"), ("run", "base"), ("convert", "adapter"), ("convert", "base"), ("generate", "tokenizer")],
)
def test_no_code_runs_though_somebody_says_yes(tmp_path: Path, command: str, whose: str) -> None:
    marker = tmp_path / "ran"
    base = save_tiny(tmp_path / "base")
    adapter = save_adapter(base, tmp_path / "adapter")
    if whose == "base":
        put_code(base, marker, "config.json", {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"})
    else:
        (adapter / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
        put_code(
            adapter if whose == "adapter" else base,
            marker,
            "tokenizer_config.json",
            {"AutoTokenizer": ["own.Own", None]},
        )
    words = {
        "run": ("run", "--models", adapter, "--tasks", "nano_topic", "--limit", 2, "--out", tmp_path / "run"),
        "convert": ("convert", adapter, tmp_path / "out"),
        "generate": ("generate", "--model", base, "--prompt", "a"),
    }
    done = yes(*words[command], cache=tmp_path / "cache")
    assert not marker.exists(), "the code ran"
    assert "Do you wish to run" not in done.stdout + done.stderr
    if done.returncode:
        assert "needs code from its own" in done.stderr + done.stdout


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def load(folder: Path, **options: Any) -> HFModel:
    return HFModel(resolve_models([str(folder)])[0], LoadOptions(device="cpu", **options))


def _index(folder: Path, name: str = INDEX, *, file: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(tensors, file)}))
    path = folder / file
    if file.endswith(".bin"):
        torch.save(tensors, path)
    else:
        save_file(tensors, path, metadata={"format": "pt"})


def _configured(folder: Path, name: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"transformers_weights": name}))


def _other_index(folder: Path) -> None:
    _index(folder, "other.safetensors.index.json", file="a.bin")
    _configured(folder, "other.safetensors.index.json")


def _adapters_name(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "adapter_model.bin")
    _configured(folder, "adapter_model.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: _index(folder, file="pytorch_model.bin"), "names pytorch_model.bin, which is not a safe"),
        (_other_index, "names a.bin, which is not a safe"),
        (_adapters_name, "names adapter_model.bin, which is not a safe"),
        (lambda folder: _index(folder, file="../away.safetensors"), r"outside of the model's own folder: ../away"),
        (lambda folder: _configured(folder, "../away.safetensors"), r"outside of the model's own folder: ../away"),
    ],
)
@pytest.mark.parametrize("whose", ["model", "adapter's base"])
def test_weights_are_safetensors_in_the_models_own_folder(
    tmp_path: Path, change: Callable[[Path], None], message: str, whose: str, in_process: RunCli
) -> None:
    base = save_tiny(tmp_path / "base")
    named = base if whose == "model" else save_adapter(base, tmp_path / "adapter")
    change(base)
    done = in_process("run", "--models", named, "--tasks", "nano_topic", "--limit", 2, "--out", tmp_path / "run")
    assert done.returncode != 0
    with pytest.raises(ModelError, match=message):
        load(named)
    if whose != "model":
        done = in_process("convert", named, tmp_path / "out")
        assert done.returncode != 0
        assert not (tmp_path / "out" / "model.safetensors").exists()


def test_with_allow_pickle_they_are_read_and_still_nothing_runs(tmp_path: Path, in_process: RunCli) -> None:
    base = save_tiny(tmp_path / "base")
    adapter = save_adapter(base, tmp_path / "adapter")
    ids = torch.tensor([[5, 6, 7]])
    expected = load(adapter).module(input_ids=ids).logits
    _index(base, file="pytorch_model.bin")
    done = in_process("convert", adapter, tmp_path / "out", "--allow-pickle")
    assert done.returncode == 0, done.stderr
    assert torch.allclose(load(tmp_path / "out").module(input_ids=ids).logits, expected, atol=1e-5)
    (base / "pytorch_model.bin").write_bytes(pickle.dumps({"transformer.wte.weight": Bomb(tmp_path / "ran")}))
    for named in (base, adapter):
        with pytest.raises(ModelError):
            assert load(named, allow_pickle=True).module
    assert not (tmp_path / "ran").exists()


def test_an_index_of_pickles_does_not_leave_the_folder_either(tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base")
    _index(base, PICKLED_INDEX, file="../away.bin")
    with pytest.raises(ModelError, match="outside of the model's own folder"):
        load(base, allow_pickle=True)


def test_an_adapter_beside_a_model_is_not_applied_unseen(tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base")
    save_adapter(base, tmp_path / "base")
    with pytest.raises(ModelError, match="holds an adapter"):
        load(base)


def test_adapters_in_a_circle(tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base")
    for name, other in (("a", "../b"), ("b", "../a"), ("c", "../c")):
        config = save_adapter(base, tmp_path / name) / "adapter_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": other}))
        if name != "a":
            with pytest.raises(ModelError, match="has itself as its base model"):
                load(tmp_path / name)


def test_an_adapter_imports_no_module_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = save_adapter(save_tiny(tmp_path / "base"), tmp_path / "adapter")
    (tmp_path / "evil_module.py").write_text(CODE.format(marker=str(tmp_path / "ran")))
    monkeypatch.syspath_prepend(tmp_path)
    config = adapter / "adapter_config.json"
    named = {"megatron_core": "evil_module", "megatron_config": {"a": 1}}
    config.write_text(json.dumps(json.loads(config.read_text()) | named))
    with pytest.raises(ModelError, match="names a module to import"):
        load(adapter)
    assert not (tmp_path / "ran").exists()
