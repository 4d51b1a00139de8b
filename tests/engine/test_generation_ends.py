"""Where a generation ends, against plain transformers: end tokens, stop strings, limits, first tokens, padding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gpteval.core.errors import ItemError
from gpteval.core.outcomes import Generated, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.engine.generate import joins_rows
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.run.evaluate import evaluate
from gpteval.tokens.encode import Encoder
from gpteval.tokens.queries import GenerateQuery, ScoreQuery
from gpteval.tokens.tokenizer import Codec
from tests.engine.test_engine_properties import naive_text
from tests.tiny import byte_level_tokenizer, gpt1_tokenizer, opt_tokenizer, save_tiny

PROMPT = "the quick brown"


def loaded(folder: Path) -> HFModel:
    return HFModel(ModelInfo(name=folder.name, location=str(folder), local=True), LoadOptions(device="cpu"))


def generated(model: HFModel, prompt: str = PROMPT, **request: Any) -> Generated:
    (outcome,) = Engine(model).run([Prompt("i", Generate(prompt, ["x"], **request))])
    assert isinstance(outcome, Generated)
    return outcome


@torch.inference_mode()
def plain(folder: Path, prompt: str, new: int, **settings: Any) -> list[int]:
    """New token ids by transformers' own greedy generate."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    settings = {"do_sample": False, "max_new_tokens": new, "pad_token_id": 0, **settings}
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    return list(map(int, out[0, ids.shape[1] :]))


