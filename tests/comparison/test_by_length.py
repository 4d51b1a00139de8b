"""Two models by the length of prompts: against statsmodels, by simulation, and where something is planted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gpteval.comparison.answers import match
from gpteval.comparison.by_length import ByLength, by_length
from gpteval.comparison.compare import load
from gpteval.stats.interval import Z
from tests.made_runs import make_run, scores


def found(
    folder: Path,
    tasks: Sequence[tuple[np.ndarray, np.ndarray]],
    lengths: Sequence[Sequence[int]],
    clusters: Sequence[str] | None = None,
) -> ByLength | None:
    """Of tasks ``t0``, ``t1``, ... with the right answers of models ``a`` and ``b``."""
    answers = {}
    for n, both in enumerate(tasks):
        for model, right in zip("ab", both, strict=True):
            answers[model, f"t{n}"] = scores(right.astype(float))
    names = [f"t{n}" for n in range(len(tasks))]
    run = make_run(
        folder,
        answers,
        chance=dict.fromkeys(names, 0.25),
        clusters=dict.fromkeys(names, clusters) if clusters else None,
    )
    by_unit: dict[object, dict[str, object]] = {}
    for one in load(run, None):
        by_unit.setdefault(one.unit, {})[one.model] = one
    pairs = [(of["a"], of["b"], match(of["a"], of["b"])) for of in by_unit.values()]
    known = {
        (f"t{n}", 0): {f"t{n}-item-{place}": length for place, length in enumerate(of_task)}
        for n, of_task in enumerate(lengths)
    }
    return by_length(pairs, known)


def drawn(seed: int, items: int, *shares: float) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.random(items) < share for share in shares]


def test_quarters_are_means_of_differences_with_their_errors(tmp_path: Path) -> None:
    a, b = drawn(1, 200, 0.7, 0.4)
    lengths = np.random.default_rng(2).permutation(200)
    one = found(tmp_path / "run", [(a, b)], [lengths.tolist()])
    assert one is not None
    for place, part in enumerate(one.parts):
        within = (lengths >= 50 * place) & (lengths < 50 * (place + 1))
        apart = (a[within].astype(float) - b[within]) / 0.75
        assert part.items == 50
        assert part.value == pytest.approx(apart.mean())
        assert part.ci_high - part.value == pytest.approx(Z * apart.std(ddof=1) / np.sqrt(50))
        assert (part.shortest, part.longest) == (50 * place, 50 * place + 49)
    first, *_, last = one.parts
    assert one.trend.value == pytest.approx(last.value - first.value)
    assert one.tasks == 1


def test_items_of_a_cluster_are_counted_together(tmp_path: Path) -> None:
    from statsmodels.api import OLS

    a, b = drawn(3, 240, 0.6, 0.5)
    clusters = [f"c{n // 4}" for n in range(240)]
    one = found(tmp_path / "run", [(a, b)], [list(range(240))], clusters)
    assert one is not None
    apart = (a[:60].astype(float) - b[:60]) / 0.75
    fitted = OLS(apart, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": np.arange(60) // 4})
    assert (one.parts[0].ci_high - one.parts[0].value) / Z == pytest.approx(fitted.bse[0])


def test_tasks_count_alike_and_each_has_its_own_quarters(tmp_path: Path) -> None:
    """The longest prompts of one task are shorter than the shortest of the other."""
    large, small = drawn(4, 400, 0.9, 0.5), drawn(5, 80, 0.5, 0.5)
    one = found(tmp_path / "run", [large, small], [list(range(400)), list(range(1000, 1080))])
    assert one is not None
    means = [np.mean(a[-n:].astype(float) - b[-n:]) / 0.75 for (a, b), n in ((large, 100), (small, 20))]
    assert one.parts[-1].value == pytest.approx(np.mean(means))
    assert one.parts[-1].items == 120
    assert one.tasks == 2


def test_who_gets_worse_on_long_prompts_is_seen(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    lengths = np.arange(800)
    a, b = random.random(800) < 0.95 - lengths / 1100, random.random(800) < 0.6
    one = found(tmp_path / "run", [(a, b)], [lengths.tolist()])
    assert one is not None
    assert one.trend.ci_high < 0
    assert one.p < 0.001


def test_of_no_trend_one_is_seen_in_about_5_of_100(tmp_path: Path) -> None:
    seen = 0
    for seed in range(120):
        one = found(tmp_path / str(seed), [drawn(seed, 160, 0.6, 0.45)], [list(range(160))])
        assert one is not None
        seen += one.p < 0.05
    assert seen <= 14, "6 are expected; of 120, more than 14 are seen in 1 of 1,000 such tests"


def test_that_none_of_a_few_differs_is_not_certain(tmp_path: Path) -> None:
    (a,) = drawn(7, 48, 0.5)
    one = found(tmp_path / "run", [(a, a)], [list(range(48))])
    assert one is not None
    assert one.trend.value == 0
    assert one.trend.ci_high > 0.1
    assert one.p == 1


@pytest.mark.parametrize("lengths", [[7] * 200, [1] * 100 + [2] * 100, list(range(30)), []])
def test_without_four_quarters_nothing_is_said(tmp_path: Path, lengths: list[int]) -> None:
    a, b = drawn(8, max(1, len(lengths)), 0.7, 0.4)
    assert found(tmp_path / "run", [(a, b)], [lengths]) is None
