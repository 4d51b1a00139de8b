"""Few-shot experiments: their statistics against simulation and closed forms, and whole runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

import gpteval
from gpteval.core.outcomes import Score, Scored
from gpteval.core.types import Choice, Item, Prompt
from gpteval.experiments.cells import make_cell
from gpteval.experiments.curves import Curve, Grid, grids, make_curve
from gpteval.experiments.fewshot import FewShot, analyse
from gpteval.experiments.sensitivity import rankings
from gpteval.models.catalogue import ModelInfo
from gpteval.prompts.build import build_prompts, load_task
from gpteval.prompts.controls import RANDOM_LABELS
from gpteval.run.records import make_records
from gpteval.run.units import Unit
from gpteval.stats.guessing import expected_maximum, reaching
from gpteval.stats.two_way import seed_spread, two_way
from gpteval.tasks.task import Task
from tests.fewshot_cells import ACC, Simulated, cell


def test_what_is_known_is_recovered() -> None:
    """The slope's expectation has no seeds in it; each point's spread is the seeds'."""
    slopes = spreads = 0
    effects = []
    count = 200
    for number in range(count):
        plain, other = (make_curve(grid) for grid in grids(Simulated(number).cells, draws=400))
        assert plain.slope is not None
        slopes += plain.slope.ci_low <= Simulated.SLOPE <= plain.slope.ci_high
        spread = plain.points[-1].spread
        spreads += spread.ci_low <= Simulated.SEED_SD <= spread.ci_high
        effects.append(other.points[-1].score.value - plain.points[-1].score.value)
    assert 0.93 <= slopes / count <= 0.97
    assert 0.93 <= spreads / count <= 0.97
    assert np.mean(effects) == pytest.approx(0.1, abs=3 * np.std(effects) / count**0.5)


def test_one_sample_of_seeds_times_items_would_be_too_sure() -> None:
    """What the two-way interval is for: taking all answers as independent misses the truth far more often."""
    missed = 0
    for number in range(100):
        cells = [c for c in Simulated(number).cells if c.template == "default" and c.shots == 4]
        answers = np.concatenate([c.stats[:, 0] for c in cells])
        half = 1.96 * answers.std(ddof=1) / len(answers) ** 0.5
        missed += abs(answers.mean() - (0.35 + Simulated.SLOPE * math.log2(5))) > half
    assert missed > 20


class TestTwoWay:
    def test_it_is_the_analysis_of_variance(self) -> None:
        rng = np.random.default_rng(1)
        items, seeds = 60, 5
        right = rng.random((seeds, items)) < (0.5 + rng.normal(0, 0.2, items) + rng.normal(0, 0.1, seeds)[:, None])
        grid = Grid([cell(row, 1, seed) for seed, row in enumerate(right)], draws=40_000)
        measure = two_way(*grid.by_seed(1), items)
        y = right.astype(float)
        residual = y - y.mean(axis=0) - y.mean(axis=1)[:, None] + y.mean()
        of_items = seeds * y.mean(axis=0).var(ddof=1)
        of_seeds = items * y.mean(axis=1).var(ddof=1)
        of_both = (residual**2).sum() / ((items - 1) * (seeds - 1))
        expected = (of_items + of_seeds - of_both) / (items * seeds)
        assert measure.stderr**2 == pytest.approx(expected, rel=0.03)
        spread = seed_spread(*grid.by_seed(1), items)
        assert spread.sd**2 == pytest.approx((of_seeds - of_both) / items, rel=0.05)

    def test_one_seed_is_a_sample_of_items(self) -> None:
        right = np.array([1, 0, 1, 1, 0, 1, 0, 1] * 5)
        grid = Grid([cell(right, 1)], draws=40_000)
        measure = two_way(*grid.by_seed(1), len(right))
        expected = scipy.stats.ttest_1samp(right, 0.0).confidence_interval()
        assert measure.ci_low == pytest.approx(expected.low, abs=0.003)
        assert measure.ci_high == pytest.approx(expected.high, abs=0.003)
        assert math.isnan(seed_spread(*grid.by_seed(1), len(right)).sd)

    def test_nobody_disagrees_is_not_certainty(self) -> None:
        """All right with and without examples, or all right against all wrong: five items are five items."""
        alike = make_curve(Grid([cell([1] * 20, 0), cell([1] * 20, 1)], per_item=True))
        assert alike.gain is not None
        assert alike.gain.ci_low < -0.1 < 0.1 < alike.gain.ci_high
        apart = make_curve(Grid([cell([0] * 5, 0), cell([1] * 5, 1)], per_item=True))
        assert apart.gain is not None
        assert 1e-4 < apart.gain.p < 0.05
        assert apart.gain.ci_high > apart.gain.ci_low + 0.5

    def test_all_right_is_not_certainty(self) -> None:
        (point,) = make_curve(Grid([cell([1] * 20, 1, seed) for seed in range(3)])).points
        assert point.score.value == point.score.ci_high == 1.0
        assert point.score.ci_low == pytest.approx(scipy.stats.binomtest(20, 20).proportion_ci().low)

    def test_one_item_has_no_interval(self) -> None:
        (point,) = make_curve(Grid([cell([1], 1, seed) for seed in range(3)])).points
        assert math.isnan(point.score.ci_low)


