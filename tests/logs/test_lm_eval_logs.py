"""Logs of lm-evaluation-harness: real ones, beside our own runs of the same requests, and asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpteval
from gpteval.comparison.compare import compare, load
from gpteval.comparison.telling import telling
from gpteval.core.errors import UsageError
from gpteval.logs.parsing import LogError
from gpteval.report import build_report
from gpteval.store.documents import read_samples
from gpteval.store.logged import as_run, import_logs
from gpteval.store.runs import read_runs
from tests.conftest import SHARED, RunCli
from tests.lm_eval_logs import DATE, choice, generation, write_log

REAL = SHARED / "data/logs/lm_eval_0.4.13"
NAMES = {"acc": ("acc", "acc_greedy"), "acc_norm": ("acc_char",), "perplexity": ("target_perplexity",)}


@pytest.fixture(scope="module")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("shared/data/logs is not there, beside the checkout")
    return REAL


def _lines(folder: Path, task: str) -> list[dict[str, Any]]:
    (file,) = folder.glob(f"samples_{task}_*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def _samples(folder: Path) -> Mapping[str, list[dict[str, Any]]]:
    merged = read_runs(str(folder)).merged
    return {task: read_samples(next(iter(of.values()))) for (task, _), of in merged.samples.items()}


@pytest.mark.parametrize("model", ["gpt2-nano", "gpt3-nano"])
def test_each_items_numbers_are_the_logs_and_so_are_the_means(real: Path, model: str) -> None:
    said = json.loads(next((real / model).glob("results_*.json")).read_text())["results"]
    rows = {(r["task"], r["metric"]): r for r in read_runs(str(real / model)).merged.rows}
    for task, samples in _samples(real / model).items():
        lines = _lines(real / model, task)
        assert len(samples) == len(lines)
        for sample, line in zip(samples, lines, strict=True):
            for metric in line["metrics"]:
                ours = next(name for name in (metric, *NAMES.get(metric, ())) if name in sample["stats"])
                value = line[metric]
                if isinstance(value, list):  # a perplexity: log-likelihood, words or bytes
                    assert -sample["stats"][ours][0] == value[0]
                    assert value[1] in sample["stats"][ours][2:]
                else:
                    assert sample["stats"][ours][0] == value
        for key, value in said[task].items():
            metric, comma, _ = key.partition(",")
            if comma and not metric.endswith("_stderr"):
                ours = next(name for name in (metric, *NAMES.get(metric, ())) if (task, name) in rows)
                assert rows[task, ours]["value"] == pytest.approx(value, rel=1e-9)
    assert not any("the log itself says" in note for row in rows.values() for note in row["notes"])
    assert all(row["profile"] == "log:lm-eval 0.4.13" for row in rows.values())


@pytest.fixture(scope="module")
def again(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models asked what the log of one of them holds."""
    out = tmp_path_factory.mktemp("again") / "run"
    made = gpteval.evaluate(["gpt2-nano", "gpt3-nano"], f"log:{real / 'gpt2-nano'}", out=out, device="cpu")
    assert not made.failures
    return out


def test_asked_again_the_same_model_gives_what_the_log_has(real: Path, again: Path) -> None:
    for model in ("gpt2-nano", "gpt3-nano"):
        files = {task: of[model] for (task, _), of in read_runs(str(again)).merged.samples.items()}
        for task, samples in _samples(real / model).items():
            ours = {row["prompt_hash"]: row for row in read_samples(files[task])}
            assert {row["prompt_hash"] for row in samples} == set(ours)
            for row in samples:
                here = ours[row["prompt_hash"]]
                assert here["generated"] == row["generated"]
                if row["logprobs"]:
                    near = {"rel": 1e-6} if task == "p_wiki" else {"abs": 1e-4, "rel": 1e-6}
                    assert here["logprobs"] == pytest.approx(row["logprobs"], **near)
                assert {m: here["stats"][m][0] for m in row["stats"]} == pytest.approx(
                    {m: stats[0] for m, stats in row["stats"].items()}, rel=1e-6
                )


