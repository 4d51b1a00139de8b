"""Adapters of peft: the numbers of plain transformers, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from gpteval.core.errors import GptevalError, ModelError, UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.foreign.convert import convert
from gpteval.models.loader import HFModel, LoadOptions, open_base
from tests.conftest import RunCli
from tests.gguf_files import model_of, write
from tests.tiny import byte_level_tokenizer, save_tiny

IDS = torch.tensor([[5, 80, 17, 300, 2, 2, 41, 200, 0, 11]])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "converted"


def load(name: str | Path) -> HFModel:
    (info,) = resolve_models([str(name)])
    return HFModel(info, LoadOptions(device="cpu"))


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS).logits.double()
    return found


def train_adapter(base: Path, out: Path, **settings: Any) -> torch.Tensor:
    """Train a LoRA for a few steps, save it, and give the logits of the merged model in plain transformers."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["c_attn"], fan_in_fan_out=True, **settings)
    tuned = peft.get_peft_model(model, config)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW((p for p in tuned.parameters() if p.requires_grad), lr=0.05)
    for _ in range(5):
        tuned(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    tuned.save_pretrained(out)
    again = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(base), out)
    return logits(again.merge_and_unload().eval())


def test_an_adapter_gives_the_merged_models_numbers(tmp_path: Path, cache: Path) -> None:
    base = save_tiny(tmp_path / "base")
    expected = train_adapter(base, tmp_path / "tuned")
    model = load(tmp_path / "tuned")
    assert logits(model.module) == pytest.approx(expected, abs=1e-5)
    assert not torch.allclose(expected, logits(load(base).module), atol=1e-2), "it does something"
    assert (model.info.name, model.info.generation, model.window) == ("tuned", "gpt2", 48)
    assert model.codec.tokenizer.get_vocab() == byte_level_tokenizer().get_vocab()
    load(tmp_path / "tuned")
    assert len(list(cache.iterdir())) == 1, "merged once"
    save_tiny(base, seed=9)
    assert not torch.allclose(logits(load(tmp_path / "tuned").module), expected, atol=1e-3), "another base, merged anew"


def test_the_base_is_found_beside_the_adapter(tmp_path: Path) -> None:
    expected = train_adapter(save_tiny(tmp_path / "base"), tmp_path / "out" / "tuned")
    config = tmp_path / "out/tuned/adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "../../base"}))
    assert logits(load("out/tuned").module) == pytest.approx(expected, abs=1e-5)


def test_a_tokenizer_of_its_own(tmp_path: Path) -> None:
    """Tokens that were added for the adapter have rows of the embedding that are saved with it."""
    base = save_tiny(tmp_path / "base")
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens(["<answer>"])
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(len(tokenizer))
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=2, target_modules=["c_attn"], modules_to_save=["wte"], fan_in_fan_out=True
    )
    tuned = peft.get_peft_model(model, config)
    tuned.save_pretrained(tmp_path / "tuned")
    tokenizer.save_pretrained(tmp_path / "tuned")
    found = load(tmp_path / "tuned")
    assert len(found.codec.tokenizer) == len(tokenizer)
    assert logits(found.module) == pytest.approx(logits(tuned.merge_and_unload().eval()), abs=1e-5)


def save_lora(base: Path, out: Path, *, task: str = "CAUSAL_LM", **settings: Any) -> Any:
    """A LoRA with random weights; the model with it beside its own."""
    kind = transformers.AutoModelForCausalLM if task == "CAUSAL_LM" else transformers.AutoModelForSequenceClassification
    torch.manual_seed(1)
    tuned = peft.get_peft_model(kind.from_pretrained(base), peft.LoraConfig(task_type=task, r=2, **settings))
    with torch.no_grad():
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    tuned.save_pretrained(out)
    return tuned.eval()