class TestCurve:
    @staticmethod
    def grid(shares: dict[int, float], items: int = 200, seeds: int = 3) -> Grid:
        rng = np.random.default_rng(0)
        luck = rng.random(items)
        cells = [
            cell(luck + rng.normal(0, 0.05, items) < share, shots, seed)
            for shots, share in shares.items()
            for seed in range(seeds if shots else 1)
        ]
        return Grid(cells, draws=2000)

    def of(self, shares: dict[int, float], items: int = 200, seeds: int = 3) -> Curve:
        return make_curve(self.grid(shares, items, seeds))

    def test_examples_that_help_up_to_a_number(self) -> None:
        curve = self.of({0: 0.3, 1: 0.45, 2: 0.6, 4: 0.6, 8: 0.6})
        assert curve.enough == 2
        assert curve.hurts == ()
        assert curve.gain is not None
        assert curve.better(curve.gain)
        assert curve.gain.value == pytest.approx(0.3, abs=0.05)

    def test_how_much_more_there_may_be(self) -> None:
        """Of two larger numbers each at 97.5 % to one side, which is an interval of 95 %; of three at 98.3 %."""
        grid = self.grid({0: 0.3, 1: 0.45, 2: 0.6, 4: 0.6, 8: 0.6})
        curve = make_curve(grid)
        assert curve.enough == 2
        more = [grid.difference(grid.by_seed(k), grid.by_seed(2)) for k in (4, 8)]
        assert curve.beyond == pytest.approx(max(one.ci_high for one in more))
        assert curve.beyond is not None
        flat = make_curve(grid := self.grid({0: 0.6, 1: 0.6, 2: 0.6, 4: 0.6}))
        assert flat.enough == 0
        ends = [grid.combined({0: -1.0, k: 1.0}, 1 - 2 * 0.05 / 3).ci_high for k in (1, 2, 4)]
        assert flat.beyond == pytest.approx(max(ends))
        assert max(ends) > max(grid.difference(grid.by_seed(k), grid.by_seed(0)).ci_high for k in (1, 2, 4))
        few = self.of({0: 0.3, 1: 0.45, 2: 0.6, 4: 0.6, 8: 0.6}, items=40)
        assert few.beyond is not None
        assert few.beyond > curve.beyond

    def test_one_set_of_examples_tells_nothing_of_others(self) -> None:
        curve = self.of({0: 0.1, 1: 0.3, 2: 0.6, 4: 0.3}, seeds=1)
        assert curve.one_set
        assert curve.gain is not None
        assert curve.slope is not None
        assert curve.gain.value > 0.1
        assert math.isnan(curve.gain.ci_low + curve.slope.ci_low)
        assert (curve.enough, curve.beyond, curve.hurts) == (None, None, None)
        assert not math.isnan(curve.points[-1].score.ci_low), "over items, of these examples"

    def test_examples_that_hurt(self) -> None:
        curve = self.of({0: 0.6, 1: 0.3, 2: 0.6, 4: 0.61})
        assert curve.hurts == (1,)
        assert curve.enough == 0 or curve.enough == 2

    def test_one_that_still_rises(self) -> None:
        assert self.of({0: 0.1, 1: 0.3, 2: 0.5, 4: 0.7}).enough is None

    def test_the_slope_is_that_of_least_squares(self) -> None:
        curve = self.of({0: 0.2, 1: 0.3, 4: 0.6, 16: 0.5})
        x = [math.log2(1 + point.shots) for point in curve.points]
        expected = scipy.stats.linregress(x, [point.score.value for point in curve.points]).slope
        assert curve.slope is not None
        assert curve.slope.value == pytest.approx(expected)

    def test_items_that_lost_examples(self) -> None:
        right = np.array([1, 0] * 20)
        cut = np.arange(40) < 10
        cells = [
            cell(right),
            cell(right * ~cut, 8, 0, dropped=cut),
            cell(right * ~cut, 8, 1, dropped=cut & (right > 0)),
        ]
        point = make_curve(Grid(cells)).points[-1]
        assert point.dropped == 7.5
        assert point.uncut is not None
        assert (point.uncut.n, point.uncut.score.value, point.uncut.without) == (30, 0.5, 0.5)

    def test_a_seed_that_lacks_a_number_of_examples_is_left_out(self) -> None:
        curve = make_curve(Grid([cell([1, 0], 1, 0), cell([1, 0], 2, 0), cell([1, 1], 1, 1)]))
        assert [point.seeds for point in curve.points] == [(0.5,), (0.5,)]

    def test_a_point_does_not_depend_on_what_else_was_asked_for(self) -> None:
        cells = Simulated(3).cells
        whole = {(c.template, p.shots): p for c in analyse(cells).curves for p in c.points}
        for part in (
            [c for c in cells if c.template == "default"],
            [c for c in cells if c.shots in (0, 4)],
            cells[::-1],
        ):
            for curve in analyse(part).curves:
                for point in curve.points:
                    assert repr(point) == repr(whole[curve.template, point.shots])


