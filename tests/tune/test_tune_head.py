"""What a tuned model computes: its head, what methods add to it, and its losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gpteval.core.errors import ModelError
from gpteval.models.catalogue import resolve_models
from gpteval.tokens.queries import Tokens
from gpteval.tune.added import added
from gpteval.tune.head_model import Batch, TextModel, TunedModel, grouped
from gpteval.tune.inputs import SPECIAL, InputForm
from gpteval.tune.methods import METHODS, SIZES, apply, trained
from tests.tiny import ARCHITECTURES, save_tiny
from tests.tuning import causal


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "base")


class TestArithmetic:
    form = InputForm("classes", ("no", "yes"), 400, 48)

    def sequences(self) -> list[tuple[Tokens, ...]]:
        start, _, extract = (Tokens([400 + n]) for n in range(len(SPECIAL)))
        return [(start + Tokens(ids) + extract,) for ids in ([5, 6, 7, 8, 9], [7], [8, 9, 10])]

    @pytest.mark.parametrize("kind", ARCHITECTURES)
    def test_an_item_alone_has_the_logits_it_has_among_longer_ones(self, kind: str, tmp_path: Path) -> None:
        model = causal(save_tiny(tmp_path / kind, kind))
        vocabulary = model.config.vocab_size
        form = InputForm("classes", ("a", "b", "c"), vocabulary, 48)
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
        """The head looks along the direction in which one answer's last state alone is ahead: it wins, wherever it
        stands.
        """
        form = InputForm("answers", (), 400, 48)
        start, delimiter, extract = (Tokens([400 + n]) for n in range(len(SPECIAL)))
        answers = [start + Tokens([5, 6]) + delimiter + Tokens([answer]) + extract for answer in (11, 12, 13)]
        module = TunedModel(causal(base), form).eval()
        with torch.no_grad():
            module.special.mul_(20)
            one = Batch.of([answers])
            states = module.states(one.ids, one.mask)[:, -1]
            ahead = torch.linalg.pinv(states - states.mean(0)).T  # its scores: 2/3 for one, -1/3 for the others
            for right in range(3):
                module.head.weight.copy_(ahead[right][None])
                for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
                    item = tuple(answers[n] for n in order)
                    batch = Batch.of([item, item[:2]])
                    logits = module(batch.ids, batch.mask, batch.owners)["logits"]
                    assert order[int(logits[0].argmax())] == right
                    assert logits[1, 2] == float("-inf")

    def test_the_loss_of_answers_is_their_cross_entropy(self, base: Path) -> None:
        module = TunedModel(causal(base), InputForm("answers", (), 400, 48), weight=0.0).eval()
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
            plain = TunedModel(model, InputForm("classes", ("a", "b"), vocabulary, 48)).eval()
            extra = added(model, method, 3)
            module = TunedModel(model, InputForm("classes", ("a", "b"), vocabulary, 48, extra.reads), extra).eval()
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
        module = TunedModel(model, InputForm("classes", ("a", "b"), 400, 48, 3), extra).eval()
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


def test_methods_train_few_weights_or_all() -> None:
    (info,) = resolve_models(["gpt2-nano"])
    for method in METHODS:
        model = causal(Path(info.location))
        whole = model.num_parameters()
        extra = added(model, method, SIZES[method])
        apply(model, method, SIZES[method])
        count = trained(TunedModel(model, InputForm("classes", ("a", "b"), 3072, 384), extra))
        assert count > whole if method == "full" else count < 0.05 * whole
        if method != "full":
            assert not model.get_input_embeddings().weight.requires_grad


def test_the_loss_of_texts_is_that_of_transformers(base: Path) -> None:
    model = causal(base)
    items = [(Tokens([5, 6, 7, 8, 9]),), (Tokens([5, 6, 7]),)]
    batch = Batch.of(items)
    with torch.no_grad():
        found = TextModel(model)(batch.ids, batch.mask, batch.owners, torch.tensor([2, 1]))["loss"]
        targets = torch.tensor([[-100, -100, -100, 8, 9], [-100, -100, 7, -100, -100]])
        expected = model(input_ids=batch.ids, attention_mask=batch.mask, labels=targets).loss
    assert float(found) == pytest.approx(float(expected), abs=1e-5)
