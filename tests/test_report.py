"""The report: what it says of the numbers, what it does with hostile text, and which files it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpteval.cli.running import number
from gpteval.core.errors import OutputError, StoreError, UnknownNameError, UsageError
from gpteval.core.runs import load_runs
from gpteval.report import build_report
from gpteval.report.charts import TRACE_TYPES, family_figure
from gpteval.report.html import clip, script_json
from gpteval.report.items import ITEMS, task_items
from gpteval.report.summary import answer, signed
from gpteval.report.tables import centred, leaderboard, show

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=2> \u202eabc \x00 \x1b[31m"
MODELS = (
    ("openai-gpt", "gpt1", 116534784),
    ("gpt2", "gpt2", 124439808),
    ("gpt2-xl", "gpt2", 1557611200),
    ("neo", "gpt3", 10),
)
TASKS = (("wikitext2", "lm", "word_perplexity"), ("piqa", "qa", "acc"), ("wmt", "translation", "bleu"))
TASKS += (("dialogsum", "summarization", "rouge1"), ("sst2", "classification", "acc"))


def result(
    model: str, generation: str, n_params: int, task: str, family: str, metric: str, value: float
) -> dict[str, Any]:
    wide = 0.02 if metric in ("acc", "rouge1") else 0.1 * value
    return {
        "model": model,
        "generation": generation,
        "n_params": n_params,
        "task": task,
        "family": family,
        "shots": 0,
        "protocol": "zero_shot",
        "profile": "gpteval",
        "metric": metric,
        "primary": True,
        "higher_is_better": metric != "word_perplexity",
        "value": value,
        "ci_low": value - wide,
        "ci_high": value + wide,
        "stderr": wide / 1.96,
        "n": 30,
        "coverage": 1.0,
        "truncated": 3 if model == "openai-gpt" else 0,
        "chance": 0.5 if metric == "acc" else None,
        "seconds": 1.5,
        "tokens": 1000,
        "published": None,
        "notes": [f"a note <b>of</b> {model}"] if task == "wikitext2" else [],
    }


def samples(folder: Path, model: str, task: str, metric: str) -> dict[str, Any]:
    rows = []
    for n in range(30):
        row: dict[str, Any] = {
            "item_id": f"id{n:03}",
            "prompt": f"{HOSTILE} prompt {n}",
            "truncated": False,
            "error": None,
        }
        row |= {"values": json.dumps({metric: 1.0}), "finish": None, "generated": None, "references": None}
        row |= {"choices": None, "logprobs": None, "gold": None, "prediction": None, "token_counts": [4]}
        if metric == "acc":
            chosen = n % 2 if model == "gpt2" else 0
            row |= {"choices": [" yes", HOSTILE], "logprobs": [-1.0, -2.5], "gold": 0, "prediction": chosen}
            row["values"] = json.dumps({metric: 1.0 if chosen == 0 or n == 1 else 0.0})
        elif metric == "word_perplexity":
            row["logprobs"] = [-12.0]
        else:
            row |= {"generated": HOSTILE if n else "x" * 50_000, "references": ["right"], "finish": "stop"}
        rows.append(row)
    name = f"samples/{model}__{task}.parquet"
    (folder / "samples").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / name)
    return {"model": model, "task": task, "shots": 0, "file": name}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four models of three generations on five tasks; the last model failed on one."""
    folder = tmp_path_factory.mktemp("runs") / "a <run>"
    folder.mkdir()
    results, listed = [], []
    for place, (model, generation, size) in enumerate(MODELS):
        for task, family, metric in TASKS:
            if model == "neo" and task == "wmt":
                continue
            base = {"word_perplexity": 40.0 - 5 * place, "bleu": 3.0 + 4 * place}.get(metric, 0.55 + 0.1 * place)
            results.append(result(model, generation, size, task, family, metric, base))
            listed.append(samples(folder, model, task, metric))
    failures = [{"model": "neo", "task": "wmt", "error": f"broken {HOSTILE}"}]
    document = {"schema": 1, "run": {"name": "x"}, "results": results, "failures": failures}
    (folder / "results.json").write_text(json.dumps(document))
    facts = {"piqa": {"source": "baber/piqa validation", "licence": "AFL 3.0", "description": HOSTILE}}
    manifest = {
        "command": f"gpteval run {HOSTILE}",
        "tasks": facts,
        "models": {"gpt2": {"notes": [HOSTILE]}},
        "samples": listed,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report([run], tmp_path_factory.mktemp("out") / "report.html")


def rewritten(run: Path, folder: Path, which: Callable[[dict[str, Any]], bool], **changes: object) -> Path:
    """``folder`` as a copy of the run's results with some rows changed, without manifest and samples."""
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row |= changes if which(row) else {}
    (folder / "results.json").write_text(json.dumps(document))
    return folder


def visible(page: Path) -> str:
    """The page without what is in script and style elements."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)


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
        board = leaderboard(load_runs([run]))
        assert [(g, [m.name for m in models]) for g, models in board.groups] == [
            ("gpt1", ["openai-gpt"]),
            ("gpt2", ["gpt2", "gpt2-xl"]),
            ("gpt3", ["neo"]),
        ]
        assert [c.task for c in board.columns] == ["wikitext2", "piqa", "wmt", "dialogsum", "sst2"]

    def test_best_is_best_in_the_metrics_own_direction(self, run: Path) -> None:
        board = leaderboard(load_runs([run]))
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
        board = leaderboard(load_runs([run]))
        near = {
            (m.name, c.task) for m in board.models for c, cell in zip(board.columns, m.cells, strict=True) if cell.near
        }
        assert near == {("gpt2-xl", "wikitext2")}  # 30 +- 3 and 25 +- 2.5

    def test_the_centred_score_is_over_tasks_with_a_chance_level(self, run: Path) -> None:
        (gpt1, *_) = leaderboard(load_runs([run])).models
        assert (gpt1.centred, gpt1.tasks) == (pytest.approx(0.1), 2)  # (0.55 - 0.5) / 0.5, twice

    def test_the_answer_is_the_mean_score_of_each_generation(self, run: Path) -> None:
        said = answer(leaderboard(load_runs([run]))).replace("\u00a0", " ").replace("\u2011", "-")
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
        board = leaderboard(load_runs([rewritten(run, tmp_path, lambda r: True, generation="gpt2")]))
        assert answer(board) == ""

    def test_a_perfect_score_is_not_certain(self, run: Path, tmp_path: Path) -> None:
        """The usual standard error of 30 right of 30 is 0; the interval (88.4 to 100) knows better."""
        sure = rewritten(
            run, tmp_path, lambda r: r["chance"] is not None, value=1.0, stderr=0.0, ci_low=0.884, ci_high=1
        )
        assert "± 0.0" not in answer(leaderboard(load_runs([sure])))

    def test_no_difference_is_called_none(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row |= {"value": 0.6, "ci_low": 0.5, "ci_high": 0.7, "stderr": 0.05}
        (tmp_path / "results.json").write_text(json.dumps(document))
        board = leaderboard(load_runs([tmp_path]))
        assert not any(cell.best for m in board.models for cell in m.cells), "equal values have no best"

    def test_missing_values_and_intervals_do_not_break_it(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row |= {"ci_low": None, "ci_high": None, "stderr": None, "chance": None, "n_params": None}
        document["results"][0]["value"] = None
        (tmp_path / "results.json").write_text(json.dumps(document))
        text = visible(build_report([tmp_path], tmp_path / "r.html"))
        assert "the value is not finite" in text
        assert answer(leaderboard(load_runs([tmp_path]))) == ""

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
        board = leaderboard(load_runs([run]))
        for family, columns in board.families():
            figure = family_figure(board, columns)
            assert {t["type"] for t in figure["data"]} <= TRACE_TYPES
            points = sum(len(t["x"]) for t in figure["data"])
            assert points == sum(r["family"] == family for r in board.primary.values())


class TestMerging:
    def test_the_later_run_counts_and_the_page_says_so(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        document["results"] = [r | {"value": 0.99} for r in document["results"] if r["task"] == "sst2"]
        (tmp_path / "results.json").write_text(json.dumps(document))
        both = load_runs([run, tmp_path])
        assert [r["value"] for r in both.rows if r["task"] == "sst2"] == [0.99] * 4
        assert len(both.rows) == 19
        text = visible(build_report([run, tmp_path], tmp_path / "r.html"))
        assert f"4 results were in several runs: those of {tmp_path.name} are shown" in text

    def test_a_failure_that_a_later_run_mended_is_gone(self, run: Path, tmp_path: Path) -> None:
        row = result("neo", "gpt3", 10, "wmt", "translation", "bleu", 5.0)
        (tmp_path / "results.json").write_text(json.dumps({"results": [row]}))
        assert load_runs([run, tmp_path]).failures == ()
        assert [f["task"] for f in load_runs([tmp_path, run]).failures] == ["wmt"]

    def test_other_data_under_the_same_name_is_remarked_on(self, run: Path, tmp_path: Path) -> None:
        folders = []
        for revision in ("a", "b"):
            folder = tmp_path / revision
            folder.mkdir()
            folders.append(rewritten(run, folder, lambda r: False))
            (folder / "manifest.json").write_text(json.dumps({"tasks": {"piqa": {"revision": revision}}}))
        assert "piqa is not the same in these runs: its revision was a and is b" in load_runs(folders).remarks


class TestTolerance:
    def test_a_row_with_three_keys_is_enough(self, tmp_path: Path) -> None:
        rows = [{"model": "m", "task": "t", "metric": "mine", "value": 3}, {"model": "m"}, "no row"]
        (tmp_path / "results.json").write_text(json.dumps({"results": rows}))
        text = visible(build_report([tmp_path], tmp_path / "r.html"))
        assert "3.00" in text
        assert "2 rows of" in text
        assert "no manifest.json" in text

    def test_infinite_values_are_missing_values(self, run: Path, tmp_path: Path) -> None:
        folder = rewritten(run, tmp_path, lambda r: r["task"] == "wikitext2", value=float("inf"), ci_high=float("nan"))
        assert "the value is not finite" in visible(build_report([folder], tmp_path / "r.html"))

    def test_samples_are_found_without_a_manifest(self, run: Path, tmp_path: Path) -> None:
        rewritten(run, tmp_path, lambda r: False)
        (tmp_path / "samples").mkdir()
        source = run / "samples" / "gpt2__piqa.parquet"
        (tmp_path / "samples" / "gpt2__piqa__0shot.parquet").write_bytes(source.read_bytes())
        assert list(load_runs([tmp_path]).samples) == [("piqa", 0)]

    def test_a_manifest_cannot_point_outside_its_run(self, run: Path, tmp_path: Path) -> None:
        rewritten(run, tmp_path, lambda r: False)
        elsewhere = {"model": "gpt2", "task": "piqa", "shots": 0, "file": str(run / "samples" / "gpt2__piqa.parquet")}
        (tmp_path / "manifest.json").write_text(json.dumps({"samples": [elsewhere]}))
        assert load_runs([tmp_path]).samples == {}


class TestItems:
    def test_items_that_all_models_have_come_first(self, run: Path, tmp_path: Path) -> None:
        loaded = load_runs([run])
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        files = dict(loaded.samples["piqa", 0])
        table = pq.read_table(files["gpt2"])
        pq.write_table(table.slice(15), tmp_path / "late.parquet")
        items = task_items(files | {"gpt2": tmp_path / "late.parquet"}, ["openai-gpt", "gpt2"], column)
        assert [i["id"] for i in items] == [f"id{n:03}" for n in [*range(15, 30), *range(5)]]
        assert [len(i["answers"]) for i in items] == [2] * 15 + [1] * 5

    def test_right_is_what_the_primary_metric_says(self, run: Path, tmp_path: Path) -> None:
        """A normalised accuracy can be right where the likeliest choice by summed log-probability is wrong."""
        loaded = load_runs([run])
        (column,) = (c for c in leaderboard(loaded).columns if c.task == "piqa")
        (_, answer), *_ = task_items(loaded.samples["piqa", 0], ["gpt2"], column)[1]["answers"]
        assert answer["right"]
        assert [c["chosen"] for c in answer["choices"]] == [False, True]
        assert "chooses otherwise" in answer["note"]


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
        assert "characters not shown" in visible(page)
        assert "x" * 3000 not in page.read_text(encoding="utf-8")
        assert clip("abc") == "abc"
        assert clip("é" * 5000).count("é") == 2000

    def test_every_task_has_a_page_with_the_same_items_for_all_models(self, page: Path) -> None:
        text = visible(page)
        for task, _, _ in TASKS:
            assert f'id="task={task}-0"' in text
        section = text.split('id="task=piqa-0"')[1].split("</section>")[0]
        assert section.count("<article") == ITEMS
        assert section.count("id000") == 1
        assert section.count('class="answer-card ') == 4 * ITEMS
        assert f"{ITEMS} of 30 items" in section
        assert 'data-state="split"' in section
        assert 'data-state="right"' in section

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


class TestErrors:
    def test_a_folder_that_is_no_runs(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no results\.json"):
            build_report([tmp_path], tmp_path / "r.html")

    def test_a_broken_file(self, tmp_path: Path) -> None:
        (tmp_path / "results.json").write_text('{"results": [')
        with pytest.raises(StoreError, match=r"results\.json cannot be read"):
            build_report([tmp_path], tmp_path / "r.html")

    def test_a_broken_samples_file(self, run: Path, tmp_path: Path) -> None:
        for path in run.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / "samples").mkdir()
        (tmp_path / "samples" / "gpt2__piqa.parquet").write_text("no parquet")
        with pytest.raises(StoreError, match=r"gpt2__piqa\.parquet cannot be read"):
            build_report([tmp_path], tmp_path / "r.html")

    def test_an_unknown_kind(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="leaderboard"):
            build_report([run], tmp_path / "r.html", kind="leaderbord")

    def test_a_place_that_cannot_be_written(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write"):
            build_report([run], tmp_path / "file" / "r.html")


def test_nothing_heavy_is_imported(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gpteval.report import build_report\n"
        f"build_report([Path({str(run)!r})], Path({str(tmp_path / 'r.html')!r}))\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
