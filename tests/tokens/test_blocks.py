"""Blocks of a long text: the same for every model, summing to the whole, and an honest interval of one file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.blocks import BYTES, block_sizes, block_starts, blocks_of
from gpteval.core.outcomes import Rolled
from gpteval.core.types import Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.metrics.named import metric_registry
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.stats.interval import estimate
from gpteval.stats.jackknife import pseudo_values, span
from gpteval.tokens.tokenizer import Codec
from tests.conftest import RunCli
from tests.tiny import byte_level_tokenizer, gpt1_tokenizer, save_tiny

METRICS = metric_registry()
WORDS = "the quick brown fox jumps over a lazy dog and runs on".split()


def prose(count: int, seed: int = 0) -> str:
    words = np.random.default_rng(seed).choice(WORDS, count)
    return " ".join(word + "\n" * (n % 12 == 11) for n, word in enumerate(words))


class TestBlocks:
    @settings(deadline=None)
    @given(st.text(max_size=6000), st.text(max_size=50))
    def test_sizes_sum_to_the_text(self, text: str, counted: str) -> None:
        for of in (text, counted):
            words, sizes = zip(*block_sizes(text, of), strict=True)
            stats = METRICS["word_perplexity"].stats(Rolling(text or "x", of), Rolled(-1.0, 1))
            assert (sum(words), sum(sizes)) == (stats[2], stats[3])

    def test_they_are_about_a_kilobyte_and_end_at_a_space(self) -> None:
        for text in (prose(3000), "ж" * 300 + " " + prose(500).replace("o", "ю"), "中" * 5000):
            starts = block_starts(text)
            pieces = [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=True)]
            assert "".join(pieces) == text
            assert all(0.5 * BYTES <= len(piece.encode()) <= 1.7 * BYTES for piece in pieces)
            assert " " not in text or all(text[start].isspace() for start in starts[1:])

    @pytest.mark.parametrize("text", ["", "x", "a b c"])
    def test_a_short_text_is_one_block(self, text: str) -> None:
        assert block_starts(text) == [0]

    def test_places_that_fall_back_stay(self) -> None:
        assert blocks_of([0, 5, 12, 3, 25], [0, 10, 20]) == [0, 0, 1, 1, 2]


class TestPlaces:
    def test_of_a_byte_level_tokenizer(self) -> None:
        codec, text = Codec(byte_level_tokenizer()), "The quick brown fox — été à Noël, 中文."
        ids = codec.encode([text])[0]
        for start, token in zip(codec.starts(text, len(ids)), ids, strict=True):
            piece = codec.decode([token]).strip()
            assert "\ufffd" in piece or text[start:].lstrip().startswith(piece)

    @pytest.mark.parametrize("newline_token", [True, False])
    def test_of_gpt1s(self, newline_token: bool) -> None:
        codec, text = Codec(gpt1_tokenizer(newline_token=newline_token)), prose(200) + "\n\n  the Quick…"
        ids = codec.encode([text])[0]
        places = codec.starts(text, len(ids))
        assert places == sorted(places)
        for start, token in zip(places, ids, strict=True):
            piece = codec.decode([token]).strip(" /\n")
            near = text[max(0, start - 40) : start + 40] if not newline_token else text[start : start + 40].lstrip()
            near = near.lower().replace("…", "...")
            assert piece == "<unk>" or (near.startswith(piece) if newline_token else piece in near)

    def test_of_a_tokenizer_that_tells_none(self) -> None:
        codec = Codec(byte_level_tokenizer())

        class Slow:
            is_fast = False

        codec.tokenizer = Slow()
        assert codec.starts("abcdefgh", 4) == [0, 2, 4, 6]


@pytest.fixture(scope="module", params=["gpt2", "openai-gpt", "opt", "gpt_neox"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    folder = save_tiny(tmp_path_factory.mktemp("m") / request.param, request.param)
    return HFModel(ModelInfo(request.param, str(folder), local=True), LoadOptions(device="cpu"))


def test_each_block_has_its_own_tokens_log_probabilities(model: HFModel) -> None:
    """Token by token, over windows of 48, against the sums of the engine."""
    text = prose(700)
    ids = model.codec.encode([text])[0]
    start = list(model.codec.prefix) or ([] if model.codec.condition is None else [model.codec.condition])
    sequence, first, window = start + ids, len(start) or 1, model.window
    logprobs: list[float] = []
    position = first
    while position < len(sequence):
        end = min(position + window, len(sequence))
        begin = max(0, end - 1 - window)
        with torch.inference_mode():
            logits = model.module(input_ids=torch.tensor([sequence[begin : end - 1]])).logits[0].double()
        found = logits.log_softmax(-1)[torch.arange(end - 1 - begin), torch.tensor(sequence[begin + 1 : end])]
        logprobs += found[position - begin - 1 :].tolist()
        position = end
    starts = block_starts(text)
    places = model.codec.starts(text, len(ids))[len(ids) - len(logprobs) :]
    expected = [[0.0, 0] for _ in starts]
    for place, logprob in zip(places, logprobs, strict=True):
        block = max(n for n, begin in enumerate(starts) if begin <= place)
        expected[block][0] += logprob
        expected[block][1] += 1
    (outcome,) = Engine(model).run([Prompt("doc", Rolling(text))])
    assert isinstance(outcome, Rolled)
    assert len(outcome.blocks) == len(starts) > 2
    assert [tokens for _, tokens in outcome.blocks] == [tokens for _, tokens in expected]
    assert [total for total, _ in outcome.blocks] == pytest.approx([total for total, _ in expected], rel=1e-4)
    assert sum(total for total, _ in outcome.blocks) == pytest.approx(outcome.logprob, rel=1e-9)
    assert sum(tokens for _, tokens in outcome.blocks) == outcome.tokens


class TestInterval:
    def blocks(self, n: int, seed: int, alike: float = 0.0) -> np.ndarray:
        """Nats, tokens, words, bytes of blocks whose nats hang together with their neighbours'."""
        random = np.random.default_rng(seed)
        noise = random.normal(0, 30, n + 30)
        for place in range(1, n + 30):
            noise[place] += alike * noise[place - 1]
        return np.column_stack([700 + noise[30:], np.full(n, 250.0), np.full(n, 200.0), np.full(n, 1024.0)])

    def test_without_neighbours_that_are_alike_it_is_the_plain_error(self) -> None:
        metric, ratios = METRICS["bits_per_byte"], []
        for seed in range(40):
            plain = estimate(metric, self.blocks(100, seed))
            stretches = estimate(metric, self.blocks(100, seed), texts=[0] * 100)
            assert stretches.method == "jackknife t over 100 blocks"
            ratios.append(stretches.stderr / plain.stderr)
        assert np.mean(ratios) == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize("n", [20, 100])
    def test_it_covers_where_neighbours_are_alike(self, n: int) -> None:
        metric, hits = METRICS["bits_per_byte"], []
        for seed in range(400):
            found = estimate(metric, self.blocks(n, seed, 0.3), texts=[0] * n)
            hits.append(found.ci_low <= 700 / 1024 / np.log(2) <= found.ci_high)  # type: ignore[operator]
        assert 0.915 <= np.mean(hits) <= 0.985

    def test_overlapping_batch_means_by_hand(self) -> None:
        stats, length = self.blocks(30, 2, 0.5), span(30)
        metric = METRICS["bits_per_byte"]
        values = pseudo_values(metric, stats, texts=[0] * 30).values
        windows = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
        variance = length / ((30 - length + 1) * (30 - length)) * ((windows - values.mean()) ** 2).sum()
        assert estimate(metric, stats, texts=[0] * 30).stderr == pytest.approx(np.sqrt(variance))

    def test_stretches_stay_within_their_text(self) -> None:
        values = pseudo_values(METRICS["bits_per_byte"], self.blocks(30, 3), texts=[0] * 12 + [1] * 3 + [2] * 15)
        assert span(30) == 9
        assert len(values.pulls) == len(values.pulling) == (12 - 9 + 1) + 1 + (15 - 9 + 1)
        assert values.pulling[3:6] == ("3", "12", "15")


