"""``gpteval pretrain --config``: text and size of one's own, and text that is kept from the training."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from gpteval.core.errors import DataError, GptevalError, UsageError
from gpteval.run.evaluate import evaluate
from gpteval.train.config_file import Corpus, read_config, split
from gpteval.train.pretrain import HELD_OUT, pretrain
from tests.conftest import RunCli

MODEL = "[model]\nn_embd = 16\nn_layer = 1\nn_head = 2\n"
SMALL = f'text = "*.jsonl"\nvocabulary = 300\nwindow = 32\nbatch = 2\nsteps = 4\n{MODEL}'
LINES = [f"The {n} of them went to the {n % 7} house, and {n % 5} came back.\nNobody knew why." for n in range(200)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in LINES))
    (tmp_path / "novel.txt").write_text("\n".join(LINES))
    return tmp_path


def config(folder: Path, text: str = SMALL) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_model_of_ones_own_is_trained_and_measured_on_what_it_has_not_read(folder: Path, run_cli: RunCli) -> None:
    done = run_cli("pretrain", "--config", config(folder), "--out", folder / "model", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    kept = folder / "model" / HELD_OUT
    assert f"gpteval run --models {folder / 'model'} --tasks text:{kept}" in done.stderr
    facts = json.loads((folder / "model/training.json").read_text())
    assert (facts["steps"], facts["tokens"]) == (4, 256)
    card = (folder / "model/README.md").read_text()
    assert "200 documents of mine.jsonl" in card
    assert "`gpteval pretrain --config mine.toml --steps 4 --seed 0`" in card
    assert "historical" not in card
    assert str(folder) not in card
    outcome = evaluate([str(folder / "model")], [f"text:{kept}"], out=folder / "run", device="cpu")
    (row,) = [result for result in outcome.results if result.primary]
    assert row.n == len(kept.read_text().splitlines())


def test_every_architecture_can_be_trained(folder: Path) -> None:
    sizes = {
        "openai-gpt": "n_embd = 16\nn_layer = 1\nn_head = 2",
        "gptj": "n_embd = 16\nn_layer = 1\nn_head = 2\nrotary_dim = 4",
        "gpt_neox": "hidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 32",
        "opt": "hidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nffn_dim = 32",
        "gpt_neo": 'hidden_size = 16\nnum_layers = 2\nnum_heads = 2\nattention_types = [[["global", "local"], 1]]',
    }
    for name, size in sizes.items():
        kind = "lower-case BPE" if name == "openai-gpt" else "byte-level BPE"
        text = SMALL.replace(MODEL, f'architecture = "{name}"\ntokenizer = "{kind}"\n[model]\n{size}\n')
        trained = pretrain(read_config(config(folder, text)), folder / name, steps=2, device="cpu")
        assert json.loads((trained / "config.json").read_text())["model_type"] == name
        assert json.loads((trained / "training.json").read_text())["steps"] == 2


def test_whole_documents_are_kept_and_of_few_the_end_of_each() -> None:
    many = split(LINES, 0.1)
    assert 5 < len(many.held_out) < 40
    assert sorted({*many.documents, *many.held_out}) == sorted(LINES)
    assert not set(many.documents) & set(many.held_out)
    assert split([*LINES, *LINES], 0.1).held_out == many.held_out, "what stands there twice is in one part only"
    novel = "\n".join(LINES)
    few = split([novel, "one line"], 0.02)
    assert few.documents[0] + few.held_out[0] == novel
    assert few.documents[0].endswith("\n")
    assert few.documents[1] == "one line"
    assert len(few.held_out[0]) == pytest.approx(0.02 * len(novel), abs=80)
    assert split(LINES, 0).held_out == ()


def test_documents_come_again_and_again_in_another_order() -> None:
    corpus = Corpus(tuple("abcdefgh"), ())
    first, second = (list(islice(corpus(3), 16)) for _ in range(2))
    assert first == second
    assert sorted(first[:8]) == sorted(first[8:]) == list("abcdefgh")
    assert first[:8] != first[8:]
    assert list(islice(corpus(4), 16)) != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = = 3", "is not TOML"),
        ("steps = 5", "text is missing"),
        ('text = "*.jsonl"\nlayers = 5', "unknown setting 'layers'"),
        ('text = "none/*.txt"', "no file is named"),
        ('text = "*.jsonl"\nsteps = 0', "steps is a number of at least 1"),
        ('text = "*.jsonl"\nlearning_rate = "high"', "learning_rate"),
        ('text = "*.jsonl"\nsteps = true', "steps is a number"),
        ("text = 5", "text is a list of file names"),
        ('text = "*.jsonl"\nheld_out = 1.5', "held_out is a share"),
        ('text = "*.jsonl"\nshort_steps = -1', "short_steps is a number"),
        ('text = "*.jsonl"\nshort_steps = 9\nwindow = 30', "window is a multiple of 4"),
        ('text = "*.jsonl"\narchitecture = "bert"', "architecture is one of openai-gpt, gpt2"),
        ('text = "*.jsonl"\ntokenizer = "words"', "tokenizer is"),
        ('text = "*.jsonl"\ncolumn = "body"', "no column 'body'"),
        (SMALL + "width = 5\n", "gpt2 has no setting 'width'"),
        (SMALL.replace("n_head = 2", "n_head = 3"), "cannot be built"),
        (SMALL + "vocab_size = 9\n", "vocab_size is not for"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_trained(folder: Path, text: str, message: str) -> None:
    with pytest.raises(GptevalError, match=message):
        pretrain(read_config(config(folder, text)), folder / "model", device="cpu")
    assert not (folder / "model/model.safetensors").exists()


def test_empty_text_and_a_missing_file(folder: Path) -> None:
    (folder / "mine.jsonl").write_text('{"text": " "}\n')
    with pytest.raises(DataError, match="holds no text"):
        read_config(config(folder))
    with pytest.raises(UsageError, match="cannot read"):
        read_config(folder / "absent.toml")


def test_text_may_lie_anywhere(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    recipe = read_config(config(away, SMALL.replace("*.jsonl", f"{folder}/mine.jsonl")))
    assert recipe.corpus_name.startswith("200 documents of mine.jsonl (")
    assert str(folder) not in recipe.corpus_name
    assert read_config(config(folder, SMALL + "").with_name("mine.toml")).learning_rate == 1e-3
    assert read_config(config(folder, "learning_rate = 1\n" + SMALL)).learning_rate == 1


def test_one_of_recipe_and_config(folder: Path, run_cli: RunCli) -> None:
    for options in ((), ("--recipe", "gpt2-nano", "--config", str(config(folder)))):
        refused = run_cli("pretrain", *options)
        assert refused.returncode == 2
        assert "one of --recipe and --config" in refused.stderr
