"""Encoding: what is context, what is scored, what is dropped when it is too long, and GPT-1's policies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpteval.core.errors import ItemError
from gpteval.core.outcomes import Failed
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.tokens.encode import Encoder, windows
from gpteval.tokens.queries import GenerateQuery, ScoreQuery, Tokens
from gpteval.tokens.tokenizer import Codec
from tests.tiny import byte_level_tokenizer, gpt1_tokenizer, opt_tokenizer


@pytest.fixture(scope="module")
def gpt2() -> Codec:
    return Codec(byte_level_tokenizer())


@pytest.fixture(scope="module")
def gpt1() -> Codec:
    return Codec(gpt1_tokenizer())


def choice_queries(codec: Codec, request: Choice, window: int = 48, **prompt: object) -> list[ScoreQuery]:
    (encoded,) = Encoder(codec, window).encode([Prompt("item", request, **prompt)])  # type: ignore[arg-type]
    assert not encoded.error
    return [query for query in encoded.queries if isinstance(query, ScoreQuery)]


def test_context_and_continuation_are_tokenised_together(gpt2: Codec) -> None:
    (query,) = choice_queries(gpt2, Choice("The quick", [" brown fox"], 0))
    assert query.context + query.targets == Tokens(gpt2.encode(["The quick brown fox"])[0])
    assert query.context == Tokens(gpt2.encode(["The quick"])[0])


def test_trailing_whitespace_of_the_context_moves_to_the_continuation(gpt2: Codec) -> None:
    (spaced,) = choice_queries(gpt2, Choice("The quick ", ["brown fox"], 0))
    (plain,) = choice_queries(gpt2, Choice("The quick", [" brown fox"], 0))
    assert spaced == plain


def test_an_empty_context_is_conditioned_on_the_bos_token(gpt2: Codec) -> None:
    (query,) = choice_queries(gpt2, Choice("", [" dog"], 0))
    assert query.context == Tokens([gpt2.tokenizer.bos_token_id])


def test_a_tokenizers_own_bos_comes_first_once() -> None:
    codec = Codec(opt_tokenizer())
    bos = codec.tokenizer.bos_token_id
    assert codec.prefix == (bos,)
    for context in ("", "The"):
        (query,) = choice_queries(codec, Choice(context, [" dog"], 0))
        assert query.context[0] == bos
        assert bos not in query.context[1:] + query.targets
    (rolled,) = Encoder(codec, 48).encode([Prompt("i", Rolling("The dog"))])
    assert isinstance(rolled.queries[0], ScoreQuery)
    assert rolled.queries[0].context == Tokens([bos])


def test_gpt1_leaves_the_first_token_unscored_without_context(gpt1: Codec) -> None:
    (encoded,) = Encoder(gpt1, 48).encode([Prompt("i", Choice("", [" the lazy dog"], 0))])
    (query,) = encoded.queries
    ids = Tokens(gpt1.encode([" the lazy dog"])[0])
    assert query == ScoreQuery(ids[:1], ids[1:])
    (rolled,) = Encoder(gpt1, 48).encode([Prompt("i", Rolling("the lazy dog"))])
    assert rolled.unscored == 1
    assert sum(len(r.targets) for r in rolled.queries if isinstance(r, ScoreQuery)) == len(ids) - 1


def test_a_continuation_merged_into_its_context_is_an_error_that_names_the_item(gpt2: Codec) -> None:
    merged = next(t for t in gpt2.tokenizer.get_vocab() if len(t) == 2 and t.isalpha() and t.isascii())
    bad = Choice(merged[0], [merged[1], " dog"], 0)
    prompts = [Prompt("a-fine-one", Choice("x", [" the"], 0)), Prompt("the-bad-one", bad)]
    with pytest.raises(ItemError, match="the-bad-one.*continuation 0"):
        list(Encoder(gpt2, 48).encode(prompts))


def test_whole_examples_are_dropped_before_anything_is_cut(gpt2: Codec) -> None:
    examples = tuple(f"the dog {n} sleeps on\n\n" for n in range(8))
    request = Choice("the fox", [" jumps", " sleeps on"], 0)
    (encoded,) = Encoder(gpt2, 30).encode([Prompt("i", request, examples)])
    assert 0 < encoded.shots_dropped < 8
    assert encoded.tokens_cut == 0
    kept = "".join(examples[encoded.shots_dropped :]) + "the fox"
    queries = [query for query in encoded.queries if isinstance(query, ScoreQuery)]
    assert all(query.context == Tokens(gpt2.encode([kept])[0]) for query in queries), (
        "every choice has the same context"
    )
    assert all(query.length <= 30 for query in queries)
    one_more = "".join(examples[encoded.shots_dropped - 1 :]) + "the fox sleeps on"
    assert len(gpt2.encode([one_more])[0]) - 1 > 30, "no more was dropped than needed"


def test_then_the_start_of_the_context_is_cut_and_counted(gpt2: Codec) -> None:
    context = "one two three four five six seven eight nine ten"
    request = Choice(context, [" dog", " lazy dog"], 0)
    (encoded,) = Encoder(gpt2, 12).encode([Prompt("i", request, ("an example\n\n",))])
    ids = gpt2.encode([context])[0]
    assert encoded.shots_dropped == 1
    assert encoded.tokens_cut > 0
    for query in encoded.queries:
        assert isinstance(query, ScoreQuery)
        assert query.context == Tokens(ids[encoded.tokens_cut :])
        assert query.length <= 12


def test_a_continuation_longer_than_the_window_is_a_failed_item(gpt2: Codec) -> None:
    (encoded,) = Encoder(gpt2, 8).encode([Prompt("i", Choice("x", [" " + "dog " * 20, " a"], 0))])
    outcome = encoded.outcome([])
    assert isinstance(outcome, Failed)
    assert "longer than the window of 8" in outcome.error


def test_generation_leaves_room_for_its_tokens_and_at_least_half_for_the_prompt(gpt2: Codec) -> None:
    text = "the lazy dog and the quick fox " * 6
    (encoded,) = Encoder(gpt2, 40).encode([Prompt("i", Generate(text, ["x"], max_new_tokens=10))])
    (query,) = encoded.queries
    assert isinstance(query, GenerateQuery)
    assert len(query.prompt) == 30
    assert query.prompt == Tokens(gpt2.encode([text])[0][-30:])
    (greedy,) = Encoder(gpt2, 40).encode([Prompt("i", Generate(text, ["x"], max_new_tokens=100))])
    assert isinstance(greedy.queries[0], GenerateQuery)
    assert greedy.queries[0].max_new_tokens == 20


def test_neutral_context_gives_unconditional_queries(gpt2: Codec) -> None:
    queries = choice_queries(gpt2, Choice("What is it?\nAnswer:", [" a dog", " a fox"], 0, neutral="Answer:"))
    assert [r.context for r in queries[2:]] == [Tokens(gpt2.encode(["Answer:"])[0])] * 2
    assert [r.targets for r in queries[:2]] == [r.targets for r in queries[2:]]


def test_leads_are_read_and_not_scored(gpt2: Codec) -> None:
    request = Choice("The", [" sleeps on", " sleeps on"], 1, leads=[" dog", " lazy fox"])
    queries = choice_queries(gpt2, request, examples=("an example\n\n",))
    for query, lead in zip(queries, request.leads, strict=True):
        assert query.context == Tokens(gpt2.encode([f"an example\n\nThe{lead}"])[0])
        assert query.targets == Tokens(gpt2.encode([" sleeps on"])[0])
    assert request.answer == " lazy fox sleeps on"


@given(length=st.integers(2, 200), window=st.integers(2, 40), stride=st.integers(1, 50) | st.none())
def test_windows_score_each_token_once_within_the_window(length: int, window: int, stride: int | None) -> None:
    sequence = Tokens(range(length))
    queries = windows(sequence, 1, window, stride)
    assert [t for query in queries for t in query.targets] == list(sequence[1:])
    assert all(query.length <= window for query in queries)
    assert all(query.context + query.targets == sequence[query.context[0] : query.targets[-1] + 1] for query in queries)


def test_default_windows_are_disjoint_with_one_token_of_carry_over_and_a_full_last_one() -> None:
    queries = windows(Tokens(range(12)), 1, 5)  # a condition token and 11 tokens
    assert [(tuple(r.context), tuple(r.targets)) for r in queries] == [
        ((0,), (1, 2, 3, 4, 5)),
        ((5,), (6, 7, 8, 9, 10)),
        ((6, 7, 8, 9, 10), (11,)),
    ]


def test_a_stride_scores_only_the_new_tokens() -> None:
    queries = windows(Tokens(range(11)), 1, 6, 2)
    assert [tuple(r.targets) for r in queries] == [(1, 2, 3, 4, 5, 6), (7, 8), (9, 10)]
    assert [tuple(r.context) for r in queries[1:]] == [(2, 3, 4, 5, 6), (4, 5, 6, 7, 8)]


class TestGpt1Newlines:
    """GPT-1's tokenizer turns newlines into spaces; prompts and stop strings must not lose them."""

    def test_the_tokenizer_itself_loses_them(self, gpt1: Codec) -> None:
        assert gpt1.tokenizer("a\n\nb")["input_ids"] == gpt1.tokenizer("a b")["input_ids"]
        assert gpt1.lossy

    def test_the_vocabularys_newline_token_is_used(self, gpt1: Codec) -> None:
        assert gpt1.newline_token is not None
        for text in ("the dog\nsleeps", "the dog \n\n  sleeps"):
            (ids,) = gpt1.encode([text])
            assert ids.count(gpt1.newline_token) == 1
            assert gpt1.decode(ids) == "the dog \n sleeps"

    def test_stop_strings_fire_on_it(self, gpt1: Codec) -> None:
        (stop,) = gpt1.stops(["\n\n"])
        assert stop in gpt1.decode(gpt1.encode(["the dog\n\nthe fox"])[0])

    def test_without_such_a_token_they_are_written_as_a_slash(self) -> None:
        codec = Codec(gpt1_tokenizer(newline_token=False))
        assert codec.newline_mark == " / "
        assert codec.decode(codec.encode(["the dog\n\nsleeps"])[0]) == "the dog / sleeps"
        (stop,) = codec.stops(["\n"])
        assert stop in codec.decode(codec.encode(["the dog\nsleeps"])[0])

    def test_the_real_tokenizer_has_that_token(self, shared_tokenizers: Path) -> None:
        from transformers import OpenAIGPTTokenizer

        codec = Codec(OpenAIGPTTokenizer.from_pretrained(str(shared_tokenizers / "openai-gpt")))
        assert codec.condition is None
        assert codec.eos == frozenset()
        assert codec.lossy
        (ids,) = codec.encode(["Question: who?\nAnswer: me"])
        assert codec.decode(ids) == "question : who ? \n answer : me"


def test_the_real_gpt2_tokenizer_is_lossless(shared_tokenizers: Path) -> None:
    from transformers import GPT2Tokenizer

    codec = Codec(GPT2Tokenizer.from_pretrained(str(shared_tokenizers / "gpt2")))
    assert not codec.lossy
    assert codec.condition == 50256
    assert codec.encode(["Hello world"]) == [[15496, 995]]
