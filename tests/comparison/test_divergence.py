"""KL divergence and agreement of two models: against the models' own logits, and as a bound of fewer tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpteval
from gpteval.comparison.divergence import Divergences, LikeliestTokens, at_places, divergences
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.engine.engine import Engine
from gpteval.metrics.base import Floats
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.prompts.build import build_prompts, load_task
from gpteval.run.executors.wire import dump_queries, load_queries
from gpteval.store.documents import read_samples
from gpteval.tasks.registry import task_registry
from gpteval.tokens.queries import ScoreQuery, Tokens
from tests.conftest import RunCli
from tests.tiny import save_tiny

TEXTS = "nano_prose"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and a copy of it with noise in its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("pair")
    whole = save_tiny(folder / "whole")
    shutil.copytree(whole, folder / "noisy")
    model = AutoModelForCausalLM.from_pretrained(folder / "noisy")
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.02 * torch.randn_like(weights)
    model.save_pretrained(folder / "noisy")
    return whole, folder / "noisy"


def _run(folders: tuple[Path, Path], out: Path, top: int, **options: Any) -> Path:
    models = [str(folder) for folder in folders]
    made = gpteval.evaluate(models, TEXTS, limit=12, out=out, device="cpu", top_logprobs=top, **options)
    assert not made.failures
    return out


def _all_logprobs(folder: Path, queries: list[ScoreQuery]) -> list[Floats]:
    """Log-probabilities of the whole vocabulary at each target's place, by the model's own forward."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    found = []
    with torch.inference_mode():
        for query in queries:
            logits = model(input_ids=torch.tensor([list(query.input)])).logits[0, -len(query.targets) :]
            found.append(logits.double().log_softmax(dim=-1).numpy())
    return found


def _queries(folder: Path) -> list[ScoreQuery]:
    """What the engine asks of the task's texts."""
    (info,) = resolve_models([str(folder)])
    engine = Engine(HFModel(info, LoadOptions(device="cpu")))
    prompts = build_prompts(load_task(task_registry()[TEXTS], limit=12), shots=0)
    return [query for one in engine.plan(prompts).encoded for query in one.queries]  # type: ignore[attr-defined]