class TestControls:
    """Two models by hand: one knows the task and only needs its form, the other looks answers up in the examples."""

    SOURCE = gpteval.generated(lambda split: [{"n": n, "odd": n % 2} for n in range(40)], revision="1")

    def task(self) -> Task:
        @gpteval.task(family="classification", source=self.SOURCE, metric="acc")
        def parity(item: Item) -> Choice:
            return Choice(f"{item['n']} is", [" even", " odd"], gold=item["odd"])

        return parity

    @staticmethod
    def copier(prompt: Prompt) -> int:
        return int(prompt.request.prompt.split()[0]) % 2 if prompt.examples else 0

    @staticmethod
    def reader(prompt: Prompt) -> int:
        number = int(prompt.request.prompt.split()[0])
        alike = [e for e in prompt.examples if (int(e.split()[0]) - number) % 2 == 0]
        return int(alike[-1].split()[-1] == "odd") if alike else 0

    def test_random_labels_tell_form_from_learning(self) -> None:
        data = load_task(self.task(), shots=6)
        cells = []
        for name, model in (("copier", self.copier), ("reader", self.reader)):
            info = ModelInfo(name=name, location=name, local=True, generation="gpt2")
            for shots in (0, 6):
                for seed in range(3 if shots else 1):
                    for control in ("", RANDOM_LABELS) if shots else ("",):
                        prompts = build_prompts(data, shots=shots, seed=seed, mode="fixed", control=control)
                        outcomes = [self.outcome(model(prompt)) for prompt in prompts]
                        unit = Unit(info, data.task, shots, seed, control, is_result=False)
                        cells.append(make_cell(unit, info, ACC, make_records(prompts, outcomes, [ACC])))
        copier, reader = analyse(cells).curves
        assert copier.points[-1].labels is not None
        assert copier.points[-1].labels.value == 0
        assert reader.points[-1].labels is not None
        assert reader.better(reader.points[-1].labels) or reader.points[-1].labels.value > 0.2
        assert reader.points[-1].score.value > 0.9
        assert reader.points[-1].random_labels is not None
        assert reader.points[-1].random_labels.value < 0.8

    @staticmethod
    def outcome(chosen: int) -> Scored:
        return Scored(tuple(Score(0.0 if place == chosen else -1.0, 1, False) for place in range(2)))

    def test_orders(self) -> None:
        same = [cell([1, 0, 1, 0], 2, 0, control=f"order-{n}" if n else "") for n in range(4)]
        (point,) = make_curve(Grid(same)).points
        assert point.orders == (0.5,) * 4
        assert point.order_spread is not None
        assert point.order_spread.sd == 0
        changed = [cell([n % 2] * 40, 2, 0, control=f"order-{n}" if n else "") for n in range(4)]
        (point,) = make_curve(Grid(changed)).points
        assert point.orders == (0, 1, 0, 1)
        assert point.order_spread is not None
        assert point.order_spread.sd == pytest.approx(0.5)