PARTS = {  # an embedding, and a layer
    "gpt2": ("wte", "c_attn"),
    "gpt_neo": ("wte", "c_fc"),
    "gptj": ("wte", "fc_in"),
    "gpt_neox": ("embed_in", "query_key_value"),
    "opt": ("embed_tokens", "fc1"),
    "mistral": ("embed_tokens", "up_proj"),
}
HOW: dict[str, Any] = {
    "table": {"target_modules": ["TABLE", "LAYER"]},
    "head": {"target_modules": ["lm_head"]},
    "both": {"target_modules": ["TABLE", "lm_head"]},
    "table saved": {"target_modules": ["LAYER"], "modules_to_save": ["TABLE"]},
    "head saved": {"target_modules": ["LAYER"], "modules_to_save": ["lm_head"]},
    "tied in peft": {"target_modules": ["TABLE"], "ensure_weight_tying": True},
    "dora": {"target_modules": ["LAYER"], "use_dora": True},
    "all layers": {"target_modules": "all-linear"},
}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("how", list(HOW))
@pytest.mark.parametrize("architecture", list(PARTS))
def test_merged_is_unmerged(tmp_path: Path, architecture: str, how: str, tied: bool) -> None:
    """Whatever an adapter changes, also of an embedding that is the output layer too."""
    base = save_tiny(tmp_path / "base", architecture, tie_word_embeddings=tied)
    table, layer = PARTS[architecture]
    settings = json.loads(json.dumps(HOW[how]).replace("TABLE", table).replace("LAYER", layer))
    expected = logits(save_lora(base, tmp_path / "tuned", **settings))
    assert logits(load(tmp_path / "tuned").module) == pytest.approx(expected, abs=2e-4)


def _prefixed(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("base_model."): tensor for name, tensor in tensors.items()}


def _renamed(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name.replace(".attn.", ".self_attn."): tensor for name, tensor in tensors.items()}


def _one_layer(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in tensors.items() if ".h.1." not in name}


def _half(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in tensors.items() if "lora_A" in name}


def _more(tensors: dict[str, Any]) -> dict[str, Any]:
    return tensors | {"base_model.model.score.weight": torch.zeros(2, 32)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_prefixed, r"lacks 4 tensors, first base_model\.model\.transformer\.h\.0\.attn"),
        (_renamed, r"lacks 4 tensors, first base_model"),
        (_one_layer, r"lacks 2 tensors, first base_model\.model\.transformer\.h\.1"),
        (_half, r"lacks 2 tensors, first .*lora_B"),
        (_more, r"has 1 tensors that fit nowhere, first base_model\.model\.score\.weight"),
        (lambda tensors: {}, "lacks 4 tensors"),
    ],
)
def test_tensors_that_are_missing_or_left_over_are_named(tmp_path: Path, change: Any, message: str) -> None:
    base = save_tiny(tmp_path / "base")
    save_lora(base, tmp_path / "tuned", target_modules=["c_attn"])
    path = tmp_path / "tuned" / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "tuned")


def test_a_classifier_is_no_language_model(tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base")
    save_lora(base, tmp_path / "tuned", task="SEQ_CLS", target_modules=["c_attn"])
    with pytest.raises(ModelError, match="is an adapter for SEQ_CLS"):
        load(tmp_path / "tuned")
    config = tmp_path / "tuned" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"task_type": None}))
    with pytest.raises(ModelError, match="score"):
        load(tmp_path / "tuned")
    for architecture in ("gpt2", "gpt_neo", "gptj", "gpt_neox", "opt", "mistral"):
        folder = save_tiny(tmp_path / architecture, architecture)
        found = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        found.save_pretrained(folder)
        with pytest.raises(ModelError, match=r"(lacks|no place in the language model).*(score|lm_head|embed_out)"):
            assert load(folder).module


def _no_base(folder: Path) -> None:
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": None}))


def _lost_base(folder: Path) -> None:
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "./gone"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_base, "names no base model"),
        (_lost_base, "is an adapter of ./gone, which is not here"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "names no base model"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"x" * 100), "cannot be merged into base"),
        (lambda f: save_tiny(f.parent / "base", n_embd=16, n_head=2), "cannot be merged into base"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, cache: Path, damage: Any, message: str) -> None:
    train_adapter(save_tiny(tmp_path / "base"), tmp_path / "tuned")
    damage(tmp_path / "tuned")
    with pytest.raises(GptevalError, match=message):
        load(tmp_path / "tuned")
    assert not cache.exists() or list(cache.iterdir()) == []


def test_without_the_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_adapter(save_tiny(tmp_path / "base"), tmp_path / "tuned")
    path = write(tmp_path / "model.gguf", model_of("gpt2"), "gpt2")
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    monkeypatch.setattr("gpteval.models.foreign.gguf_files.find_spec", lambda name: None)
    for name, hint in ((tmp_path / "tuned", r"gpteval\[peft\]"), (path, r"gpteval\[gguf\]")):
        with pytest.raises(UsageError) as caught:
            load(name)
        assert hint.replace("\\", "") in caught.value.hint