class TestCommand:
    def test_two_models_on_one_file(self, tmp_path: Path, in_process: RunCli) -> None:
        """Interval and comparison by blocks; of a text of a few words nothing is said, with the reason."""
        (tmp_path / "long.txt").write_text(prose(4000))
        (tmp_path / "short.txt").write_text("The quick brown fox.")
        models = save_tiny(tmp_path / "one"), save_tiny(tmp_path / "two", "openai-gpt", seed=1)
        names = ",".join(map(str, models))
        tasks = f"text:{tmp_path / 'long.txt'},text:{tmp_path / 'short.txt'}"
        out = tmp_path / "run"
        done = in_process("run", "--models", names, "--tasks", tasks, "--out", out, "--no-report")
        assert done.returncode == 0, done.stderr
        rows = json.loads((out / "results.json").read_text())["results"]
        for row in rows:
            if row["task"] == "text-long":
                assert row["ci_low"] < row["value"] < row["ci_high"]
                assert row["n"] == 1
            else:
                assert row["ci_low"] is None
                assert "no interval: 1 block, too few to tell: 10 are needed" in row["notes"]
        said = json.loads(in_process("compare", out, "--format", "json").stdout)
        pairs = {pair["task"]: pair for pair in said["pairs"]}
        long, short = pairs["text-long"], pairs["text-short"]
        blocks = len(block_starts((tmp_path / "long.txt").read_text()))
        assert long["figure"]["n"] == blocks > 10
        assert long["low"] < long["figure"]["effect"] < long["high"]
        assert 0 < long["p_adjusted"] < 1
        assert short["p_adjusted"] is None
        assert short["verdict"] == "no verdict: 1 block, too few to tell: 10 are needed"