class TestSensitivity:
    def test_tau_is_scipys(self) -> None:
        rng = np.random.default_rng(0)
        shares = {"default": (0.2, 0.5, 0.6, 0.8), "other": (0.3, 0.2, 0.7, 0.75)}
        cells = [
            cell(rng.permutation(100) < 100 * share, model=f"m{number}", template=template)
            for template, of_models in shares.items()
            for number, share in enumerate(of_models)
        ]
        (found,) = rankings(grids(cells))
        assert found.tau == pytest.approx(scipy.stats.kendalltau(*shares.values()).statistic)
        assert found.ci_low < found.tau <= found.ci_high <= 1

    def test_templates_that_tie_all_models_say_nothing_of_ranks(self) -> None:
        def of(*shares: tuple[str, float, float]) -> FewShot:
            answers = [
                cell(np.arange(50) < 50 * share, model=model, template=template)
                for template, *both in shares
                for model, share in zip("ab", both, strict=True)
            ]
            return analyse(answers)

        (found,) = of(("default", 0.2, 0.8), ("tied", 0.5, 0.5), ("other", 0.3, 0.7)).rankings
        assert found.tau == 1.0
        none = of(("default", 0.2, 0.8), ("tied", 0.5, 0.5))
        assert math.isnan(none.rankings[0].tau)
        assert not any("nan" in sentence for sentence in none.sentences)

    def test_range_and_best(self) -> None:
        found = analyse(Simulated(1).cells)
        by_shots = {row.shots: row for row in found.templates}
        assert by_shots[4].minimum < by_shots[4].median < by_shots[4].maximum
        best = next(row for row in found.best if row.shots == 4)
        assert best.tries == 8
        assert best.value == max(v for c in found.curves for v in c.points[-1].seeds)
        assert best.expected_by_guessing == pytest.approx(expected_maximum(np.full(80, 0.25), 8))
        assert next(row for row in found.best if row.shots == 0).tries == 2, "without examples a seed changes nothing"

    def test_the_best_of_several_guessers(self) -> None:
        chances = np.array([0.25] * 12 + [0.5] * 9 + [1 / 3] * 4)
        rng = np.random.default_rng(0)
        tried = (rng.random((200_000, 5, len(chances))) < chances).mean(axis=2).max(axis=1)
        assert expected_maximum(chances, 5) == pytest.approx(tried.mean(), abs=1e-3)
        assert reaching(chances, 5, 0.52) == pytest.approx((tried >= 0.52).mean(), abs=3e-3)
        assert expected_maximum(chances, 1) == pytest.approx(chances.mean())
        assert reaching(chances, 5, 0.0) == 1.0