class TestEndTokens:
    def test_those_of_generation_config_end_a_text_and_nothing_else_of_it_counts(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        free = plain(folder, PROMPT, 20, eos_token_id=None)
        end = free[7]
        settings = {"eos_token_id": [0, end], "repetition_penalty": 50.0, "do_sample": True, "temperature": 9.0}
        (folder / "generation_config.json").write_text(json.dumps(settings))
        outcome = generated(loaded(folder), stop=("~never~",), max_new_tokens=20)
        expected = free[: free.index(end)]
        assert outcome.finish == "eos"
        assert outcome.text == loaded(folder).codec.decode(expected)
        assert outcome.tokens == len(expected)

    def test_they_belong_to_the_models_key(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        before = loaded(folder).key
        (folder / "generation_config.json").write_text('{"eos_token_id": [5, 7]}')
        assert loaded(folder).key != before
        assert {5, 7} <= loaded(folder).codec.eos


class TestStops:
    @pytest.mark.parametrize("stop", ["<sep>", "<sep> and", "x<sep>"])
    def test_a_special_token_stops_and_is_not_hidden(self, tmp_path: Path, stop: str) -> None:
        tokenizer = byte_level_tokenizer()
        tokenizer.add_special_tokens({"additional_special_tokens": ["<sep>"]})
        codec = Codec(tokenizer)
        text = "the dog x<sep> and the fox"
        (ids,) = codec.encode([text])
        assert tokenizer.convert_tokens_to_ids("<sep>") in ids
        assert codec.decode(ids) == text
        (found,) = codec.stops([stop])
        assert codec.decode(ids).partition(found)[0] == text.partition(stop)[0]

    def test_in_a_real_generation(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        token = plain(folder, PROMPT, 20, eos_token_id=None)[6]
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        name = next(text for text, number in tokenizer["model"]["vocab"].items() if number == token)
        special = {"id": token, "content": name, "single_word": False, "lstrip": False, "rstrip": False}
        tokenizer["added_tokens"].append(special | {"normalized": False, "special": True})
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        model = loaded(folder)
        assert token in model.codec.tokenizer.all_special_ids or name in model.codec.tokenizer.get_added_vocab()
        outcome = generated(model, stop=(model.codec.decode([token]),), max_new_tokens=20)
        assert outcome.finish == "stop"

    @pytest.mark.parametrize("stop", ["Question:", "\nQuestion:", "Été", "(4)", "?"])
    def test_gpt1_finds_stops_in_its_own_writing(self, stop: str) -> None:
        codec = Codec(gpt1_tokenizer())
        written = codec.decode(codec.encode([f"the dog\nsleeps on {stop} and the fox"])[0])
        (found,) = codec.stops([stop])
        assert found in written
        assert written.partition(found)[2].strip() == "and the fox"

    def test_with_the_real_gpt1_tokenizer(self, shared_tokenizers: Path) -> None:
        codec = Codec(transformers.OpenAIGPTTokenizer.from_pretrained(str(shared_tokenizers / "openai-gpt")))
        assert codec.stops(["\nQuestion:", "O'Brien", "3.5", " Été", "\n\n"]) == (
            "\n question :",
            "o ' brien",
            "3 . 5",
            " ete",
            "\n",
        )

    def test_what_a_tokenizer_cannot_write_never_stops(self) -> None:
        codec = Codec(gpt1_tokenizer())
        assert codec.stops(["😀"]) == ("😀",), "not the unknown token, which many texts have"
        assert codec.stops([" "]) == (" ",)

    def test_an_empty_stop_is_refused(self) -> None:
        with pytest.raises(ItemError, match="a stop string is empty"):
            Generate("x", ["y"], stop=["\n", ""])


class TestLimit:
    def encoded(self, prompt_tokens: int, limit: int, window: int = 32) -> tuple[int, int, int, int]:
        """Length of the prompt, limit, tokens cut, and by how much the limit was lowered."""
        codec = Codec(byte_level_tokenizer())
        (letter,) = codec.encode(["q"])[0]
        (one,) = Encoder(codec, window).encode([Prompt("i", Generate("q" * prompt_tokens, ["x"], "\n", limit))])
        (query,) = one.queries
        assert isinstance(query, GenerateQuery)
        assert set(query.prompt) == {letter}
        return len(query.prompt), query.max_new_tokens, one.tokens_cut, one.limit_cut

    @pytest.mark.parametrize(
        ("prompt", "limit", "expected"),
        [
            (8, 20, (8, 20, 0, 0)),  # 28 tokens in all fit
            (12, 20, (12, 20, 0, 0)),  # just so
            (13, 20, (13, 19, 0, 1)),  # one too many
            (16, 100, (16, 16, 0, 84)),
            (40, 20, (16, 16, 24, 4)),  # the prompt keeps half
            (40, 6, (26, 6, 14, 0)),
        ],
    )
    def test_it_is_lowered_only_where_prompt_and_limit_do_not_fit(
        self, prompt: int, limit: int, expected: tuple[int, ...]
    ) -> None:
        assert self.encoded(prompt, limit) == expected

    def test_a_lowered_limit_counts_as_truncated_and_is_noted(self, tmp_path: Path) -> None:
        model = save_tiny(tmp_path / "m", window=32)
        (tmp_path / "t.py").write_text(
            "from gpteval import Generate, generated, task\n"
            "queries = [{'n': n} for n in (8, 20, 24)]\n"
            "@task(family='qa', source=generated(lambda split: queries, revision='1'), metric='exact_match')\n"
            "def t(item):\n    return Generate('q' * item['n'], ['x'], stop='~~', max_new_tokens=20)\n"
        )
        outcome = evaluate(str(model), "t", task_dirs=(tmp_path,), out=tmp_path / "run", cache=False)
        (result,) = outcome.results
        assert result.truncated == 2
        assert any("2 generations had up to" in note for note in result.notes)


class TestFirstToken:
    """A tokenizer that puts its bos before a text, and a prompt that brings it."""

    def test_there_is_one_whoever_brought_it(self) -> None:
        codec = Codec(opt_tokenizer())
        (bos,) = codec.prefix
        text = codec.tokenizer.bos_token
        requests = (Choice("the dog", [" sleeps"], 0), Generate("the dog", ["x"]), Rolling("the dog sleeps"))
        own = (
            Choice(f"{text}the dog", [" sleeps"], 0),
            Generate(f"{text}the dog", ["x"]),
            Rolling(f"{text}the dog sleeps"),
        )
        encoder = Encoder(codec, 48)
        for without, with_own in zip(requests, own, strict=True):
            (a, b) = encoder.encode([Prompt("a", without), Prompt("b", with_own)])
            assert a.queries == b.queries
            assert (a.own_bos, b.own_bos) == (False, True)
            (query,) = b.queries
            ids = query.context + query.targets if isinstance(query, ScoreQuery) else query.prompt  # type: ignore[union-attr]
            assert ids.count(bos) == 1

    def test_a_rolling_text_that_begins_with_the_condition(self) -> None:
        codec = Codec(byte_level_tokenizer())
        (a, b) = Encoder(codec, 48).encode(
            [Prompt("a", Rolling("the dog")), Prompt("b", Rolling("<|endoftext|>the dog"))]
        )
        assert a.queries == b.queries
        assert b.own_bos


class TestPadding:
    @pytest.mark.parametrize(
        ("architecture", "more"), [("gpt_neo", {}), ("mistral", {}), ("mistral", {"sliding_window": 9})]
    )
    def test_layers_that_see_a_window_count_no_padding(
        self, tmp_path: Path, architecture: str, more: dict[str, Any]
    ) -> None:
        """Behind a beginning that prompts share, and where rows of other lengths join those on their way."""
        model = loaded(save_tiny(tmp_path / "m", architecture, window=128, **more))
        model.codec.eos = frozenset()
        for budget in (None, 40):
            engine = Engine(model, batch_tokens=budget)
            asked = [
                Generate(
                    PROMPT + " fox jumps over the lazy dog" * 4 + " and a cat" * n, ["x"], max_new_tokens=4 + 2 * n
                )
                for n in range(6)
            ]
            plan = engine.plan([Prompt(str(n), one) for n, one in enumerate(asked)])
            found = {key: result for batch in engine.compute(plan, ()) for key, result in batch.items()}
            assert engine._joins
            for key, query in plan.queries.items():
                assert isinstance(query, GenerateQuery)
                assert found[key].text == naive_text(model, query)

    def test_what_was_stored_of_a_mended_architecture_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        models = [loaded(save_tiny(tmp_path / name, name)) for name in ("gpt_neo", "gpt2")]
        keys = [model.key for model in models]
        monkeypatch.setattr("gpteval.models.loader.MENDED", {})
        assert [model.key == key for model, key in zip(models, keys, strict=True)] == [False, True]

    def test_a_model_that_sees_beyond_the_window_it_states_joins_no_rows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = loaded(save_tiny(tmp_path / "m", "mistral")).module
        assert joins_rows(module)
        monkeypatch.setattr("gpteval.engine.generate.NARROW", 40)  # as where it is read from elsewhere
        assert not joins_rows(module)

    def test_models_that_mind_it_read_prompts_of_one_length_together(self, tmp_path: Path) -> None:
        """Mamba has no positions and no attention to mask."""
        config = transformers.MambaConfig(
            vocab_size=400, hidden_size=32, num_hidden_layers=2, state_size=4, bos_token_id=0, eos_token_id=0
        )
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() == 2:
                    weight.normal_(std=0.4)
        folder = tmp_path / "mamba"
        model.save_pretrained(folder)
        byte_level_tokenizer().save_pretrained(folder)
        texts = ["the dog", "a fox jumps over the lazy dog", "sky", "Une femme lit", "the fox", "one two three"]
        requests = [Generate(text, ["x"], ("~~",), 8) for text in texts]
        engine = Engine(loaded(folder))
        outcomes = engine.run([Prompt(str(n), request) for n, request in enumerate(requests)])
        assert engine.alike
        for text, outcome in zip(texts, outcomes, strict=True):
            assert isinstance(outcome, Generated)
            assert outcome.text == engine.model.codec.decode(plain(folder, text, 8, eos_token_id=None))

    @pytest.mark.parametrize(
        "key", ["max_seq_len", "seq_length", "context_length", "max_sequence_length", "max_seq_length"]
    )
    def test_windows_have_many_names(self, key: str) -> None:
        from gpteval.models.catalogue import window_of

        assert window_of({key: 64, "vocab_size": 7}) == 64
        assert window_of({key: None}) is None

    def test_mpts_window(self, tmp_path: Path) -> None:
        config = transformers.MptConfig(d_model=32, n_heads=4, n_layers=2, max_seq_len=64, vocab_size=400)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "mpt")
        byte_level_tokenizer().save_pretrained(tmp_path / "mpt")
        model = loaded(tmp_path / "mpt")
        assert model.window == 64
        (outcome,) = Engine(model).run([Prompt("i", Choice("the dog", [" sleeps", " on"], 0))])
        assert isinstance(outcome, Scored)
