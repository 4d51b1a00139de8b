"""Published results: each can be found with its source, and a result gets the one that measured the same."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from gpteval.cli.commands.reference_command import conflicts, names_of
from gpteval.core.errors import UnknownNameError
from gpteval.metrics.named import metric_registry
from gpteval.models.catalogue import model_registry
from gpteval.reference.comparability import OTHERWISE, kind_of
from gpteval.reference.counterpart import beside
from gpteval.reference.published import ALIASES, published
from gpteval.report.published_view import agreement
from gpteval.report.published_view import beside as rows_beside
from gpteval.run.rescore import rescore
from gpteval.store.runs import read_runs
from gpteval.tasks.registry import task_registry, task_suites
from tests.conftest import RunCli
from tests.hub_server import HubServer, publish_model
from tests.made_runs import make_run, scores
from tests.tiny import save_tiny

ROWS = [{"goal": f"open box {n}", "sol1": "pull the lid", "sol2": "push the sea", "label": n % 2} for n in range(12)]


def of(model: str, task: str, metric: str, shots: int = 0, **more: Any) -> Any:
    return beside({model}, task, metric, shots, **({"split": "validation", "limit": None} | more))


@pytest.mark.parametrize(
    ("model", "task", "metric", "value", "source"),
    [
        ("EleutherAI/gpt-j-6b", "piqa", "acc", 0.752, "EleutherAI/gpt-neox-20b model card"),
        ("facebook/opt-1.3b", "arc_challenge", "acc_char", 0.2943686007, "EleutherAI/pythia evals/opt"),
        ("gpt2", "lambada_openai", "target_perplexity", 40.0554, "EleutherAI lm-evaluation-harness run"),
        ("gpt2-xl", "lambada_openai", "acc_greedy", 0.5121, "EleutherAI/gpt-neo README"),
    ],
)
def test_the_number_that_measured_the_same(model: str, task: str, metric: str, value: float, source: str) -> None:
    split = "test" if task != "piqa" else "validation"
    found = of(model, task, metric, split=split)
    assert (found["value"], found["comparable"], found["reasons"]) == (value, True, [])
    assert found["source"].startswith(source)
    assert found["locator"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (of("EleutherAI/gpt-j-6b", "piqa", "acc", limit=100), "100 items here"),
        (of("EleutherAI/gpt-j-6b", "piqa", "acc", split="test"), "the validation split there, test here"),
        (of("EleutherAI/gpt-j-6b", "piqa", "acc", revision="float16"), "revision float16 of the model here"),
        (of("gpt2", "wikitext2", "word_perplexity", split="test"), "the raw text there"),
        (of("gpt2-medium", "wikitext2", "word_perplexity", split="test"), "counted without ends of line"),
        (of("gpt2-xl", "wsc273", "acc", split="test"), "the GPT-2 paper's own protocol"),
        (of("EleutherAI/gpt-j-6b", "piqa", "acc_char"), "which accuracy it is, was inferred"),
        (of("gpt2-medium", "lambada_openai", "target_perplexity", split="test"), "does not say of what"),
    ],
)
def test_what_was_otherwise_is_said(found: Any, reason: str) -> None:
    assert not found["comparable"]
    assert reason in "; ".join(found["reasons"])


def test_other_shots_other_metrics_and_fine_tuned_models_are_no_counterparts() -> None:
    assert of("openai-gpt", "sst2", "acc") is None, "the paper fine-tuned"
    assert of("EleutherAI/gpt-j-6b", "piqa", "acc", shots=3) is None
    assert of("gpt2-medium", "wikitext2", "byte_perplexity") is None
    per_token = of("gpt2", "wikitext2", "word_perplexity", split="test")
    assert per_token["value"] == 37.37, "perplexities per token are no perplexities per word"


def test_what_sources_disagree_on_is_marked() -> None:
    values = defaultdict(set)
    for row in published():
        scale = 100.0 if row.unit == "fraction" else 1.0
        values[row.model, row.task, row.metric, row.shots, row.split].add(round(float(row.value) * scale, 6))
    assert conflicts(published()) == {key for key, found in values.items() if len(found) > 1}


def test_every_rows_names_resolve_and_every_row_has_a_source() -> None:
    known = {name.lower() for info in model_registry().values() for name in (info.name, info.location, *info.aliases)}
    runnable = 0
    for row in published():
        assert row.model.lower() in names_of(row.model)
        assert row.source
        assert row.locator
        float(row.value)
        runnable += row.model.lower() in known
    assert runnable > 1000
    with pytest.raises(UnknownNameError, match="nearest"):
        names_of("gpt-9")


# Tasks that sources report and gpteval has not, nor under another name.
ONLY_IN_SOURCES = re.compile(
    r"\w+_seed2|crows_pairs_\w+|ethics_\w+|math_\w+|mmlu_(humanities|other|social_sciences|stem)|bookscorpus|dclm_core|"
    r"cnn_dailymail_no_hint|glue_ablation_avg|gsm8k|headqa|humaneval|logiqa|mathqa|openwebtext_loss|pile|quac|race|"
    r"sat_analogies|scitail|snli|stsb|truthfulqa_mc2"
)


def test_every_rows_task_is_one_of_ours_or_known_to_be_in_sources_only() -> None:
    ours = {*task_registry(), *task_suites(task_registry()), *(name for names in ALIASES.values() for name in names)}
    strange = {row.task for row in published() if row.task not in ours and not ONLY_IN_SOURCES.fullmatch(row.task)}
    assert not strange
    assert sum(row.task in ours for row in published()) > 2500


def test_what_the_tables_name_is_there() -> None:
    tasks = {*task_registry(), *task_suites(task_registry())}
    names = {row.task for row in published()}
    assert set(ALIASES) | {task for task, _ in OTHERWISE} <= tasks
    assert {name for found in ALIASES.values() for name in found} <= names
    in_print = {name for metric in metric_registry().values() for name in metric.published_as}
    assert in_print <= {row.metric for row in published()}
    assert {kind for _, kind in OTHERWISE} <= {kind_of(row.source) for row in published()}


def test_the_command(in_process: RunCli) -> None:
    page = in_process("reference", "--model", "gpt-j-6b", "--task", "piqa").stdout
    assert "EleutherAI/gpt-j-6b  piqa  accuracy  0 shots  validation: 0.752" in page
    assert "model card" in page
    assert "CONFLICTING" in in_process("reference", "--model", "gpt2-xl").stdout
    rows = json.loads(in_process("reference", "--task", "lambada_openai", "--json").stdout)
    assert {row["task"] for row in rows} == {"lambada_acc", "lambada_ppl"}
    assert "knows no published result" in in_process("reference", "--model", "gpt-j-6b", "--task", "glue").stdout
    assert "knows no published result" in in_process("reference", "--task", "banking77").stdout
    assert in_process("reference", "--task", "nothing").returncode == 2


@pytest.mark.parametrize(
    "published",
    ["0.7", [], {"value": "0.7"}, {"value": 0.7, "reasons": 5, "others": [3, {"value": None}], "source": []}],
)
def test_what_another_hand_wrote_is_shown_or_left_out(tmp_path: Path, published: Any) -> None:
    run = make_run(tmp_path / "run", {("m", "piqa"): scores([1.0, 0.0])})
    document = json.loads((run / "results.json").read_text())
    document["results"][0]["published"] = published
    (run / "results.json").write_text(json.dumps(document))
    found = rows_beside(read_runs([run]).merged)
    assert [one.published for one in found] == (
        ["70.0"] if isinstance(published, dict) and "source" in published else []
    )


def test_a_run_stands_beside_what_was_published(hub_server: HubServer, tmp_path: Path, run_cli: RunCli) -> None:
    publish_model(hub_server.root, "EleutherAI/gpt-j-6b", save_tiny(tmp_path / "model", "gptj"))
    folder = tmp_path / "data/baber/piqa/default"
    folder.mkdir(parents=True)
    (folder / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    env = hub_server.env(tmp_path / "home", GPTEVAL_DATA=str(tmp_path / "data"))
    done = run_cli("run", "--models", "gpt-j-6b", "--tasks", "piqa", "--out", tmp_path / "run", env=env)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "run/results.json").read_text())["results"]
    (primary,) = [row for row in rows if row["primary"]]
    assert (primary["published"]["value"], primary["published"]["comparable"]) == (0.752, True)
    others = {row["metric"]: row["published"] for row in rows if not row["primary"]}
    assert others.pop("acc_char")["metric"] == "accuracy_norm", "another number of the same sources"
    assert set(others.values()) == {None}
    one, _ = rows_beside(read_runs([tmp_path / "run"]).merged)
    assert one.errors == pytest.approx((primary["value"] - 0.752) / primary["stderr"])
    assert agreement((one,)).startswith(f"{int(abs(one.errors) <= 2)} of 1 comparable number lies within 2")
    page = (tmp_path / "run/report.html").read_text()
    assert "Measured beside published" in page
    assert "EleutherAI/gpt-neox-20b model card" in page


def test_a_number_of_another_kind_stands_beside_what_was_published_too_and_rescored_as_well(
    hub_server: HubServer, tmp_path: Path, run_cli: RunCli
) -> None:
    publish_model(hub_server.root, "EleutherAI/pythia-160m", save_tiny(tmp_path / "model", "gpt_neox"))
    for name, split, rows in (
        ("baber/piqa", "validation", ROWS),
        ("EleutherAI/lambada_openai", "test", [{"text": f"the {n} old man sleeps"} for n in range(6)]),
    ):
        folder = tmp_path / "data" / name / "default"
        folder.mkdir(parents=True)
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    env = hub_server.env(tmp_path / "home", GPTEVAL_DATA=str(tmp_path / "data"))
    run, names = tmp_path / "run", ("--models", "pythia-160m", "--tasks", "piqa,lambada_openai", "--no-report")
    done = run_cli("run", *names, "--out", run, env=env)
    assert done.returncode == 0, done.stderr
    text = (run / "results.json").read_text()
    rows = {(row["task"], row["metric"]): row for row in json.loads(text)["results"]}
    perplexity = rows["lambada_openai", "target_perplexity"]["published"]
    assert (perplexity["value"], perplexity["metric"]) == (38.0648770178, "perplexity")
    assert rows["piqa", "acc_char"]["published"]["metric"] == "accuracy_norm"
    assert rows["piqa", "acc_token"]["published"] is None, "it is the primary metric's number"
    document = json.loads(text)
    document["results"] = [row for row in document["results"] if row["metric"] != "acc_char"]
    (run / "results.json").write_text(json.dumps(document))
    assert rescore(run, ["acc_char"]) == 2
    again = {(row["task"], row["metric"]): row for row in json.loads((run / "results.json").read_text())["results"]}
    assert again.pop(("lambada_openai", "acc_char"))["published"] is None
    assert again == rows