def test_with_all_tokens_it_is_the_divergence_of_the_models_own_logits(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    run = _run(folders, tmp_path / "run", 100_000)
    queries = _queries(folders[0])
    ours, theirs = (np.concatenate(_all_logprobs(folder, queries)) for folder in folders)
    expected = (np.exp(ours) * (ours - theirs)).sum(axis=1)
    found = divergences(str(run), baseline="whole")
    (one,) = found.pairs
    assert (one.reference, one.model, one.tokens, one.covered) == ("whole", "noisy", len(expected), pytest.approx(1.0))
    assert one.kl.value == pytest.approx(expected.mean(), rel=1e-4)
    assert one.most == pytest.approx(np.quantile(expected, 0.99), rel=1e-3)
    assert one.same.value == pytest.approx((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean(), abs=1e-12)
    assert one.kl.ci_low < one.kl.value < one.kl.ci_high
    (other,) = divergences(str(run), baseline="noisy").pairs
    assert other.kl.value == pytest.approx((np.exp(theirs) * (theirs - ours)).sum(axis=1).mean(), rel=1e-4)


def test_of_fewer_tokens_it_is_a_bound_that_rises_to_the_whole(folders: tuple[Path, Path], tmp_path: Path) -> None:
    values = []
    for top in (1, 5, 50, 100_000):
        (one,) = divergences(str(_run(folders, tmp_path / str(top), top)), baseline="whole").pairs
        values.append(one.kl.value)
    assert 0 < values[0] < values[1] < values[2] <= values[3]


def test_what_is_kept_are_the_likeliest_tokens_and_the_texts_own(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run = _run(folders, tmp_path / "run", 3)
    queries = _queries(folders[0])
    logprobs = np.concatenate(_all_logprobs(folders[0], queries))
    (file,) = (run / "samples").glob("whole__*")
    rows = read_samples(file)
    assert [token for row in rows for token in row["tokens"]] == [token for query in queries for token in query.targets]
    ids = np.concatenate([row["top_tokens"] for row in rows]).reshape(-1, 3)
    kept = np.concatenate([row["top_logprobs"] for row in rows]).reshape(-1, 3)
    assert kept == pytest.approx(np.sort(logprobs, axis=1)[:, ::-1][:, :3], abs=1e-4)
    assert np.take_along_axis(logprobs, ids, axis=1) == pytest.approx(kept, abs=1e-4)


def test_scores_do_not_hang_on_it_and_what_workers_and_a_continued_run_write_is_the_same(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    def samples(run: Path) -> list[bytes]:
        return [file.read_bytes() for file in sorted((run / "samples").iterdir())]

    plain = _run(folders, tmp_path / "plain", 0)
    inline = _run(folders, tmp_path / "inline", 4, cache=False)
    assert [row["stats"] for row in read_samples(sorted((plain / "samples").iterdir())[0])] == [
        row["stats"] for row in read_samples(sorted((inline / "samples").iterdir())[0])
    ]
    pool = _run(folders, tmp_path / "pool", 4, cache=False, executor="process", workers=1)
    assert samples(pool) == samples(inline)
    for file in (inline / "samples").iterdir():
        file.unlink()
    (inline / "results.json").unlink()
    _run(folders, tmp_path / "inline", 4, cache=False)
    assert samples(inline) == samples(pool), "out of the journal"


def test_queries_that_ask_for_them_pass_through_a_folder() -> None:
    query = ScoreQuery(Tokens([1]), Tokens([2, 3]), parts=Tokens([2]), top=7)
    assert load_queries(dump_queries({b"k": query})) == {b"k": query}
    assert query.key("m") != ScoreQuery(Tokens([1]), Tokens([2, 3]), parts=Tokens([2])).key("m")


def test_by_hand() -> None:
    """Two tokens in common, and a third for all others."""
    reference = LikeliestTokens(np.array([9]), np.array([[0, 1, 2]]), np.log([[0.5, 0.3, 0.1]]))
    model = LikeliestTokens(np.array([9]), np.array([[1, 0, 3]]), np.log([[0.4, 0.3, 0.2]]))
    expected = 0.5 * np.log(0.5 / 0.3) + 0.3 * np.log(0.3 / 0.4) + 0.2 * np.log(0.2 / 0.3)
    assert at_places(reference, model)[:, 0] == pytest.approx([expected, 0.0, 0.8])
    assert at_places(reference, reference)[:, 0] == pytest.approx([0.0, 1.0, 0.9])


def test_the_command_tells_pairs_and_which_cannot_be(
    folders: tuple[Path, Path], tmp_path: Path, in_process: RunCli
) -> None:
    run = _run(folders, tmp_path / "run", 5)
    told = in_process("compare", run, "--kl", "--baseline", "whole")
    assert told.returncode == 0, told.stderr
    assert "KL: in nats a token" in told.stdout
    (pair,) = json.loads(in_process("compare", run, "--kl", "--json").stdout)["pairs"]
    assert pair["kl"]["value"] > 0
    assert in_process("compare", run, "--kl", "--metric", "acc").returncode == 2
    with pytest.raises(UnknownNameError):
        divergences(str(run), baseline="nobody")
    bare = _run(folders, tmp_path / "bare", 0)
    with pytest.raises(UsageError, match="likeliest tokens"):
        divergences(str(bare))
    other = gpteval.evaluate(["gpt1-nano"], TEXTS, limit=12, out=tmp_path / "other", device="cpu", top_logprobs=5)
    found = divergences([str(run), str(other.folder)], baseline="gpt1-nano")
    assert isinstance(found, Divergences)
    assert not found.pairs
    assert "part the texts differently" in found.remarks[0]
