"""What a tuned model reads: one text, two, or one for each answer, and the tokens between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gpteval.core.errors import ItemError, TaskError, UsageError
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel
from gpteval.tune.head_model import Batch, TunedModel
from gpteval.tune.inputs import InputForm, form_of, make_examples
from gpteval.tune.trainer import collate
from tests.tiny import save_tiny
from tests.tuning import causal


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "base")


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
        form = InputForm("classes", ("bad", "good"), 400, 48)
        with pytest.raises(TaskError, match="has the answers"):
            form.sequences(Prompt("i", Choice("x", [" no", " yes"], 0)), codec)
        with pytest.raises(TaskError, match="has no choices"):
            form_of([Prompt("i", Rolling("x"))], 400, 48)

    def test_a_target_ends_with_the_stop_and_an_end_token(self, base: Path) -> None:
        codec = HFModel(resolve_models([str(base)])[0]).codec
        prompt = Prompt("i", Generate("the fox", ["a dog"]))
        form = form_of([prompt], 400, 48)
        (example,) = make_examples([prompt], form, codec)
        (sequence,) = example.sequences
        assert codec.decode(list(sequence[: -example.label])) == "the fox"
        assert codec.decode(list(sequence[-example.label : -1])) == " a dog\n"
        assert sequence[-1] in codec.eos


def test_a_batch_for_the_trainer_has_its_labels(base: Path) -> None:
    codec = HFModel(resolve_models([str(base)])[0]).codec
    prompts = [Prompt(str(n), Choice(f"text {n}", [" no", " yes"], n % 2)) for n in range(3)]
    batch = collate(make_examples(prompts, form_of(prompts, 400, 48), codec))
    assert batch["labels"].tolist() == [0, 1, 0]
    assert set(batch) == {"ids", "mask", "owners", "labels"}
