"""What a model takes is tried once, and known in later runs for as long as nothing has changed that it hangs on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpteval.core.outcomes import Generated
from gpteval.core.types import Choice, Generate, Prompt
from gpteval.engine import generate, head, lastlayer, trials
from gpteval.engine.engine import Engine
from gpteval.engine.score import Scorer
from gpteval.engine.trials import Trials
from gpteval.models.catalogue import ModelInfo
from gpteval.models.live import LiveModel
from gpteval.models.loader import HFModel, LoadOptions
from tests.tiny import save_tiny

TRIED = ((head, "_way_of"), (lastlayer, "_stays"), (Scorer, "_takes_trees"), (generate, "joins_rows"))
PROMPTS = [
    *[Prompt(f"c{n}", Choice(f"One {n} and", (" a dog", " two cats"), 0)) for n in range(4)],
    *[Prompt(f"g{n}", Generate("Tell me " + "more " * n, ("a dog",), ("\n",), 6)) for n in range(4)],
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / trials.FOLDER


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the trials that were made."""
    made: list[str] = []
    for place, name in TRIED:
        trial = getattr(place, name)

        def spied(*given: Any, name: str = name, trial: Any = trial) -> Any:
            made.append(name)
            return trial(*given)

        monkeypatch.setattr(place, name, spied)
    return made


def engine(folder: Path, dtype: str = "float32") -> Engine:
    return Engine(HFModel(ModelInfo("m", str(folder), local=True), LoadOptions("cpu", dtype)))


def test_a_second_run_tries_nothing_and_has_the_same_numbers(tmp_path: Path, tried: list[str], cache: Path) -> None:
    folder = save_tiny(tmp_path / "m")
    first = engine(folder)
    outcomes = first.run(PROMPTS)
    assert set(tried) == {name for _, name in TRIED}
    assert len(list(cache.iterdir())) == 1
    tried.clear()
    second = engine(folder)
    assert second.run(PROMPTS) == outcomes
    assert tried == []
    assert second.scorer.reach == first.scorer.reach > 0
    assert type(second.scorer.head) is type(first.scorer.head) is head.OutputLayer
    assert any(isinstance(one, Generated) and one.text for one in outcomes)


@pytest.mark.parametrize("changed", ["weights", "dtype", "code", "processor", "torch"])
def test_where_something_has_changed_it_is_tried_anew(
    tmp_path: Path, tried: list[str], changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ = engine(save_tiny(tmp_path / "m")).scorer
    tried.clear()
    if changed == "code":
        monkeypatch.setattr(trials, "_code", lambda: "as of today")
    if changed == "processor":
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "another")
    if changed == "torch":
        monkeypatch.setattr("torch.__version__", "2.0.0")
    folder = save_tiny(tmp_path / "other", seed=1) if changed == "weights" else tmp_path / "m"
    _ = engine(folder, "bfloat16" if changed == "dtype" else "float32").scorer
    assert "_takes_trees" in tried


def test_what_failed_is_tried_again(tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been for want of memory."""
    folder = save_tiny(tmp_path / "m")
    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "_takes_trees", lambda *_: False)
        assert engine(folder).scorer.reach == 0
    assert engine(folder).scorer.reach > 0
    assert "_takes_trees" in tried


@pytest.mark.parametrize("content", ["", "[]", '{"trees": 1, "head": "none that is known"}', "\0"])
def test_a_file_that_says_nothing_is_written_anew(tmp_path: Path, tried: list[str], cache: Path, content: str) -> None:
    folder = save_tiny(tmp_path / "m")
    _ = engine(folder).scorer
    (file,) = cache.iterdir()
    written = file.read_bytes()
    file.write_text(content)
    tried.clear()
    assert engine(folder).scorer.reach > 0
    assert {"_takes_trees", "_way_of"} <= set(tried)
    assert sorted(file.read_bytes()) == sorted(written)


def test_where_nothing_can_be_written_it_is_tried_each_time(tmp_path: Path, tried: list[str], cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder would be")
    folder = save_tiny(tmp_path / "m")
    for _ in range(2):
        tried.clear()
        assert engine(folder).scorer.reach > 0
        assert "_takes_trees" in tried


def test_a_model_in_training_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    model = engine(save_tiny(tmp_path / "m")).model
    _ = Engine(LiveModel(model.module, model.codec.tokenizer, "live")).scorer
    assert not cache.exists()
    assert Trials().path is None
