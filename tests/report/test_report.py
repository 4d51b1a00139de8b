"""The report: what it says of the numbers, what it does with hostile text, and which files it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpteval.cli.run_listener import number
from gpteval.core.errors import StoreError
from gpteval.core.show import signed
from gpteval.report import build_report
from gpteval.report.charts import TRACE_TYPES, family_figure
from gpteval.report.html import script_json
from gpteval.report.leaderboard import centred, leaderboard, show
from gpteval.report.samples_view import ITEMS, clip, task_items
from gpteval.report.summary import answer
from gpteval.store.runs import read_runs
from tests.report_runs import TASKS, items_of, page, rewritten, run, visible  # noqa: F401  (fixtures)


@pytest.mark.parametrize(
    ("value", "metric", "shown"),
    [(-0.0004, "acc", "0.0"), (-0.0004, "mcc", "0.0"), (-0.0002, "other", "0.000"), (0.5, "acc", "50.0")],
)
def test_what_rounds_to_zero_has_no_sign(value: float, metric: str, shown: str) -> None:
    assert show(value, metric) == shown
    assert signed(value) == ("0.5" if value == 0.5 else "0.0")
    assert number(value) == ("0.500" if value == 0.5 else "0.000")


class TestNumbers:
    def test_models_stand_by_generation_and_size(self, run: Path) -> None:
        board = leaderboard(read_runs([run]).merged)
        assert [(g, [m.name for m in models]) for g, models in board.groups] == [
            ("gpt1", ["openai-gpt"]),
            ("gpt2", ["gpt2", "gpt2-xl"]),
            ("gpt3", ["neo"]),
        ]
        assert [c.task for c in board.columns] == ["wikitext2", "piqa", "wmt", "dialogsum", "sst2"]

    def test_best_is_best_in_the_metrics_own_direction(self, run: Path) -> None:
        board = leaderboard(read_runs([run]).merged)
        best = {
            (m.name, c.task) for m in board.models for c, cell in zip(board.columns, m.cells, strict=True) if cell.best
        }
        assert best == {
            ("neo", "wikitext2"),
            ("neo", "piqa"),
            ("gpt2-xl", "wmt"),
            ("neo", "dialogsum"),
            ("neo", "sst2"),
        }

    def test_overlapping_intervals_are_marked(self, run: Path) -> None:
        board = leaderboard(read_runs([run]).merged)
        near = {
            (m.name, c.task) for m in board.models for c, cell in zip(board.columns, m.cells, strict=True) if cell.near
        }
        assert near == {("gpt2-xl", "wikitext2")}  # 30 +- 3 and 25 +- 2.5

    def test_the_centred_score_is_over_tasks_with_a_chance_level(self, run: Path) -> None:
        (gpt1, *_) = leaderboard(read_runs([run]).merged).models
        assert (gpt1.centred, gpt1.tasks) == (pytest.approx(0.1), 2)  # (0.55 - 0.5) / 0.5, twice

    def test_the_answer_is_the_mean_score_of_each_generation(self, run: Path) -> None:
        said = answer(leaderboard(read_runs([run]).merged)).replace("\u00a0", " ").replace("\u2011", "-")
        assert said.startswith(
            "Over 2 of 5 tasks, those with right and wrong answers that every model ran, the models' mean"
        )
        # stderr of a model's centred score on a task: 0.02 / 1.96 / (1 - 0.5); of two tasks' mean: that / sqrt(2)
        assert said.endswith("is GPT-1 10.0 ± 2.8, GPT-2 40.0 ± 2.8, GPT-3 style 70.0 ± 2.8.")

    @pytest.mark.parametrize(
        ("metric", "chance", "score"),
        [
            ("acc", 0.5, 0.2),
            ("exact_match", None, 0.6),
            ("acc_greedy", None, 0.6),
            ("mcc", 0.0, 0.6),
            ("rouge1", None, None),
        ],
    )
    def test_an_answer_that_cannot_be_guessed_has_chance_0(
        self, metric: str, chance: float | None, score: float | None
    ) -> None:
        found = centred({"metric": metric, "value": 0.6, "chance": chance})
        assert (found and found[0]) == (score and pytest.approx(score))

    def test_one_generation_is_compared_with_nothing(self, run: Path, tmp_path: Path) -> None:
        board = leaderboard(read_runs([rewritten(run, tmp_path, lambda r: True, generation="gpt2")]).merged)
        assert answer(board) == ""

    def test_a_perfect_score_is_not_certain(self, run: Path, tmp_path: Path) -> None:
        """The usual standard error of 30 right of 30 is 0; the interval (88.4 to 100) knows better."""
        sure = rewritten(
            run, tmp_path, lambda r: r["chance"] is not None, value=1.0, stderr=0.0, ci_low=0.884, ci_high=1
        )
        assert "± 0.0" not in answer(leaderboard(read_runs([sure]).merged))

    def test_no_difference_is_called_none(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row |= {"value": 0.6, "ci_low": 0.5, "ci_high": 0.7, "stderr": 0.05}
        (tmp_path / "results.json").write_text(json.dumps(document))
        board = leaderboard(read_runs([tmp_path]).merged)
        assert not any(cell.best for m in board.models for cell in m.cells), "equal values have no best"

    def test_missing_values_and_intervals_do_not_break_it(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row |= {"ci_low": None, "ci_high": None, "stderr": None, "chance": None, "n_params": None}
        document["results"][0]["value"] = None
        (tmp_path / "results.json").write_text(json.dumps(document))
        text = visible(build_report([tmp_path], tmp_path / "r.html"))
        assert "the value is not finite" in text
        assert answer(leaderboard(read_runs([tmp_path]).merged)) == ""

    @pytest.mark.parametrize(
        ("value", "metric", "text"),
        [
            (0.9134, "acc", "91.3"),
            (37.504, "word_perplexity", "37.5"),
            (1.2345, "bits_per_byte", "1.234"),
            (2.5e8, "word_perplexity", "2.50e+08"),
            (None, "acc", "n/a"),
            (28.35, "bleu", "28.4"),
        ],
    )
    def test_values_as_people_read_them(self, value: float | None, metric: str, text: str) -> None:
        assert show(value, metric) == text

    def test_figures_hold_what_the_table_holds(self, run: Path) -> None:
        board = leaderboard(read_runs([run]).merged)
        for family, columns in board.families():
            figure = family_figure(board, columns)
            assert {t["type"] for t in figure["data"]} <= TRACE_TYPES
            points = sum(len(t["x"]) for t in figure["data"])
            assert points == sum(r["family"] == family for r in board.primary.values())

    def test_panels_of_one_scale_have_one_axis(self, run: Path) -> None:
        board = leaderboard(read_runs([run]).merged)
        layout = family_figure(board, board.columns)["layout"]
        axes = dict(zip(board.columns, (layout[f"xaxis{n or ''}"] for n in (0, 2, 3, 4, 5)), strict=True))
        shares = [axis["range"] for column, axis in axes.items() if column.metric in ("acc", "rouge1")]
        assert len(shares) == 3
        assert all(one == shares[0] for one in shares)
        for column, axis in axes.items():
            factor = 100 if column.metric in ("acc", "rouge1") else 1
            if not column.log:
                assert axis["range"][0] < factor * column.low < factor * column.high < axis["range"][1]
        assert next(axis for column, axis in axes.items() if column.metric == "bleu")["range"] != shares[0]


class TestItems:
    def test_items_that_all_models_have_come_first(self, run: Path, tmp_path: Path) -> None:
        loaded = read_runs([run]).merged
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        files = dict(loaded.samples["piqa", 0])
        table = pq.read_table(files["gpt2"])
        pq.write_table(table.slice(15), tmp_path / "late.parquet")
        items = task_items(files | {"gpt2": tmp_path / "late.parquet"}, ["openai-gpt", "gpt2"], column)["items"]
        assert [i["id"] for i in items] == [f"id{n:03}" for n in [*range(15, 30), *range(5)]]
        assert [len(i["answers"]) for i in items] == [2] * 15 + [1] * 5

    def test_right_is_what_the_primary_metric_says(self, run: Path, tmp_path: Path) -> None:
        """A normalised accuracy can be right where the likeliest choice by summed log-probability is wrong."""
        loaded = read_runs([run]).merged
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        item = task_items(loaded.samples["piqa", 0], ["gpt2"], column)["items"][1]
        (answer,) = item["answers"]
        assert answer["right"]
        assert [choice.get("gold", False) for choice in item["choices"]] == [True, False]
        assert answer["chosen"] == 2
        assert "chooses otherwise" in answer["note"]

    def test_choices_stand_once_unless_models_were_given_others(self, run: Path, tmp_path: Path) -> None:
        loaded = read_runs([run]).merged
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        files = dict(loaded.samples["piqa", 0])
        rows = pq.read_table(files["gpt2"]).to_pylist()
        rows[0] |= {"choices": ["other", "texts", "three"], "logprobs": [-1.004, None, -3.0], "prediction": 2}
        rows[1] |= {"choices": None, "logprobs": None, "prediction": None, "error": "broken"}
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "other.parquet")
        items = task_items(files | {"gpt2": tmp_path / "other.parquet"}, ["openai-gpt", "gpt2"], column, None)["items"]
        first, second, third, *_ = items
        alike, other = first["answers"]
        assert len(first["choices"]) == 2
        assert "choices" not in alike
        assert [choice["text"] for choice in other["choices"]] == ["other", "texts", "three"]
        assert (other["chosen"], other["logprobs"]) == (3, [-1.0, None, -3.0])
        assert second["answers"][1].keys().isdisjoint({"choices", "logprobs", "chosen"})
        assert third["answers"][1]["logprobs"] == [-1.0, -2.5]
        assert "by" not in third["answers"][1]

    def test_a_row_without_an_id_is_a_damaged_file(self, run: Path, tmp_path: Path) -> None:
        loaded = read_runs([run]).merged
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        rows = pq.read_table(loaded.samples["piqa", 0]["gpt2"]).to_pylist()
        rows[0]["item_id"] = None
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "damaged.parquet")
        with pytest.raises(StoreError, match="damaged.parquet cannot be read"):
            task_items({"gpt2": tmp_path / "damaged.parquet"}, ["gpt2"], column)

    def test_of_many_choices_each_answer_has_its_own_likeliest(self, run: Path, tmp_path: Path) -> None:
        loaded = read_runs([run]).merged
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        files = dict(loaded.samples["piqa", 0])
        for name, chosen in (("openai-gpt", 0), ("gpt2", 19)):
            rows = pq.read_table(files[name]).to_pylist()
            logprobs = [-abs(n - chosen) / 2 for n in range(20)]
            rows[0] |= {"choices": [f"c{n}" for n in range(20)], "logprobs": logprobs, "gold": 10, "prediction": chosen}
            files[name] = tmp_path / f"{name}.parquet"
            pq.write_table(pa.Table.from_pylist(rows), files[name])
        item = task_items(files, ["openai-gpt", "gpt2"], column, None)["items"][0]
        assert [choice["number"] for choice in item["choices"]] == [*range(1, 8), 11, *range(14, 21)]
        for said, numbers in zip(item["answers"], ([*range(1, 8), 11], [11, *range(14, 21)]), strict=True):
            assert [item["choices"][place]["number"] for place in said["shown"]] == numbers
            assert said["chosen"] in numbers
            assert len(said["logprobs"]) == 8
            assert said["hidden"] == 12


class TestPage:
    def test_it_is_one_file_that_asks_for_nothing(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert not re.search(r"""(src|href)\s*=\s*["'](https?:)?//""", visible(page))

    def test_hostile_text_is_only_text(self, page: Path) -> None:
        text = visible(page)
        assert "<img" not in text
        assert "<script" not in text
        assert "&lt;/script&gt;&lt;script&gt;window.hit=1" in text
        assert "\x00" not in text
        assert "\x1b" not in text

    def test_long_outputs_are_cut_with_a_note(self, page: Path) -> None:
        assert "characters not shown" in json.dumps(items_of(page))
        assert "x" * 3000 not in json.dumps(items_of(page))
        assert clip("abc") == "abc"
        assert clip("é" * 5000).count("é") == 2000

    def test_every_task_has_a_page_with_the_same_items_for_all_models(self, page: Path) -> None:
        text = visible(page)
        for task, _, _ in TASKS:
            assert f'id="task={task}-0"' in text
        section = text.split('id="task=piqa-0"')[1].split("</section>")[0]
        assert f"{ITEMS} of 30 items" in section
        data = items_of(page)["piqa-0"]
        items = data["items"]
        assert len({item["id"] for item in items}) == ITEMS
        assert all(
            [answer.get("by", place) for place, answer in enumerate(item["answers"])] == [0, 1, 2, 3] for item in items
        )
        assert {item["state"] for item in items} == {"right", "split"}
        assert sum(item["state"] == "split" for item in items) == 14, "all on which gpt2 and another disagree"
        assert data["apart"] == {"0 1": 14, "1 2": 14, "1 3": 14}

    def test_failures_and_remarks_are_shown(self, page: Path) -> None:
        text = visible(page)
        assert "Failures (1)" in text
        assert "broken &lt;/script&gt;" in text
        assert "3 of 30 prompts shortened to the window" in text
        assert "a note &lt;b&gt;of&lt;/b&gt; gpt2" in text

    def test_json_cannot_leave_its_script_element(self) -> None:
        hostile = {"a": "</script><!--\u2028"}
        text = script_json(hostile)
        assert "<" not in text
        assert "\u2028" not in text
        assert json.loads(text) == hostile
