"""Tuning with a head: its arithmetic, what is refused before any training, and the tuned model as any other."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gpteval.core.errors import DataError, GptevalError, ItemError, ModelError, OutputError, TaskError, UsageError
from gpteval.core.registry import task_registry
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.rows import Tokens
from gpteval.experiments import protocols
from gpteval.experiments.protocols import Protocols, Row
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.report import build_report
from gpteval.run.api import evaluate
from gpteval.tune import training
from gpteval.tune.added import added
from gpteval.tune.examples import SPECIAL, Form, form_of, make_examples
from gpteval.tune.methods import METHODS, RATES, SIZES, WEIGHTS, apply, trained
from gpteval.tune.model import Batch, TextModel, TunedModel, grouped
from gpteval.tune.saved import ABOUT, HEAD, Tuned, read_tuned
from gpteval.tune.settings import Settings, options
from gpteval.tune.trainer import collate
from gpteval.tune.training import Told, tune
from tests.conftest import RunCli
from tests.tiny import ARCHITECTURES, save_tiny

TASKS = '''
from gpteval import Choice, Generate, Rolling, file, task

ROWS = file("test.jsonl", train="train.jsonl")
SAME = file("train.jsonl", train="train.jsonl")

@task(family="classification", source=ROWS, shots_from="train", metric="acc_char", metrics=["macro_f1"])
def fox(item):
    """Whether there is a fox."""
    return Choice(f"{item['text']}\\nA fox?", [" no", " yes"], gold=item["fox"])

@task(family="qa", source=ROWS, shots_from="train", metric="acc")
def which(item):
    """Which is the fox."""
    return Choice(item["text"], [f" the {name}" for name in item["names"]], gold=item["right"])

@task(family="classification", source=SAME, shots_from="train", metric="acc")
def again(item):
    """The rows that the first task trains on, evaluated."""
    return Choice(f"{item['text']}\\nA fox?", [" no", " yes"], gold=item["fox"])

@task(family="classification", source=ROWS, metric="acc")
def no_split(item):
    return Choice(item["text"], [" no", " yes"], gold=item["fox"])

@task(family="classification", source=ROWS, shots_from="other", metric="acc")
def lost_split(item):
    return Choice(item["text"], [" no", " yes"], gold=item["fox"])

@task(family="classification", source=ROWS, shots_from="train", metric="acc")
def one_class(item):
    return Choice(item["text"], [" no", " yes"], gold=0)

@task(family="classification", source=ROWS, shots_from="train", metric="acc")
def unlabelled(item):
    return Choice(item["text"], [" no", " yes"], gold=item["label"])

@task(family="classification", source=ROWS, shots_from="train", metric="acc")
def long(item):
    return Choice(item["text"] * 20, [" no", " yes"], gold=item["fox"])

@task(family="qa", source=ROWS, shots_from="train", metric="exact_match")
def says(item):
    return Generate(f"{item['text']}\\nA fox?", ["yes" if item["fox"] else "no"], max_new_tokens=6)

@task(family="lm", source=ROWS, shots_from="train", metric="bits_per_byte")
def texts(item):
    return Rolling(item["text"])
'''
ANIMALS = ["fox", "dog", "man", "sky"]


@pytest.fixture(scope="module")
def task_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "things.py").write_text(TASKS)
    draw = random.Random(0)
    for split, count in (("train", 200), ("test", 60)):
        rows = []
        for number in range(count):
            animal = draw.choice(ANIMALS)
            right = draw.randrange(3)
            names = ["dog", "sky"]
            names.insert(right, "fox")
            text = f"the {animal} jumps over number {number if split == 'train' else number + 1000}"
            label = draw.randrange(2) if number % 4 else -1
            row = {"text": text, "fox": int(animal == "fox"), "names": names, "right": right, "label": label}
            rows.append(row)
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "base")


def tuned(base: Path, task_dir: Path, name: str, out: Path, **settings: Any) -> Tuned:
    (info,) = resolve_models([str(base)])
    task = task_registry((task_dir,))[name]
    return tune(info, task, out, Settings(**{"learning_rate": 1e-2, **settings}), LoadOptions(device="cpu"))


def causal(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


class TestArithmetic:
    form = Form("classes", ("no", "yes"), 400, 48)

    def sequences(self) -> list[tuple[Tokens, ...]]:
        start, _, extract = (Tokens([400 + n]) for n in range(len(SPECIAL)))
        return [(start + Tokens(ids) + extract,) for ids in ([5, 6, 7, 8, 9], [7], [8, 9, 10])]

    @pytest.mark.parametrize("kind", ARCHITECTURES)
    def test_an_item_alone_has_the_logits_it_has_among_longer_ones(self, kind: str, tmp_path: Path) -> None:
        model = causal(save_tiny(tmp_path / kind, kind))
        vocabulary = model.config.vocab_size
        form = Form("classes", ("a", "b", "c"), vocabulary, 48)
        start, _, extract = (Tokens([vocabulary + n]) for n in range(len(SPECIAL)))
        items = [(start + Tokens(ids) + extract,) for ids in ([5, 6, 7, 8, 9], [7], [8, 9, 10])]
        module = TunedModel(model, form).eval()
        with torch.no_grad():
            module.special.mul_(20)
            batch = Batch.of(items)
            together = module(batch.ids, batch.mask, batch.owners)["logits"]
            for number, item in enumerate(items):
                one = Batch.of([item])
                alone = module(one.ids, one.mask, one.owners)["logits"][0]
                assert torch.allclose(together[number], alone, atol=1e-5)

    def test_the_auxiliary_loss_is_that_of_transformers(self, base: Path) -> None:
        module = TunedModel(causal(base), self.form).eval()
        batch = Batch.of(self.sequences())
        labels = torch.tensor([0, 1, 1])
        with torch.no_grad():
            found = module(batch.ids, batch.mask, batch.owners, labels)
            own = batch.ids >= 400
            embedded = module.causal.get_input_embeddings()(batch.ids.masked_fill(own, 0))
            embedded[own] = module.special[batch.ids[own] - 400]
            targets = batch.ids.masked_fill(own | (batch.mask == 0), -100)
            expected = module.causal(inputs_embeds=embedded, attention_mask=batch.mask, labels=targets).loss
        assert float(found["language"]) == pytest.approx(float(expected), abs=1e-5)
        assert float(found["loss"]) == pytest.approx(float(found["task"]) + 0.5 * float(expected), abs=1e-5)

    def test_scores_of_answers_are_put_beside_each_other(self) -> None:
        found = grouped(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), torch.tensor([0, 0, 1, 2, 2]))
        assert found.tolist() == [[1, 2], [3, float("-inf")], [4, 5]]

    def test_a_score_an_answer_where_the_right_one_is_forced(self, base: Path) -> None:
        """The head looks along the direction of one answer's last state: that answer wins, wherever it stands."""
        form = Form("answers", (), 400, 48)
        start, delimiter, extract = (Tokens([400 + n]) for n in range(len(SPECIAL)))
        answers = [start + Tokens([5, 6]) + delimiter + Tokens([answer]) + extract for answer in (11, 12, 13)]
        module = TunedModel(causal(base), form).eval()
        with torch.no_grad():
            module.special.mul_(20)
            one = Batch.of([answers])
            states = module.states(one.ids, one.mask)[:, -1]
            for right in range(3):
                module.head.weight.copy_((states[right] - states.mean(0))[None])
                for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
                    item = tuple(answers[n] for n in order)
                    batch = Batch.of([item, item[:2]])
                    logits = module(batch.ids, batch.mask, batch.owners)["logits"]
                    assert order[int(logits[0].argmax())] == right
                    assert logits[1, 2] == float("-inf")

    def test_the_loss_of_answers_is_their_cross_entropy(self, base: Path) -> None:
        module = TunedModel(causal(base), Form("answers", (), 400, 48), weight=0.0).eval()
        items = [(Tokens([400, 5, 402]), Tokens([400, 6, 7, 402])), (Tokens([400, 8, 402]),) * 3]
        batch = Batch.of(items)
        with torch.no_grad():
            found = module(batch.ids, batch.mask, batch.owners, torch.tensor([1, 0]))
        first = torch.log_softmax(found["logits"][0, :2], dim=0)[1]
        assert float(found["loss"]) == pytest.approx(float((-first + torch.log(torch.tensor(3.0))) / 2), abs=1e-5)


