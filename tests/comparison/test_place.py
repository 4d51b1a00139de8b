"""Where a model stands: by pairs, by published numbers, and what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from scipy import stats

from gpteval.comparison.compare import compare
from gpteval.comparison.place import place
from gpteval.core.errors import UnknownNameError, UsageError
from tests.conftest import RunCli
from tests.made_runs import make_run, scores
from tests.tiny import save_tiny

CATALOGUE = {"small", "middle", "large", "gpt2"}
N = 400


def right(share: float) -> list[float]:
    return [float(n % 100 < 100 * share) for n in range(N)]


def run(folder: Path, mine: dict[str, float], **others: dict[str, float]) -> Path:
    answers = {("mine", task): scores(right(share)) for task, share in mine.items()}
    answers |= {(name, task): scores(right(s)) for name, tasks in others.items() for task, s in tasks.items()}
    sizes = {"small": ("gpt1", 1), "middle": ("gpt2", 2), "large": ("gpt3", 3), "mine": ("gpt2", 5)}
    return make_run(folder, answers, generations=sizes)


def edit(folder: Path, **changes: object) -> None:
    """Change the rows of ``mine``."""
    document = json.loads((folder / "results.json").read_text())
    for row in document["results"]:
        if row["model"] == "mine":
            row |= changes
    (folder / "results.json").write_text(json.dumps(document))


THREE = {
    "small": {"a": 0.2, "b": 0.2, "c": 0.3},
    "middle": {"a": 0.4, "b": 0.4, "c": 0.7},
    "large": {"a": 0.9, "b": 0.7, "c": 0.9},
}
MINE = {"a": 0.5, "b": 0.8, "c": 0.6}


def test_between_two_generations(tmp_path: Path) -> None:
    (found,) = place([run(tmp_path / "r", MINE, **THREE)], CATALOGUE)
    assert found.model == "mine"
    assert [(r.name, r.ahead, r.behind) for r in found.rivals] == [("small", 3, 0), ("middle", 2, 1), ("large", 1, 2)]
    assert [r.side for r in found.rivals] == [1, 1, -1]
    assert found.sentence == ("mine stands between middle and large: ahead of the one and 1 more, behind the other.")


def test_the_statements_are_those_of_the_comparison(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MINE, **THREE)
    (found,) = place([folder], CATALOGUE)
    pairs = {(p.model_a, p.task): p for p in compare(folder, baseline="mine").pairs}
    for rival in found.rivals:
        for meeting in rival.meetings:
            assert meeting.p == pairs[rival.name, meeting.task].p_adjusted
            assert (meeting.side > 0) == (pairs[rival.name, meeting.task].better == "mine")
        assert rival.overall is not None
        gap = sum(MINE.values()) - sum(THREE[rival.name].values())
        assert -rival.overall.figure.effect == pytest.approx(gap / 3)


def test_what_the_tests_do_not_bear_is_not_said(tmp_path: Path) -> None:
    """Neighbours by point values were untrue in 31 % of ladders of models 2 points apart."""
    near = THREE | {"middle": {"a": 0.52, "b": 0.77, "c": 0.61}}
    (found,) = place([run(tmp_path / "r", MINE, **near)], CATALOGUE)
    assert found.sentence.startswith(
        "mine stands between small and large: ahead of the one, behind the other; middle ("
    )
    assert found.sentence.endswith(" points apart) cannot be told from it.")
    (rival,) = (rival for rival in found.rivals if rival.name == "middle")
    assert rival.overall is not None
    assert f"at most {100 * max(rival.overall.high, -rival.overall.low) + 0.05:.1f} points apart" in found.sentence
    (alone,) = place([run(tmp_path / "s", MINE, middle=near["middle"])], CATALOGUE)
    assert alone.sentence.startswith("mine cannot be told from middle (at most ")
    (behind,) = place([run(tmp_path / "t", MINE, large=THREE["large"])], CATALOGUE)
    assert behind.sentence == "mine is behind large, and surely ahead of none."


def test_lower_can_be_better(tmp_path: Path) -> None:
    texts = {name: [(bits + n % 3, 10, 10, 40) for n in range(30)] for name, bits in (("mine", 20), ("small", 30))}
    texts["small"][0] = (31.0, 10, 10, 40)
    folder = make_run(tmp_path / "r", {(name, "t"): s for name, s in texts.items()}, metrics={"t": "bits_per_byte"})
    (found,) = place([folder], CATALOGUE)
    assert [(r.name, r.ahead, r.behind) for r in found.rivals] == [("small", 1, 0)]
    assert found.sentence == "mine is ahead of small, and surely behind none."


def test_the_last_checkpoint_of_a_training_is_placed(tmp_path: Path) -> None:
    answers = {(name, "a"): scores(right(s)) for name, s in (("c-1", 0.2), ("c-9", 0.6), ("own", 0.3), ("small", 0.5))}
    folder = make_run(tmp_path / "r", answers)
    document = json.loads((folder / "results.json").read_text())
    for row in document["results"]:
        if row["model"].startswith("c-"):
            row |= {"model_family": "out", "step": int(row["model"][2:])}
    (folder / "results.json").write_text(json.dumps(document))
    checkpoint, own = place([folder], CATALOGUE)
    assert (checkpoint.model, own.model) == ("c-9", "own")
    assert [rival.name for rival in checkpoint.rivals] == ["small"], "neither its own training nor another of one's own"
    (asked,) = place([folder], CATALOGUE, "c-1")
    assert (asked.model, asked.rivals[-1].name) == ("c-1", "small")


def test_published_numbers_stand_beside_it_indirectly(tmp_path: Path) -> None:
    """PIQA, of which lm-evaluation-harness's numbers are published for many models; Pythia-70m has 0.5947."""
    folder = run(tmp_path / "r", {"piqa": 0.65})
    error = math.sqrt(0.65 * 0.35 / N)
    edit(folder, stderr=error)
    (found,) = place([folder], CATALOGUE)
    assert all(rival.indirect and rival.overall is None for rival in found.rivals)
    of = {rival.name: rival.meetings[0] for rival in found.rivals}
    assert "pythia-70m" in of["EleutherAI/pythia-70m"].source
    assert (of["EleutherAI/pythia-70m"].side, of["EleutherAI/pythia-12b"].side) == (1, -1)
    raw = {name: 2 * stats.norm.sf(abs(0.65 - m.other) / (math.sqrt(2) * error)) for name, m in of.items()}
    least = min(raw, key=raw.__getitem__)
    assert of[least].p == pytest.approx(min(1.0, raw[least] * len(raw))), "Holm over all published numbers"
    sure = {name: min(1.0, p * len(raw)) < 0.05 for name, p in raw.items()}
    assert all(rival.side == 0 for rival in found.rivals if not sure[rival.name] and raw[rival.name] > 0.05)
    below, above = found.neighbours()
    assert below is None or below.meetings[0].other < 0.65
    assert above is not None
    assert above.meetings[0].other > 0.65
    assert f"behind {above.name}" in found.sentence or f"and {above.name}: ahead" in found.sentence