def test_they_run_and_convert(tmp_path: Path, run_cli: RunCli) -> None:
    train_adapter(save_tiny(tmp_path / "base"), tmp_path / "tuned")
    env = {"GPTEVAL_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = run_cli("convert", tmp_path / "tuned", tmp_path / "merged", env=env)
    assert done.returncode == 0, done.stderr
    suite = ("--tasks", "nano_topic", "--limit", 5, "--no-report", "--out", tmp_path / "run", "--json")
    done = run_cli("run", "--models", f"{tmp_path}/tuned,{tmp_path}/merged", *suite, env=env)
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(done.stdout)["results"] if row["primary"]]
    assert rows[0]["value"] == rows[1]["value"]
    assert {row["model"] for row in rows} == {"tuned", "merged"}
    shutil.rmtree(tmp_path / "merged")


def test_what_is_refused_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_lora(save_tiny(tmp_path / "base"), tmp_path / "tuned", target_modules=["c_attn"])
    monkeypatch.setattr("gpteval.models.foreign.peft.CLOSE", -1.0)
    monkeypatch.setattr("gpteval.models.foreign.peft.CLOSE_ROUNDED", -1.0)
    for out in (tmp_path / "out", tmp_path / "empty"):
        with pytest.raises(ModelError, match="gives other numbers than beside it"):
            convert(tmp_path / "tuned", out, open_base)
        assert not (tmp_path / "out").exists()
        (tmp_path / "empty").mkdir(exist_ok=True)
    assert list((tmp_path / "empty").iterdir()) == []
    monkeypatch.undo()
    convert(tmp_path / "tuned", tmp_path / "empty", open_base)
    assert (tmp_path / "empty" / "model.safetensors").is_file()


def test_a_window_that_is_shorter_than_the_probe(tmp_path: Path, cache: Path) -> None:
    save_lora(save_tiny(tmp_path / "base", window=10), tmp_path / "tuned", target_modules=["c_attn"])
    assert load(tmp_path / "tuned").window == 10


def test_an_adapter_is_not_lost_in_the_rounding(tmp_path: Path) -> None:
    """The base's 16 bits where they hold what the adapter changed, else 32."""
    base = save_tiny(tmp_path / "base")
    transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
    save_lora(base, tmp_path / "tuned", target_modules=["c_attn"])
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    expected = logits(peft.PeftModel.from_pretrained(model, tmp_path / "tuned").eval()).log_softmax(-1)
    out = convert(tmp_path / "tuned", tmp_path / "out", open_base)
    stored = next(iter(load_file(out / "model.safetensors").values())).dtype
    found = logits(load(out).module).log_softmax(-1)
    picked = [found[0, place, token] - expected[0, place, token] for place, token in enumerate(IDS[0, 1:].tolist())]
    assert max(map(abs, picked)) < (1e-3 if stored == torch.float32 else 0.2)
    assert stored in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("how", ["embeddings saved", "table tuned", "head tuned", "fewer rows"])
def test_an_embedding_that_was_padded_for_the_adapter(tmp_path: Path, how: str) -> None:
    """Rows to a multiple of 64, of which the tokenizer knows nothing."""
    base = save_tiny(tmp_path / "base")
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    if how == "fewer rows":
        model.resize_token_embeddings(512)
        model.save_pretrained(base)
    had = model.config.vocab_size
    if how == "fewer rows":
        model.resize_token_embeddings(len(byte_level_tokenizer()))
    else:
        model.resize_token_embeddings(had, pad_to_multiple_of=64)
    targets = {"table tuned": ["wte"], "head tuned": ["lm_head", "c_attn"]}.get(how, ["c_attn"])
    torch.manual_seed(2)
    tuned = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=targets))
    with torch.no_grad():
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    tuned.save_pretrained(tmp_path / "tuned", save_embedding_layers=how in ("embeddings saved", "fewer rows"))
    found = load(tmp_path / "tuned")
    rows = found.module.get_input_embeddings().weight.shape[0]
    assert rows == model.get_input_embeddings().weight.shape[0] != had
    expected = logits(tuned.eval())
    same = min(had, rows)
    assert logits(found.module)[..., :same] == pytest.approx(expected[..., :same], abs=1e-4)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3), r"prompt tuning \(PROMPT_TUNING\)"),
        (peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3), r"prefix tuning \(PREFIX_TUNING\)"),
        (peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3), r"p-tuning \(P_TUNING\)"),
    ],
)
def test_what_stands_beside_the_weights_is_named(tmp_path: Path, config: Any, said: str) -> None:
    base = save_tiny(tmp_path / "base")
    tuned = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(base), config)
    tuned.save_pretrained(tmp_path / "tuned")
    with pytest.raises(ModelError, match=f"tuned is an adapter of {said}: it stands beside the weights"):
        load(tmp_path / "tuned")