class TestAdded:
    """Prefix and adapters work while the head reads, and leave the language model as it was."""

    @pytest.mark.parametrize("method", ["prefix", "adapter"])
    @pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gptj", "gpt_neox"])
    def test_only_while_it_reads(self, method: str, kind: str, tmp_path: Path) -> None:
        model = causal(save_tiny(tmp_path / kind, kind))
        ids = torch.tensor([[5, 6, 7, 8]])
        vocabulary = model.config.vocab_size
        item = Batch.of([(Tokens([vocabulary, 5, 6, 7, vocabulary + 2]),)])
        with torch.no_grad():
            before = model(ids).logits
            plain = TunedModel(model, Form("classes", ("a", "b"), vocabulary, 48)).eval()
            extra = added(model, method, 3)
            module = TunedModel(model, Form("classes", ("a", "b"), vocabulary, 48, extra.reads), extra).eval()
            module.load_state_dict(plain.state_dict(), strict=False)
            for weight in extra.parameters():
                weight.add_(torch.randn_like(weight))
            read = module(item.ids, item.mask, item.owners)["logits"]
            assert not torch.allclose(read, plain(item.ids, item.mask, item.owners)["logits"], atol=1e-3)
            assert torch.equal(model(ids).logits, before)

    def test_a_prefix_is_what_comes_before_a_text(self, base: Path) -> None:
        """As it begins, it is the keys and values of tokens: those tokens before the text give the same state."""
        model = causal(base)
        extra = added(model, "prefix", 3)
        module = TunedModel(model, Form("classes", ("a", "b"), 400, 48, 3), extra).eval()
        item = Batch.of([(Tokens([400, 5, 6, 402]),)])
        with torch.no_grad():
            found = module.states(item.ids, item.mask)
            table = model.get_input_embeddings()
            embedded = torch.cat(
                [table(torch.tensor([[0, 7, 14]])), module.special[None, :1], table(item.ids[:, 1:3])], 1
            )
            embedded = torch.cat([embedded, module.special[None, 2:]], 1)
            expected = model.base_model(inputs_embeds=embedded)[0][:, 3:]
        assert torch.allclose(found, expected, atol=1e-5)

    @pytest.mark.parametrize(("method", "kind"), [("prefix", "openai-gpt"), ("adapter", "opt")])
    def test_not_every_architecture_takes_them(self, method: str, kind: str, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=kind):
            added(causal(save_tiny(tmp_path / kind, kind)), method, 3)


