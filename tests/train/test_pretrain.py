"""Pre-training: reproducible, resumable, and its result is a model like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gpteval.core.errors import OutputError, UnknownNameError
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel
from gpteval.nano.recipes import recipe_registry
from gpteval.tokens.tokenizer import Codec
from gpteval.train.pretrain import pretrain
from gpteval.train.recipe import Recipe
from gpteval.train.tokenizers import train_tokenizer
from gpteval.train.training_progress import TrainingProgress
from gpteval.train.windows import pack

# The recipes with everything small. Dropout stays on in one, so that resuming must restore the random state too.
SIZES = {
    "gpt1-nano": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    "gpt2-nano": {"n_embd": 16, "n_layer": 1, "n_head": 2, "resid_pdrop": 0.1},
    "gpt3-nano": {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]},
}
SEED = 1
every_recipe = pytest.mark.parametrize("name", SIZES)
Trained = Callable[[str], Path]


def small(name: str) -> Recipe:
    recipe = recipe_registry()[name]
    config = {**recipe.config, **SIZES[name]}
    short = min(recipe.short_steps, 5)  # so that a training that stops after its first step goes on with both
    return replace(recipe, config=config, vocabulary=400, window=32, batch=4, steps=10, short_steps=short)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A small recipe's model by the recipe's name, trained for ten steps, once."""
    folders: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in folders:
            folders[name] = pretrain(small(name), tmp_path_factory.mktemp(name), seed=SEED, device="cpu")
        return folders[name]

    return get