def test_beside_its_log_a_model_shows_no_difference(real: Path, again: Path) -> None:
    found = compare([str(real / "gpt2-nano"), str(again)], baseline="models/gpt2-nano")
    own = [pair for pair in found.pairs if pair.model_a == "gpt2-nano"]
    assert {pair.task for pair in own} == {"p_gen", "p_lambada", "p_piqa", "p_sst2", "p_wiki"}
    for pair in own:
        if pair.task == "p_wiki":
            assert pair.figure.value == pytest.approx(1.0, rel=1e-5)
        else:
            assert (pair.figure.value, pair.figure.p, pair.figure.n) == (0.0, 1.0, 40)
        assert "models/gpt2-nano was not run here" in pair.notes


def test_two_logs_differ_as_our_own_runs_of_the_same_requests_do(real: Path, again: Path) -> None:
    logs = compare([str(real / "gpt2-nano"), str(real / "gpt3-nano")])
    ours = {(pair.task, pair.metric): pair for pair in compare(str(again)).pairs}
    assert len(logs.pairs) == len(ours) == 5
    for pair in logs.pairs:
        own = ours[pair.task, pair.metric]
        if pair.task == "p_wiki":  # our own run has blocks, where a log has three texts
            assert pair.figure.value == pytest.approx(own.figure.value, rel=1e-5)
            assert pair.figure.why == "3 items, too few to tell: 5 are needed"
            continue
        assert (pair.figure.value, pair.figure.n) == (own.figure.value, own.figure.n)
        assert (pair.figure.ci_low, pair.figure.ci_high, pair.figure.p) == pytest.approx(
            (own.figure.ci_low, own.figure.ci_high, own.figure.p)
        )


