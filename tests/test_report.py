"""The report: what it says of the numbers, what it does with hostile text, and which files it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpteval.core.errors import OutputError, StoreError, UnknownNameError, UsageError
from gpteval.report import build_report
from gpteval.report.charts import TRACE_TYPES, family_figure
from gpteval.report.html import clip, script_json
from gpteval.report.load import SAMPLES, load_runs
from gpteval.report.summary import sentences
from gpteval.report.tables import leaderboard, show

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


def visible(page: Path) -> str:
    """The page without what is in script and style elements."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)


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

    def test_the_answer_says_what_the_data_support(self, run: Path) -> None:
        first, second = sentences(leaderboard(load_runs([run])))
        assert first.startswith("GPT-2 models beat GPT-1 by 30.0 points (")
        assert "over 2 shared tasks with a chance level" in first
        assert second.startswith("GPT-3 style models beat GPT-2 by 30.0 points (")

    def test_no_difference_is_called_none(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row |= {"value": 0.6, "ci_low": 0.5, "ci_high": 0.7, "stderr": 0.05}
        (tmp_path / "results.json").write_text(json.dumps(document))
        board = leaderboard(load_runs([tmp_path]))
        assert all("cannot be told apart" in s for s in sentences(board))
        assert not any(cell.best for m in board.models for cell in m.cells), "equal values have no best"

    def test_missing_values_and_intervals_do_not_break_it(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row |= {"ci_low": None, "ci_high": None, "stderr": None, "chance": None, "n_params": None}
        document["results"][0]["value"] = None
        (tmp_path / "results.json").write_text(json.dumps(document))
        text = visible(build_report([tmp_path], tmp_path / "r.html"))
        assert "the value is not finite" in text
        assert sentences(leaderboard(load_runs([tmp_path]))) == []

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
        assert section.count("<article") == SAMPLES
        assert section.count("id000") == 1
        assert section.count('class="answer-card"') == 4 * SAMPLES
        assert f"{SAMPLES} of 30 items" in section
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