def facts(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return found


def losses(folder: Path) -> dict[int, float]:
    return dict(facts(folder)["loss"])  # type: ignore[call-overload, no-any-return]


@every_recipe
def test_a_trained_folder_loads_as_a_model(name: str, trained: Trained) -> None:
    folder = trained(name)
    model = HFModel(resolve_models([str(folder)])[0])
    assert model.window == 32
    assert model.info.generation == name.partition("-")[0]
    assert model.module.num_parameters() == facts(folder)["parameters"]
    assert {str(weight.dtype) for weight in load_file(folder / "model.safetensors").values()} == {"float16"}
    assert not (folder / "checkpoints").exists()
    assert losses(folder)[10] < losses(folder)[6], "whole windows from the sixth step on"


@every_recipe
def test_the_same_seed_gives_the_same_loss(name: str, trained: Trained, tmp_path: Path) -> None:
    again = pretrain(small(name), tmp_path / "again", seed=SEED, device="cpu")
    assert list(losses(again)) == list(range(1, 11))
    assert losses(again) == pytest.approx(losses(trained(name)), abs=1e-4)
    assert (again / "tokenizer.json").read_text() == (trained(name) / "tokenizer.json").read_text()


def test_windows_are_short_at_first(tmp_path: Path) -> None:
    """The first step's loss is that of the first short windows alone; the tokens of a step are the same."""
    seen = []

    class Told(TrainingProgress):
        def step(self, step: int, steps: int, loss: float) -> None:
            seen.append(loss)

    for short in (0, 1):
        config = {**small("gpt2-nano").config, "resid_pdrop": 0.0}
        recipe = replace(small("gpt2-nano"), short_steps=short, config=config)
        pretrain(recipe, tmp_path / str(short), steps=2, seed=SEED, device="cpu", progress=Told())
        assert facts(tmp_path / str(short))["tokens"] == 2 * 4 * 32
    whole, short_windows = seen[0], seen[len(seen) // 2]
    assert whole != pytest.approx(short_windows, abs=1e-6)


def test_another_seed_gives_another_loss(trained: Trained, tmp_path: Path) -> None:
    other = pretrain(small("gpt2-nano"), tmp_path / "other", seed=SEED + 1, device="cpu")
    assert losses(other)[1] != pytest.approx(losses(trained("gpt2-nano"))[1], abs=1e-4)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A training that the time limit ended after its first step."""
    folder = pretrain(small("gpt2-nano"), tmp_path / "model", seed=SEED, device="cpu", max_minutes=0)
    assert facts(folder)["steps"] == 1
    assert any((folder / "checkpoints").glob("checkpoint-*"))
    return folder


def test_a_stopped_training_continues_to_the_same_model(stopped: Path, trained: Trained) -> None:
    seconds = facts(stopped)["seconds"]
    assert "--steps 10 " in (stopped / "README.md").read_text(encoding="utf-8")  # the schedule's length, not 1
    pretrain(small("gpt2-nano"), stopped, seed=SEED, device="cpu")
    whole = trained("gpt2-nano")
    assert losses(stopped)[10] == pytest.approx(losses(whole)[10], abs=1e-4)
    continued, undisturbed = (load_file(folder / "model.safetensors") for folder in (stopped, whole))
    assert continued.keys() == undisturbed.keys()
    for name, weight in continued.items():
        assert weight == pytest.approx(undisturbed[name], abs=1e-3), name
    assert facts(stopped)["seconds"] >= seconds  # type: ignore[operator]
    assert not (stopped / "checkpoints").exists()


def test_checkpoints_of_another_training_are_not_continued(stopped: Path) -> None:
    before = (stopped / "model.safetensors").read_bytes()
    for recipe, seed in ((small("gpt2-nano"), SEED + 1), (replace(small("gpt2-nano"), learning_rate=1.0), SEED)):
        with pytest.raises(OutputError, match="other settings"):
            pretrain(recipe, stopped, seed=seed, device="cpu")
    with pytest.raises(OutputError, match="other settings"):
        pretrain(small("gpt2-nano"), stopped, steps=20, seed=SEED, device="cpu")
    assert (stopped / "model.safetensors").read_bytes() == before


def test_progress_and_card(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Told(TrainingProgress):
        stages: list[str] = []  # noqa: RUF012
        steps: list[tuple[int, int, float]] = []  # noqa: RUF012

        def stage(self, text: str) -> None:
            self.stages.append(text)

        def step(self, step: int, steps: int, loss: float) -> None:
            self.steps.append((step, steps, loss))

    folder = pretrain(small("gpt2-nano"), tmp_path / "model", device="cpu", progress=Told(), seed=7)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert [text[:3] for text in Told.stages] == ["1/4", "2/4", "3/4", "4/4"]
    assert [step for step, _, _ in Told.steps][:10] == list(range(1, 11))
    assert {total for _, total, _ in Told.steps} == {10}
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("train/loss")}
    assert logged == pytest.approx(losses(folder), abs=1e-3)
    card = (folder / "README.md").read_text(encoding="utf-8")
    for fact in (
        "gpteval's generated world",
        "left to right",
        "**not** the historical model",
        "`gpteval pretrain --recipe gpt2-nano --steps 10 --seed 7`",
        "1,280 (10 steps of 128)",
        f"| 10 | {losses(folder)[10]:.3f} |",
    ):
        assert fact in card


@every_recipe
def test_no_path_of_the_machine_is_saved(name: str, trained: Trained) -> None:
    folder = trained(name)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"config.json", "model.safetensors", "tokenizer.json", "README.md"}
    for path in files:
        assert str(folder.parent).encode() not in path.read_bytes(), path.name


def test_documents_are_packed_end_to_end() -> None:
    recipe = small("gpt2-nano")
    tokenizer = train_tokenizer(recipe.tokenizer, islice(recipe.corpus(0), 500), 400)
    codec = Codec(tokenizer)
    windows, documents = pack(recipe, codec, 20, seed=0)
    assert windows.shape == (20, 32)
    taken = codec.encode(list(islice(recipe.corpus(0), documents)))
    assert windows.size <= sum(len(ids) + 1 for ids in taken) < 8 * windows.size, "of which no more are read"
    ids = [int(i) for i in windows.ravel()]
    first, second = codec.encode(list(islice(recipe.corpus(0), 2)))
    expected = [*first, tokenizer.eos_token_id, *second, tokenizer.eos_token_id][: len(ids)]
    assert ids[: len(expected)] == expected


def test_gpt1s_tokenizer_is_like_the_real_one() -> None:
    recipe = small("gpt1-nano")
    codec = Codec(train_tokenizer(recipe.tokenizer, islice(recipe.corpus(0), 500), 400))
    assert codec.condition is None
    assert codec.eos == frozenset()
    assert codec.newline_token is not None
    assert codec.decode(codec.encode(["News: Été\nTopic: music"])[0]) == "news : ete \n topic : music"
    assert "<unk>" not in codec.decode(codec.encode(["~ 1984 {x} @ 50% <a>"])[0])  # as other tasks may have


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="gpt2-nano"):
        recipe_registry()["gpt2-nanno"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        pretrain(small("gpt2-nano"), tmp_path / "file" / "x", steps=1, device="cpu")