class TestPairs:
    def codec(self, base: Path) -> Any:
        return HFModel(resolve_models([str(base)])[0]).codec

    def test_a_delimiter_stands_between_and_similar_ones_have_both_orders(self, base: Path) -> None:
        codec = self.codec(base)
        asked = Choice("Q", [" no", " yes"], 0, parts=("the fox", "a dog"))
        form = form_of([Prompt("i", asked)], 400, 48)
        ((sequence,), _) = form.sequences(Prompt("i", asked), codec)
        first, second = codec.encode(["the fox", "a dog"])
        assert list(sequence) == [400, *first, 401, *second, 402]
        both, _ = form.sequences(Prompt("i", replace(asked, similar=True)), codec)
        assert [list(one) for one in both] == [list(sequence), [400, *second, 401, *first, 402]]

    def test_a_similarity_does_not_depend_on_the_order(self, base: Path) -> None:
        codec = self.codec(base)
        one = Choice("Q", [" no", " yes"], 0, parts=("the fox", "a dog jumps"), similar=True)
        other = replace(one, parts=("a dog jumps", "the fox"))
        form = form_of([Prompt("i", one)], 400, 48)
        module = TunedModel(causal(base), form).eval()
        batch = Batch.of([form.sequences(Prompt("i", request), codec)[0] for request in (one, other)])
        with torch.no_grad():
            found = module(batch.ids, batch.mask, batch.owners)["logits"]
            states = module.states(batch.ids, batch.mask)[torch.arange(4), batch.mask.sum(1) - 1]
            expected = module.head(states[0] + states[1])
        assert torch.allclose(found[0], found[1], atol=1e-5)
        assert torch.allclose(found[0], expected, atol=1e-5)

    def test_one_text_in_place_of_the_prompt(self, base: Path) -> None:
        codec = self.codec(base)
        asked = Prompt("i", Choice("Question: a fox? Answer:", [" no", " yes"], 0, parts=("a fox",)))
        ((sequence,), _) = form_of([asked], 400, 48).sequences(asked, codec)
        assert list(sequence) == [400, *codec.encode(["a fox"])[0], 402]

    @pytest.mark.parametrize(("parts", "similar"), [(("x", "y", "z"), False), (("x",), True), ((), True)])
    def test_one_or_two(self, parts: tuple[str, ...], similar: bool) -> None:
        with pytest.raises(ItemError, match="about one text or two"):
            Choice("Q", [" no", " yes"], 0, parts=parts, similar=similar)