def test_a_run_of_ours_in_the_harness_own_words_meets_its_log(tmp_path: Path) -> None:
    """PIQA under ``--profile lm-eval`` has the words of the log, whatever the order of its items."""
    data = tmp_path / "data/baber/piqa/default"
    data.mkdir(parents=True)
    rows = [{"goal": f"open box {n}", "sol1": "pull it", "sol2": "push it", "label": n % 2} for n in range(8)]
    (data / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = []
    for n, row in reversed(list(enumerate(rows))):
        context = {"arg_0": f"Question: {row['goal']}\nAnswer:"}
        arguments = {f"gen_args_{at}": context | {"arg_1": f" {row[f'sol{at + 1}']}"} for at in range(2)}
        items.append(choice(n, [-1.0, -2.0], gold=n % 2, arguments=arguments))
    log = write_log(tmp_path / "log", {"piqa": items})
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GPTEVAL_DATA", str(tmp_path / "data"))
        made = gpteval.evaluate("gpt2-nano", "piqa", profile="lm-eval", out=tmp_path / "run", device="cpu", limit=6)
    assert not made.failures
    (pair,) = compare([str(made.folder), str(log)]).pairs
    assert pair.figure.n == 6
    assert "2 items that only one of them answered are left out" in pair.notes
    answers = {one.model: one for one in load([str(made.folder), str(log)], None)}
    ours, theirs = answers["gpt2-nano"], answers["org/some-model"]
    assert ours.ids == theirs.ids[:6]
    assert ours.golds == theirs.golds[:6]


def test_a_filter_is_a_part_of_the_name(tmp_path: Path) -> None:
    lines = [generation(n, f"{n} or so", str(n), filter=by, exact_match=float(by == "loose"))
             for by in ("strict", "loose") for n in range(6)]  # fmt: skip
    said = {"gsm8k": {"exact_match,strict": 0.0, "exact_match,loose": 1.0, "exact_match_stderr,loose": 0.0}}
    log = write_log(tmp_path / "log", {"gsm8k": lines}, results=said)
    rows = {row["task"]: row["value"] for row in read_runs(str(log)).merged.rows}
    assert rows == {"gsm8k:strict": 0.0, "gsm8k:loose": 1.0}


def test_what_a_log_says_of_itself_is_held_against_its_items(tmp_path: Path) -> None:
    items = [choice(n, [-1.0, -2.0], gold=n % 2) for n in range(6)]
    log = write_log(tmp_path / "log", {"t": items}, results={"t": {"acc,none": 0.9, "acc_stderr,none": 0.1}})
    (row,) = read_runs(str(log)).merged.rows
    assert (row["value"], row["chance"]) == (0.5, 0.5)
    assert "the log itself says 0.9, its items say 0.5" in row["notes"]


def test_metrics_of_pairs_of_classes_and_texts_and_unknown_ones(tmp_path: Path) -> None:
    from sklearn.metrics import matthews_corrcoef

    draw = np.random.default_rng(0)
    scores = draw.normal(size=(30, 2))
    golds = draw.integers(0, 2, 30)
    items = [
        choice(n, scores[n].tolist(), int(golds[n]), metrics=["mcc", "odd", "tuple"], odd=n / 10, tuple=[1, 2],
               mcc=[int(golds[n]), int(scores[n].argmax())])
        for n in range(30)
    ]  # fmt: skip
    texts = [
        generation(n, f"the cat number {n}", f"the cat no {n}", metrics=["bleu"], bleu=["x", "y"]) for n in range(6)
    ]
    log = write_log(tmp_path / "log", {"cola": items, "mt": texts})
    rows = {(row["task"], row["metric"]): row for row in read_runs(str(log)).merged.rows}
    assert rows["cola", "mcc"]["value"] == pytest.approx(matthews_corrcoef(golds, scores.argmax(axis=1)))
    assert rows["cola", "odd"]["value"] == pytest.approx(1.45)
    assert "left out, as not every item has a number of them: tuple" in rows["cola", "mcc"]["notes"]
    import sacrebleu

    pairs = [(f"the cat number {n}", f"the cat no {n}") for n in range(6)]
    expected = sacrebleu.corpus_bleu([a for a, _ in pairs], [[b for _, b in pairs]]).score
    assert rows["mt", "bleu"]["value"] == pytest.approx(expected)


def test_import_writes_it_once_and_it_can_be_scored_further(tmp_path: Path, in_process: RunCli) -> None:
    log = write_log(tmp_path / "log", {"t": [choice(n, [-1.0, -2.0], gold=n % 2) for n in range(6)]})
    out = tmp_path / "run"
    assert "gpteval import" in in_process("rescore", log, "--metrics", "bpb").stderr
    done = in_process("import", log, "--out", out)
    assert done.returncode == 0, done.stderr
    assert in_process("rescore", out, "--metrics", "bpb").returncode == 0
    assert {row["metric"] for row in read_runs(str(out)).merged.rows} == {"acc", "bpb"}
    assert in_process("import", log, "--out", out).returncode != 0
    (tmp_path / "empty").mkdir()
    assert "is no log that is known" in in_process("import", tmp_path / "empty", "--out", tmp_path / "x").stderr
    page = build_report([out], tmp_path / "page.html").read_text()
    assert "not run here: read from a log of lm-eval 0.4.13" in page


def test_a_log_is_read_once(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", {"t": [choice(n, [-1.0, -2.0]) for n in range(6)]})
    first = as_run(log)
    assert as_run(log) == first
    (file,) = log.glob("samples_*")
    file.write_text(file.read_text() + json.dumps(choice(6, [-1.0, -2.0])) + "\n")
    assert as_run(log) != first
    assert [row["n"] for row in read_runs(str(log)).merged.rows] == [7]


def test_versions_before_hashes_are_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", {"t": [choice(0, [-1.0, -2.0])]})
    (log / f"results_{DATE}.json").rename(log / "results.json")
    with pytest.raises(LogError, match=r"before 0\.4\.3"):
        import_logs([log], tmp_path / "out")


def test_samples_alone_are_of_a_model_named_like_their_folder(tmp_path: Path) -> None:
    log = write_log(tmp_path / "my-model", {"t": [choice(n, [-1.0, -2.0]) for n in range(6)]})
    (log / f"results_{DATE}.json").unlink()
    (file,) = log.glob("samples_*")
    (row,) = read_runs(str(file)).merged.rows
    assert (row["model"], row["task"], row["profile"]) == ("my-model", "t", "log:lm-eval")


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log that is known"):
        gpteval.evaluate("gpt2-nano", f"log:{tmp_path}", out=tmp_path / "run", device="cpu")


def test_results_without_items_are_rows_without_pairs(tmp_path: Path, in_process: RunCli) -> None:
    said = {"t": {"alias": "t", "acc,none": 0.25, "acc_stderr,none": 0.1}, "u": {"f1,none": 0.5}}
    alone = write_log(tmp_path / "alone", {}, model="org/alone", results=said)
    whole = write_log(tmp_path / "whole", {"t": [choice(n, [-1.0, -2.0]) for n in range(6)]})
    rows = {(row["task"], row["metric"]): row for row in read_runs(str(alone)).merged.rows}
    assert {key: row["value"] for key, row in rows.items()} == {("t", "acc"): 0.25, ("u", "f1"): 0.5}
    assert "the log has no items: no interval, and no pair with another model" in rows["t", "acc"]["notes"]
    told = " ".join(in_process("compare", alone, whole).stdout.split())
    assert "org/alone is not compared on t: its log has no items" in told
    page = build_report([alone, whole], tmp_path / "page.html").read_text()
    assert "org/alone" in page


def test_beside_a_run_of_ours_a_log_is_tried_by_graded_metrics_too(real: Path, again: Path) -> None:
    found = {one.task: one for one in telling([str(real / "gpt2-nano"), str(again)], tasks=["p_piqa"])}
    bpb = next(metric for metric in found["p_piqa"].metrics if metric.metric == "bpb")
    assert (bpb.models, bpb.items, bpb.pairs) == (3, 40, 3)


def test_of_several_dates_the_last_one_counts_and_two_logs_of_one_model_are_told(tmp_path: Path) -> None:
    log = write_log(tmp_path / "one", {"t": [choice(n, [-1.0, -2.0]) for n in range(6)]})
    (file,) = log.glob("samples_*")
    file.with_name(file.name.replace("2026", "2025")).write_text(json.dumps(choice(0, [-2.0, -1.0])) + "\n")
    (row,) = read_runs(str(log)).merged.rows
    assert (row["n"], row["value"]) == (6, 1.0)
    write_log(tmp_path / "two", {"t": [choice(n, [-2.0, -1.0]) for n in range(6)]})
    with pytest.raises(LogError, match="org/some-model has two logs of t"):
        import_logs([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    (pair,) = compare([str(tmp_path / "one"), str(tmp_path / "two")]).pairs
    assert {pair.model_a, pair.model_b} == {"one/org/some-model", "two/org/some-model"}
    assert abs(pair.figure.value) == 1.0
    write_log(tmp_path / "other", {"u": [choice(n, [-2.0, -1.0]) for n in range(6)]})
    merged = read_runs([str(tmp_path / "one"), str(tmp_path / "other")]).merged
    assert {row["model"] for row in merged.rows} == {"org/some-model"}, "of different tasks they are one model"


def test_gates_samples_and_place_take_logs_as_they_are(tmp_path: Path, in_process: RunCli) -> None:
    logs = []
    for name, right in (("weak", 4), ("strong", 11)):
        items = [choice(n, [-1.0, -2.0] if n < right else [-3.0, -2.0]) for n in range(12)]
        logs.append(write_log(tmp_path / name, {"t": items}, model=f"org/{name}"))
    assert in_process("compare", *logs, "--gate", "org/strong:t>=0.9").returncode == 0
    assert in_process("compare", *logs, "--gate", "org/weak:t>=0.9").returncode == 1
    told = in_process("samples", logs[0], "--model", "org/weak", "--task", "t", "--wrong")
    assert told.stdout.count("--- item") == 8
    placed = in_process("place", *logs, "--model", "org/weak")
    assert placed.returncode == 0, placed.stderr
    assert "org/strong" in placed.stdout


def test_large_logs_are_read_side_by_side_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [
        write_log(tmp_path / name, {"t": [choice(n, [-1.0, -2.0 * (n % 3)]) for n in range(9)]}, model=f"org/{name}")
        for name in ("a", "b")
    ]
    before = [dict(row) for row in read_runs(list(map(str, logs))).merged.rows]
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("gpteval.store.logged.LARGE", 10)
    assert [dict(row) for row in read_runs(list(map(str, logs))).merged.rows] == before
    (logs[1] / f"samples_t_{DATE}.jsonl").write_text("{")
    with pytest.raises(LogError, match="line 1 is not JSON"):
        read_runs(list(map(str, logs)))


def test_a_metric_that_the_log_counts_otherwise_is_told_beside_a_run_of_ours(tmp_path: Path) -> None:
    """exact_match of gpteval passes over case and full stops; this log's does not."""
    texts = [generation(n, "Yes." if n % 2 else "yes", "yes") for n in range(12)]
    log = write_log(tmp_path / "log", {"g": texts})
    (row,) = read_runs(str(log)).merged.rows
    assert row["value"] == 0.5
    said = "as the log counts it: gpteval's own exact_match is another on 6 items"
    assert said in row["notes"]
    made = gpteval.evaluate(f"answers:{log}", f"log:{log}", out=tmp_path / "run")
    (pair,) = compare([str(log), str(made.folder)]).pairs
    assert any(said in note for note in pair.notes)
