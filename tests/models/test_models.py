"""The catalogue, and loading models: what is refused, and with which words."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from gpteval.core.errors import ModelError, UnknownNameError, UsageError
from gpteval.core.generations import GENERATIONS
from gpteval.core.outcomes import Scored
from gpteval.core.types import Choice, Generate, Prompt
from gpteval.engine.engine import Engine
from gpteval.models import loader
from gpteval.models.catalogue import model_registry, resolve_models
from gpteval.models.loader import HFModel, LoadOptions, pick_device
from tests.tiny import ARCHITECTURES, byte_level_tokenizer, save_tiny


def load(folder: Path, **options: object) -> HFModel:
    (info,) = resolve_models([str(folder)])
    return HFModel(info, LoadOptions(**{"device": "cpu"} | options))  # type: ignore[arg-type]


class TestCatalogue:
    def test_every_loadable_model_of_the_reference_table_is_there(self) -> None:
        with files("gpteval.reference").joinpath("models.csv").open(encoding="utf-8", newline="") as handle:
            rows = [r for r in csv.DictReader(handle) if r["weights_public"] == "yes" and r["hub_id"]]
        assert len(rows) > 30
        for row in rows:
            (info,) = resolve_models([row["model"]])
            assert (info.location, info.generation) == (row["hub_id"], row["generation"])
            assert info.n_params == int(row["n_params"])
            assert info.window == int(row["context_length"])
            assert info.release_date == row["release_date"]
            assert info.licence == row["licence"] != ""
            assert "recalled" not in info.licence

    @pytest.mark.parametrize(
        ("typed", "location"),
        [
            ("gpt1", "openai-community/openai-gpt"),
            ("openai-gpt", "openai-community/openai-gpt"),
            ("GPT2-XL", "openai-community/gpt2-xl"),
            ("gpt2", "openai-community/gpt2"),
            ("openai-community/gpt2", "openai-community/gpt2"),
            ("gpt-j-6b", "EleutherAI/gpt-j-6b"),
            ("EleutherAI/gpt-j-6B", "EleutherAI/gpt-j-6b"),
            ("pythia-70m", "EleutherAI/pythia-70m"),
            ("opt-125m", "facebook/opt-125m"),
            ("cerebras-gpt-111m", "cerebras/Cerebras-GPT-111M"),
            ("someone/some-model", "someone/some-model"),
        ],
    )
    def test_names_people_type(self, typed: str, location: str) -> None:
        (info,) = resolve_models([typed])
        assert info.location == location

    def test_a_revision_follows_an_at_sign(self) -> None:
        (known, other) = resolve_models(["pythia-70m@step1000", "org/name@abc"])
        assert (known.location, known.revision, known.name) == (
            "EleutherAI/pythia-70m",
            "step1000",
            "pythia-70m@step1000",
        )
        assert (other.location, other.revision) == ("org/name", "abc")

    def test_unknown_names_get_the_nearest_ones(self) -> None:
        with pytest.raises(UnknownNameError) as caught:
            resolve_models(["gtp2-xl"])
        assert "gpt2-xl" in caught.value.near
        assert caught.value.exit_code == 2

    def test_a_folder_without_a_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"config\.json is missing"):
            resolve_models([str(tmp_path)])

    @pytest.mark.parametrize(
        ("folders", "names"),
        [
            (["a/model", "b/model"], ["a/model", "b/model"]),
            (["x/a/m", "y/a/m", "z/a/m"], ["x/a/m", "y/a/m", "z/a/m"]),
            (["m", "x/m"], ["./m", "x/m"]),
            (["x/m", "x/m/", "./x/../x/m"], ["m"]),
            (["x/gpt2"], ["gpt2"]),
        ],
    )
    def test_folders_of_one_name_stay_apart(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: list[str], names: list[str]
    ) -> None:
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "config.json").write_text("{}")
        monkeypatch.chdir(tmp_path)
        assert [i.name for i in resolve_models(folders)] == names
        assert [i.name for i in resolve_models(folders[::-1])] == names[::-1]
        absolute = [str(tmp_path / folder) for folder in folders]
        assert [i.name for i in resolve_models(absolute)] == names

    def test_folders_elsewhere_show_only_what_tells_them_apart(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("runA/checkpoint-1000", "runB/checkpoint-1000"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "config.json").write_text("{}")
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        infos = resolve_models(["../runA/checkpoint-1000", str(tmp_path / "runB" / "checkpoint-1000")])
        assert [i.name for i in infos] == ["runA/checkpoint-1000", "runB/checkpoint-1000"]

    def test_a_folder_named_like_a_known_model_is_told_from_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("gpt2", "mine/gpt2"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "config.json").write_text("{}")
        monkeypatch.chdir(tmp_path)
        assert [i.name for i in resolve_models(["gpt2", "mine/gpt2"])] == ["gpt2", "mine/gpt2"]
        assert [i.name for i in resolve_models(["./gpt2", "gpt2"])] == ["./gpt2", "gpt2"]

    @pytest.mark.parametrize("spec", ["./nope", "../nope", "/no/such/model", "~/no-such-model", "a/b/c", "."])
    def test_a_path_without_a_folder_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError) as caught:
            resolve_models([spec])
        assert caught.value.exit_code == 2
        assert "no such folder" in str(caught.value) or spec == "."

    def test_generations_are_the_known_ones(self) -> None:
        assert {i.generation for i in model_registry().values()} <= set(GENERATIONS)


class TestLoading:
    def test_facts(self, tmp_path: Path) -> None:
        model = load(save_tiny(tmp_path / "neo", "gpt_neo", window=40))
        assert model.info.generation == "gpt3"
        assert model.window == 40
        assert model.dtype == "float32"
        assert model.info.n_params == model.module.num_parameters()
        assert not model.module.training
        assert model.attention == "sdpa"

    def test_float16_weights_are_computed_in_float32_on_a_cpu(self, tmp_path: Path) -> None:
        from transformers import AutoModelForCausalLM

        folder = save_tiny(tmp_path / "m")
        AutoModelForCausalLM.from_pretrained(folder).half().save_pretrained(folder)
        assert "float16" in (folder / "config.json").read_text()
        assert str(load(folder).module.dtype) == "torch.float32"
        assert str(load(folder, dtype="bfloat16").module.dtype) == "torch.bfloat16"

    def test_pickles_only_when_allowed(self, tmp_path: Path) -> None:
        import torch

        folder = save_tiny(tmp_path / "m")
        from safetensors.torch import load_file

        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(ModelError, match="no safetensors(.|\n)*--allow-pickle"):
            _ = load(folder).module
        assert load(folder, allow_pickle=True).module is not None

    def test_remote_code_only_when_trusted(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "home-made", "auto_map": {"AutoConfig": "code.Config"}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "code.py").write_text("raise SystemExit('the code ran')")
        with pytest.raises(ModelError, match="code from its own repository(.|\n)*--trust-remote-code"):
            load(folder)

    def test_a_checkpoint_without_all_tensors_is_refused(self, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        folder = save_tiny(tmp_path / "m")
        tensors = load_file(folder / "model.safetensors")
        del tensors["transformer.h.1.mlp.c_fc.weight"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match="lacks 1 tensors.*h.1.mlp.c_fc.weight"):
            _ = load(folder).module

    def test_a_tokenizer_of_another_model_is_refused(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m", vocab_size=100)
        with pytest.raises(ModelError, match="embedding only 100 rows"):
            _ = load(folder).module

    def test_truncated_weights_are_refused(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(ModelError, match="cannot load model m"):
            _ = load(folder).module

    def test_a_hub_model_without_network_says_so(self) -> None:
        (info,) = resolve_models(["gpt2"])
        with pytest.raises(ModelError, match="cannot load model gpt2(.|\n)*HF_HUB_OFFLINE"):
            HFModel(info)

    def test_devices_and_dtypes_that_are_not_there(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        with pytest.raises(UsageError, match="device 'tpu'"):
            pick_device("tpu")
        with pytest.raises(UsageError, match="unknown dtype 'float8'"):
            load(folder, dtype="float8")

    @pytest.mark.parametrize("kind", ARCHITECTURES)
    def test_a_model_that_lies_on_several_devices_has_the_numbers_of_one(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its last layer lies on the disk, and comes to the processor for its turn."""
        folder = save_tiny(tmp_path / "m", kind)
        whole = load(folder)
        blocks = [name for name, part in whole.module.named_modules() if isinstance(part, torch.nn.ModuleList)]
        layers = next(name for name in blocks if len(whole.module.get_submodule(name)) == 2)
        above = ["", *(layers.rsplit(".", n)[0] for n in range(layers.count(".") + 1)), layers]
        beside = [
            f"{name}.{child}".strip(".")
            for name in above
            for child, _ in whole.module.get_submodule(name).named_children()
        ]
        layout = {name: "cpu" for name in beside if name not in above} | {f"{layers}.1": "disk"}
        monkeypatch.setattr(loader, "LAYOUT", {"device_map": layout, "offload_folder": str(tmp_path / "off")})
        spread = load(folder, device="spread")
        weights = list(spread.module.get_submodule(layers)[1].parameters())
        assert all(weight.device.type == "meta" for weight in weights), "nothing of it is in memory"
        choice = Choice("The quick brown fox", [" jumps", " sleeps over", " is"], 0)
        prompts = [Prompt("a", choice), Prompt("b", Generate("The dog", ["x"], max_new_tokens=5))]
        ours, theirs = (Engine(model).run(prompts) for model in (spread, whole))
        assert isinstance(ours[0], Scored)
        assert isinstance(theirs[0], Scored)
        for a, b in zip(ours[0].scores, theirs[0].scores, strict=True):
            assert a.logprob == pytest.approx(b.logprob, abs=1e-4)
        assert ours[1] == theirs[1]


class TestFingerprint:
    def test_it_depends_on_weights_and_tokenizer_not_on_the_place(self, tmp_path: Path) -> None:
        one = load(save_tiny(tmp_path / "a", seed=1))
        same = load(save_tiny(tmp_path / "b", seed=1))
        other = load(save_tiny(tmp_path / "c", seed=2))
        assert one.fingerprint == same.fingerprint
        assert one.key == same.key
        assert one.key != other.key
        folder = save_tiny(tmp_path / "d", seed=1)
        tokenizer = byte_level_tokenizer()
        tokenizer.add_tokens(["zzz"])
        tokenizer.save_pretrained(folder)
        assert load(folder).key != one.key

    def test_the_dtype_is_part_of_the_key(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        assert load(folder).key != load(folder, dtype="bfloat16").key