class TestInputs:
    def test_classes_are_one_sequence_and_answers_one_each(self, base: Path) -> None:
        codec = HFModel(resolve_models([str(base)])[0]).codec
        same = [Prompt(str(n), Choice(f"text {n}", [" no", " yes"], n % 2)) for n in range(2)]
        form = form_of(same, 400, 48)
        (sequence,), cut = form.sequences(same[0], codec)
        assert (form.kind, form.classes, cut) == ("classes", ("no", "yes"), 0) or form.classes == (" no", " yes")
        assert (sequence[0], sequence[-1]) == (400, 402)
        assert codec.decode(list(sequence[1:-1])) == "text 0"
        other = [*same, Prompt("x", Choice("which", [" a fox", " a dog", " it"], 0))]
        form = form_of(other, 400, 48)
        found, _ = form.sequences(other[2], codec)
        assert form.kind == "answers"
        assert [codec.decode(list(one[1:-1])[list(one).index(401) :]) for one in found] == ["a fox", "a dog", "it"]

    def test_what_is_too_long_loses_its_beginning(self, base: Path) -> None:
        codec = HFModel(resolve_models([str(base)])[0]).codec
        prompts = [Prompt(str(n), Choice("dog " * 60 + "fox", [" no", " yes"], n)) for n in range(2)]
        form = form_of(prompts, 400, 48)
        with pytest.raises(UsageError, match="2 of 2 texts are longer than the window of 48 tokens"):
            make_examples(prompts, form, codec)
        (example, _) = make_examples(prompts, form, codec, cut=True)
        assert len(example.sequences[0]) == 48
        assert codec.decode(list(example.sequences[0][1:-1])).endswith("dog fox")

    def test_other_answers_than_the_heads_are_refused(self, base: Path) -> None:
        codec = HFModel(resolve_models([str(base)])[0]).codec
        form = Form("classes", ("bad", "good"), 400, 48)
        with pytest.raises(TaskError, match="has the answers"):
            form.sequences(Prompt("i", Choice("x", [" no", " yes"], 0)), codec)
        with pytest.raises(TaskError, match="has no choices"):
            form_of([Prompt("i", Rolling("x"))], 400, 48)