def test_nobody_stands_beside_himself(tmp_path: Path) -> None:
    """A model that ran is not there once more by its published numbers, under whatever name."""
    shares = {"mine": 0.65, "pythia-70m": 0.5, "gpt2-xl": 0.6}
    folder = make_run(tmp_path / "r", {(name, "piqa"): scores(right(share)) for name, share in shares.items()})
    edit(folder, stderr=0.02)
    (found,) = place([folder], CATALOGUE | {"pythia-70m", "gpt2-xl"})
    names = [rival.name for rival in found.rivals]
    assert names[:2] == ["gpt2-xl", "pythia-70m"]
    assert "EleutherAI/pythia-70m" not in names
    assert names.count("gpt2-xl") == 1
    assert "EleutherAI/pythia-160m" in names
    (known,) = place([folder], CATALOGUE, "pythia-70m")
    assert "EleutherAI/pythia-70m" not in [rival.name for rival in known.rivals]


def test_a_perfect_score_has_an_error_too(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", {"piqa": 1.0})
    edit(folder, stderr=0.0, ci_low=0.99, ci_high=1.0)
    (found,) = place([folder], CATALOGUE)
    assert all(rival.meetings[0].sure for rival in found.rivals), "none is near 100 %"


def test_what_cannot_be_compared_does_not_stand_beside_it(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", {"piqa": 0.65})
    edit(folder, stderr=0.02, profile="paper")
    (found,) = place([folder], CATALOGUE)
    assert {m.source.split(",")[0] for rival in found.rivals for m in rival.meetings} == {"Brown et al. 2020"}
    for otherwise in ({"template": "other"}, {"shots": 7}):
        edit(run(tmp_path / "r", {"piqa": 0.65}), stderr=0.02, **otherwise)
        with pytest.raises(UsageError, match="nothing stands beside mine"):
            place([folder], CATALOGUE)


def test_bad_questions(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", {"unpublished": 0.5})
    with pytest.raises(UsageError, match="nothing stands beside mine"):
        place([folder], CATALOGUE)
    with pytest.raises(UnknownNameError, match="other"):
        place([folder], CATALOGUE, "other")
    with pytest.raises(UsageError, match="all models of these runs are known"):
        place([folder], CATALOGUE | {"mine"})


def test_the_command(tmp_path: Path, in_process: RunCli) -> None:
    answers = {(name, task): scores(right(s)) for name, s in (("mine", 0.5), ("gpt2", 0.3)) for task in ("a", "b")}
    folder = make_run(tmp_path / "r", answers)
    done = in_process("place", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "mine is ahead of gpt2, and surely behind none."
    assert "paired  2      2 (2)     0 (0)      +20.0 points" in done.stdout
    assert "Published" not in done.stdout
    (document,) = json.loads(in_process("place", folder, "--json").stdout)
    assert document["between"] == {"below": "gpt2", "above": None}
    done = in_process("place", folder, tmp_path)
    assert (done.returncode, "is not the folder of a run" in done.stderr) == (2, True)


def test_what_failed_is_told_by_the_exit_code(tmp_path: Path, in_process: RunCli) -> None:
    broken = save_tiny(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    done = in_process(
        *("place", "gpt1-nano", "--against", f"gpt2-nano,{broken}", "--tasks", "nano_topic", "--limit", 60),
        *("--out", tmp_path / "run", "--model", "gpt1-nano"),
    )
    assert done.returncode == 1
    assert "cannot load model broken" in done.stderr
    assert "gpt1-nano is behind gpt2-nano" in done.stdout, "and what could be said is said"


@pytest.mark.slow
def test_a_model_is_run_beside_the_known_ones(tmp_path: Path, in_process: RunCli) -> None:
    model = save_tiny(tmp_path / "tiny", window=128)
    done = in_process(
        *("place", model, "--against", "gpt2-nano", "--tasks", "nano_topic,nano_sentiment", "--limit", 60),
        *("--out", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "tiny is behind gpt2-nano, and surely ahead of none."