class TestRefused:
    """Before any training: nothing is written but what was asked for."""

    @pytest.mark.parametrize(
        ("name", "error", "said"),
        [
            ("no_split", TaskError, "has no training split"),
            ("lost_split", DataError, "its training split 'other' cannot be had"),
            ("one_class", TaskError, "all 180 examples are of the class"),
            ("unlabelled", GptevalError, "cannot be posed"),
            ("long", UsageError, "texts are longer than the window of 48 tokens"),
            ("texts", TaskError, "has no choices"),
            ("again", TaskError, "all 200 rows of its training split are evaluated too"),
        ],
    )
    def test_tasks(self, base: Path, task_dir: Path, tmp_path: Path, name: str, error: Any, said: str) -> None:
        with pytest.raises(error, match=said):
            tuned(base, task_dir, name, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"method": "magic"}, "unknown method 'magic'"),
            ({"examples": 1}, "cannot be learned from fewer than 2"),
            ({"examples": 5000}, "has 200 examples to train on, 5000 are asked for"),
            ({"epochs": 0}, "--epochs is 0"),
            ({"batch_size": 32, "accumulate": 5}, "does not divide"),
            ({"learning_rate": -1.0}, "--learning-rate is -1.0"),
            ({"dropout": 1.0}, "--dropout"),
        ],
    )
    def test_settings(self, base: Path, task_dir: Path, tmp_path: Path, settings: Any, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            tuned(base, task_dir, "fox", tmp_path / "out", **settings)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--model", "nano", "--task", "fox"], "--model nano stands for 5 models"),
            (["--model", "gpt2-nano", "--task", "nano"], "--task nano stands for 10 tasks"),
            (["--model", "openai:gpt-4o", "--task", "fox"], "is behind an API"),
        ],
    )
    def test_names(self, task_dir: Path, tmp_path: Path, in_process: RunCli, options: list[str], said: str) -> None:
        done = in_process("finetune", *options, "--task-dir", task_dir, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert said in done.stderr
        assert not (tmp_path / "out").exists()

    def test_methods_of_protocols(self, base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli) -> None:
        asked = ["protocols", "--model", base, "--task", "fox", "--methods", "head,magic", "--task-dir", task_dir]
        done = in_process(*asked, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert "unknown method 'magic'" in done.stderr
        assert not (tmp_path / "out").exists()

    def test_without_accelerate(
        self, base: Path, task_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(training, "find_spec", lambda name: None)
        with pytest.raises(UsageError, match="needs accelerate"):
            tuned(base, task_dir, "fox", tmp_path / "out")

    def test_a_loss_that_is_not_finite(self, base: Path, task_dir: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="the loss on the validation examples is not finite"):
            tuned(base, task_dir, "fox", tmp_path / "out", learning_rate=1e38, epochs=1)
        assert not (tmp_path / "out").exists(), "so that the corrected command can be given"

    def test_folders_that_hold_something_else(self, base: Path, task_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("x")
        with pytest.raises(OutputError, match="is not empty"):
            tuned(base, task_dir, "fox", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_methods_train_few_weights_or_all() -> None:
    (info,) = resolve_models(["gpt2-nano"])
    for method in METHODS:
        model = causal(Path(info.location))
        whole = model.num_parameters()
        extra = added(model, method, SIZES[method])
        apply(model, method, SIZES[method])
        count = trained(TunedModel(model, Form("classes", ("a", "b"), 3072, 384), extra))
        assert count > whole if method == "full" else count < 0.05 * whole
        if method != "full":
            assert not model.get_input_embeddings().weight.requires_grad


@pytest.fixture(scope="module")
def fox(base: Path, task_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ft") / "fox"
    tuned(base, task_dir, "fox", out, epochs=4)
    return out


class TestTheTunedModel:
    def test_it_runs_like_any_other_and_beats_what_it_was(
        self, base: Path, fox: Path, task_dir: Path, tmp_path: Path
    ) -> None:
        first = evaluate([str(base), str(fox)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        assert not first.failures
        results = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
        primary = {row["model"]: row for row in results if row["primary"]}
        before, after = primary[base.name], primary[fox.name]
        assert (before["protocol"], before["metric"]) == ("zero_shot", "acc_char")
        assert (after["protocol"], after["metric"]) == ("finetune", "acc")
        assert after["value"] > 0.95
        assert after["n"] == 60
        assert any("tuned for this task: full" in note for note in after["notes"])
        again = evaluate([str(fox)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        assert not again.failures

    def test_other_processes_ask_the_head_too(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        common: dict[str, Any] = {"device": "cpu", "cache": False, "task_dirs": (task_dir,)}
        evaluate([str(fox)], ("fox",), out=tmp_path / "one", **common)
        evaluate([str(fox)], ("fox",), out=tmp_path / "two", executor="process", workers=1, **common)
        one, two = (json.loads((tmp_path / name / "results.json").read_text())["results"] for name in ("one", "two"))
        assert [row | {"seconds": 0} for row in one] == [row | {"seconds": 0} for row in two]

    def test_examples_in_the_prompt_ask_its_language_model(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        evaluate([str(fox)], ("fox",), out=tmp_path, device="cpu", task_dirs=(task_dir,), shots=[1])
        results = json.loads((tmp_path / "results.json").read_text())["results"]
        assert {row["protocol"] for row in results} == {"one_shot"}

    def test_what_it_was_trained_on_is_not_evaluated(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        about = json.loads((fox / ABOUT).read_text())
        other = tmp_path / "other"
        other.mkdir()
        for path in fox.iterdir():
            if path.is_file():
                (other / path.name).write_bytes(path.read_bytes())
        train = (task_dir / "train.jsonl").read_text()
        moved = tmp_path / "tasks"
        moved.mkdir()
        (moved / "things.py").write_text((task_dir / "things.py").read_text())
        (moved / "test.jsonl").write_text(train)
        (moved / "train.jsonl").write_text(train)
        outcome = evaluate([str(other)], (about["task"],), out=tmp_path / "run", device="cpu", task_dirs=(moved,))
        assert "was trained on 200 of these 200 items" in outcome.failures[0].error

    def test_the_report_shows_what_was_trained(self, base: Path, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        evaluate([str(base), str(fox)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        page = build_report([tmp_path / "run"], tmp_path / "report.html").read_text()
        about = read_tuned(fox)
        assert about
        view = page[page.index('<section id="tuning"') :]
        assert f"<td>{about.trained:,}</td>" in view
        assert f"<td>{about.examples:,}</td>" in view
        assert f"step {about.validation_losses[-1][0]}: validation loss {about.validation_losses[-1][1]:.3f}" in page
        evaluate([str(base)], ("fox",), out=tmp_path / "plain", device="cpu", task_dirs=(task_dir,))
        assert "#tuning" not in build_report([tmp_path / "plain"], tmp_path / "plain.html").read_text()

    def test_plain_transformers_loads_it(self, fox: Path) -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(fox)
        words = transformers.AutoTokenizer.from_pretrained(fox)
        ids = words("the quick", return_tensors="pt")["input_ids"]
        assert model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0).shape[1] > ids.shape[1]

    def test_a_damaged_one_says_so(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        for path in fox.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / ABOUT).write_text("{}")
        outcome = evaluate([str(tmp_path)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        assert "tune the model again" in outcome.failures[0].error
        assert (tmp_path / HEAD).is_file()

    def test_it_is_not_tuned_twice(self, base: Path, fox: Path, task_dir: Path) -> None:
        with pytest.raises(OutputError, match="holds a tuned model already"):
            tuned(base, task_dir, "fox", fox, epochs=4)


@pytest.mark.parametrize("method", ["lora", "prefix", "adapter", "head"])
def test_other_methods_learn_too(base: Path, task_dir: Path, tmp_path: Path, method: str) -> None:
    epochs = 30 if method == "prefix" else 12
    about = tuned(
        base, task_dir, "fox", tmp_path / method, method=method, epochs=epochs, learning_rate=3e-2, patience=epochs
    )
    evaluate([str(tmp_path / method)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
    (row,) = [r for r in json.loads((tmp_path / "run" / "results.json").read_text())["results"] if r["primary"]]
    assert row["value"] > 0.85
    assert about.validation_losses[-1][1] < about.validation_losses[0][1]
    assert about.validation_accuracy == pytest.approx(row["value"], abs=0.15)
    half = tmp_path / "half"
    evaluate([str(tmp_path / method)], ("fox",), out=half, device="cpu", dtype="bfloat16", task_dirs=(task_dir,))
    (again,) = [r for r in json.loads((half / "results.json").read_text())["results"] if r["primary"]]
    assert again["value"] == pytest.approx(row["value"], abs=0.05)
    if method != "lora":
        assert torch.equal(causal(tmp_path / method).lm_head.weight, causal(base).lm_head.weight)


def test_answers_of_ones_own_are_learned(base: Path, task_dir: Path, tmp_path: Path) -> None:
    tuned(base, task_dir, "which", tmp_path / "which", epochs=12, patience=12, learning_rate=3e-3)
    evaluate([str(tmp_path / "which")], ("which",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
    (row,) = [r for r in json.loads((tmp_path / "run" / "results.json").read_text())["results"] if r["primary"]]
    assert row["chance"] == pytest.approx(1 / 3)
    assert row["value"] > 0.8


def test_a_training_that_was_stopped_goes_on_to_the_same_loss(base: Path, task_dir: Path, tmp_path: Path) -> None:
    whole = tuned(base, task_dir, "fox", tmp_path / "whole", epochs=3)

    def stop(step: int, steps: int, loss: float) -> None:
        if step > steps // 2:
            raise KeyboardInterrupt

    (info,) = resolve_models([str(base)])
    task = task_registry((task_dir,))["fox"]
    settings = Settings(learning_rate=1e-2, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        tune(info, task, tmp_path / "part", settings, LoadOptions(device="cpu"), Told(step=stop))
    assert read_tuned(tmp_path / "part") is None
    (tmp_path / "part" / "checkpoints" / "checkpoint-999").mkdir()  # killed while it was written
    with pytest.raises(OutputError, match="begun with another epochs: 3, not 4"):
        tuned(base, task_dir, "fox", tmp_path / "part", epochs=4)
    said: list[str] = []
    told = Told(stage=said.append)
    part = tune(info, task, tmp_path / "part", settings, LoadOptions(device="cpu"), told)
    assert any("goes on from checkpoint-" in text for text in said)
    assert [step for step, _ in part.validation_losses] == [step for step, _ in whole.validation_losses]
    for (_, a), (_, b) in zip(part.validation_losses, whole.validation_losses, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    first, second = causal(tmp_path / "whole"), causal(tmp_path / "part")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_the_command(base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli) -> None:
    out = tmp_path / "ft"
    asked = [
        "finetune",
        "--model",
        base,
        "--task",
        "fox",
        "--epochs",
        "1",
        "--learning-rate",
        "0.01",
        "--device",
        "cpu",
    ]
    done = in_process(*asked, "--examples", "64", "--task-dir", task_dir, "--out", out)
    assert done.returncode == 0
    assert done.stdout.strip() == str(out)
    assert "gpteval run --models" in done.stderr
    card = (out / "README.md").read_text()
    about = read_tuned(out)
    assert about
    assert f"gpteval finetune --model {base.name} --task fox --examples 64 --epochs 1 --learning-rate 0.01" in card
    assert f"| on {about.validation} validation examples | |" in card
    assert f"| accuracy | {about.validation_accuracy:.4f} |" in card
    again = in_process(*asked, "--examples", "64", "--task-dir", task_dir, "--out", out)
    assert again.returncode != 0
    assert "holds a tuned model already" in again.stderr


@pytest.mark.parametrize("method", METHODS)
def test_the_command_of_a_card_gives_the_same_settings(method: str) -> None:
    asked = Settings(method=method, examples=64, seed=3, cut=True)
    used = asdict(asked) | {"learning_rate": RATES[method], "size": SIZES[method], "weight": WEIGHTS[method]}
    words = iter(options(used).split())
    given: dict[str, Any] = {}
    for word in words:
        name = word.removeprefix("--").replace("-", "_")
        given[name] = True if name == "cut" else json.loads(text) if (text := next(words))[0].isdigit() else text
    again = Settings(**given)
    assert asdict(again) | {"size": again.size or 0} == used


def test_tensorboard_is_told_when_asked(base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli) -> None:
    asked = ["finetune", "--model", base, "--task", "fox", "--epochs", "1", "--examples", "64", "--device", "cpu"]
    for folder, more in (("quiet", []), ("told", ["--track", "tensorboard"])):
        done = in_process(*asked, *more, "--task-dir", task_dir, "--out", tmp_path / folder)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "quiet" / "logs").exists()
    assert list((tmp_path / "told" / "logs").glob("events.*"))
    assert not (tmp_path / "told" / "checkpoints").exists(), "nobody needs them any more"
    done = in_process(*asked, "--track", "paper", "--task-dir", task_dir, "--out", tmp_path / "x")
    assert done.returncode == 2
    assert "tensorboard" in done.stderr


def test_a_batch_for_the_trainer_has_its_labels(base: Path) -> None:
    codec = HFModel(resolve_models([str(base)])[0]).codec
    prompts = [Prompt(str(n), Choice(f"text {n}", [" no", " yes"], n % 2)) for n in range(3)]
    batch = collate(make_examples(prompts, form_of(prompts, 400, 48), codec))
    assert batch["labels"].tolist() == [0, 1, 0]
    assert set(batch) == {"ids", "mask", "owners", "labels"}


class TestTexts:
    """Tasks of texts: the loss is that of the text that is wanted, and the language model writes it."""

    def test_the_loss_is_that_of_transformers(self, base: Path) -> None:
        model = causal(base)
        items = [(Tokens([5, 6, 7, 8, 9]),), (Tokens([5, 6, 7]),)]
        batch = Batch.of(items)
        with torch.no_grad():
            found = TextModel(model)(batch.ids, batch.mask, batch.owners, torch.tensor([2, 1]))["loss"]
            targets = torch.tensor([[-100, -100, -100, 8, 9], [-100, -100, 7, -100, -100]])
            expected = model(input_ids=batch.ids, attention_mask=batch.mask, labels=targets).loss
        assert float(found) == pytest.approx(float(expected), abs=1e-5)

    def test_a_target_ends_with_the_stop_and_an_end_token(self, base: Path) -> None:
        codec = HFModel(resolve_models([str(base)])[0]).codec
        prompt = Prompt("i", Generate("the fox", ["a dog"]))
        form = form_of([prompt], 400, 48)
        (example,) = make_examples([prompt], form, codec)
        (sequence,) = example.sequences
        assert codec.decode(list(sequence[: -example.label])) == "the fox"
        assert codec.decode(list(sequence[-example.label : -1])) == " a dog\n"
        assert sequence[-1] in codec.eos

    def test_it_writes_what_it_learned(self, base: Path, task_dir: Path, tmp_path: Path) -> None:
        tuned(base, task_dir, "says", tmp_path / "says", epochs=6, learning_rate=3e-3, patience=6)
        assert not (tmp_path / "says" / HEAD).exists()
        evaluate(
            [str(base), str(tmp_path / "says")], ("says",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,)
        )
        results = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
        before, after = (row for row in results if row["primary"])
        assert (before["protocol"], after["protocol"]) == ("zero_shot", "finetune")
        assert before["value"] < 0.1
        assert after["value"] > 0.7, "yes or no, and nothing else"

    def test_a_head_is_no_method_for_it(self, base: Path, task_dir: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="head takes no part in it"):
            tuned(base, task_dir, "says", tmp_path / "out", method="head")


class TestProtocols:
    def test_side_by_side_over_the_number_of_examples(
        self, base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocols, "UPDATES", 8)
        asked = ["protocols", "--model", base, "--task", "fox", "--shots", "0,1", "--methods", "full,head"]
        asked += [
            "--examples",
            "8,64,all",
            "--seeds",
            "2",
            "--learning-rate",
            "0.01",
            "--epochs",
            "6",
            "--device",
            "cpu",
        ]
        asked += ["--task-dir", task_dir, "--out", tmp_path / "p"]
        done = in_process(*asked)
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / "p" / "protocols.json").read_text())
        rows = {(row["protocol"], row["examples"]): row for row in found["rows"]}
        assert list(rows)[:2] == [("zero-shot", 0), ("one-shot", 1)]
        assert set(rows) >= {("full", 8), ("full", 64), ("full", 180), ("head", 8), ("head", 64), ("head", 180)}
        assert rows["full", 180]["value"] > 0.8
        assert rows["full", 64]["seeds"] == 2
        assert rows["head", 8]["trained"] < rows["full", 8]["trained"]
        assert rows["full", 8]["seconds"] > 0
        assert any(text.startswith("full: ahead of it from") for text in found["sentences"])
        assert (tmp_path / "p" / "run" / "report.html").is_file()
        again = in_process(*asked)
        assert again.returncode == 0
        assert "step" not in again.stderr, "nothing is trained again"

    def test_what_cannot_be_trained_leaves_the_others(
        self, base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli
    ) -> None:
        asked = ["protocols", "--model", base, "--task", "fox", "--shots", "0", "--methods", "head"]
        asked += ["--examples", "8,5000", "--seeds", "1", "--device", "cpu", "--task-dir", task_dir]
        done = in_process(*asked, "--out", tmp_path / "p")
        assert done.returncode == 1
        assert "head on 5000 examples: task fox has 200 examples to train on" in done.stderr
        found = json.loads((tmp_path / "p" / "protocols.json").read_text())
        assert [row["protocol"] for row in found["rows"]] == ["zero-shot", "head"]

    @pytest.mark.parametrize(("name", "said"), [("no_split", "has no training split"), ("nothing", "unknown task")])
    def test_tasks_that_cannot_be_learned(
        self, base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli, name: str, said: str
    ) -> None:
        done = in_process("protocols", "--model", base, "--task", name, "--task-dir", task_dir, "--out", tmp_path / "p")
        assert done.returncode
        assert said in done.stderr

    def test_from_which_number_of_examples_on(self) -> None:
        def row(name: str, examples: int, value: float, trained: int = 9) -> Row:
            return Row(name, examples, 1, value, value - 0.05, value + 0.05, None, trained, 1.0, "acc")

        rows = (row("zero-shot", 0, 0.5, 0), row("5-shot", 5, 0.6, 0), row("full", 8, 0.65), row("full", 32, 0.58))
        found = Protocols("m", "t", True, (*rows, row("full", 128, 0.62), row("full", 512, 0.8)), ())
        assert found.sentences == [
            "the best prompt: 5-shot, 0.600",
            "full: ahead of it from 128 examples on, its interval above the other's from 512 on",
        ]
        assert "not ahead of it with up to 32" in replace(found, rows=rows).sentences[1]
