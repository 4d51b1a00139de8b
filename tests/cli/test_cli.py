"""The command line as a user meets it: exit codes, streams, speed, messages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpteval.cli import _run
from gpteval.cli.app import GROUPS, name_of, program
from tests import forks
from tests.conftest import RunCli
from tests.tiny import save_tiny

HEAVY = ("torch", "transformers", "datasets", "evaluate", "sacrebleu", "rouge_score", "pandas", "scipy", "sklearn")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "tiny", window=256)


@pytest.fixture(scope="module")
def finished(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ("run", "--models", model, "--tasks", "nano_topic,nano_prose,nano_summary", "--limit", 6, "--out", out)
    assert _run(list(map(str, words))) == 0
    return out


@pytest.mark.parametrize("command", [["--help"], ["tasks"], ["models"], ["run", "--help"], ["tasks", "--json"]])
def test_light_commands_import_nothing_heavy(command: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['gpteval', *{command!r}]\n"
        "from gpteval.cli.app import program\n"
        "try: program()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_all_commands_are_there(run_cli: RunCli) -> None:
    text = run_cli("--help").stdout
    for name in "run models tasks show samples report generate pretrain doctor".split():
        assert f"\n  {name} " in text


def test_each_command_is_told_in_one_whole_sentence_by_its_purpose(run_cli: RunCli) -> None:
    text = run_cli("--help", env={"COLUMNS": "80"}).stdout
    assert re.findall(r"^(\w+):$", text, re.MULTILINE)[1:] == list(GROUPS)
    lines = text.partition("Evaluate:")[2].splitlines()
    told = [line.split(maxsplit=1) for line in lines if line.startswith("  ")]
    assert [name for name, _ in told] == [name_of(member) for members in GROUPS.values() for member in members]
    assert len(told) == len({name for name, _ in told}) == len(program.commands) - 1, "one name before is hidden"
    for _, sentence in told:
        assert re.fullmatch(r"[A-Z][^.]*\.", sentence), sentence


def test_results_go_to_stdout_and_the_rest_to_stderr(finished: Path, in_process: RunCli, model: Path) -> None:
    again = in_process(
        "run", "--models", model, "--tasks", "nano_topic", "--limit", 6, "--out", finished, "--no-report"
    )
    assert again.returncode == 0
    (line,) = again.stdout.splitlines()
    assert line.split()[:4] == ["tiny", "nano_topic", "0-shot", "acc"]
    assert "n=6" in line
    assert "results:" in again.stderr


def test_json_makes_stdout_one_document(in_process: RunCli, model: Path, tmp_path: Path) -> None:
    done = in_process(
        "run",
        "--models",
        model,
        "--tasks",
        "nano_topic",
        "--limit",
        3,
        "--out",
        tmp_path / "r",
        "--json",
        "--no-report",
    )
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "r" / "results.json").read_text())
    for command in ("models", "tasks"):
        assert isinstance(json.loads(in_process(command, "--json").stdout), list)


def test_what_is_loaded_is_told(in_process: RunCli, model: Path, tmp_path: Path) -> None:
    done = in_process("run", "--models", model, "--tasks", "nano_topic", "--limit", 2, "--out", tmp_path / "r")
    assert done.stderr.startswith("loading task data 1/1, nano_topic\n")


def test_all_is_every_real_task(in_process: RunCli) -> None:
    assert "all and the families hold the real tasks" in in_process("tasks").stdout


def test_a_tasks_page(in_process: RunCli) -> None:
    page = in_process("tasks", "nano_topic").stdout
    assert page.startswith("nano_topic: ")
    assert "--- the first item, " in page
    assert "No published results" in page
    page = in_process("tasks", "piqa").stdout
    assert "Its data are not here: task piqa: cannot load" in page
    assert "--- published, 15 of " in page
    assert "Brown et al. 2020" in page
    document = json.loads(in_process("tasks", "piqa", "--json").stdout)
    assert document["items"] is None
    assert document["suites"] == ["core", "gpt3-paper", "pythia-paper"]
    assert {row["task"] for row in document["published"]} == {"piqa"}


def test_the_page_of_several_tasks_lists_them(in_process: RunCli) -> None:
    page = in_process("tasks", "safety").stdout.split()
    assert {"safety:", "crows_pairs", "winogender", "truthfulqa_mc"} <= set(page)
    group = in_process("tasks", "superglue").stdout
    assert "One superglue_score with an interval from all items, once all 8 tasks have run:\n  boolq" in group
    assert "--- published, 15 of 25 (all: gpteval reference --task superglue)" in group
    listed = in_process("tasks").stdout
    assert "57 tasks" in listed
    assert "mmlu_anatomy" not in listed, "a benchmark in parts has one line"
    assert "nearest" in in_process("tasks", "piqs").stderr


def test_a_file_is_scored(in_process: RunCli, model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The dog sleeps on, and the fox too.\n" * 5)
    done = in_process("run", "--models", model, "--tasks", f"text:{tmp_path / 'notes.txt'}", "--out", tmp_path / "r")
    assert "text-notes" in done.stdout
    assert "text-notes" in in_process("report", tmp_path / "r").stdout + (tmp_path / "r" / "report.html").read_text()


def test_a_run_ends_with_the_path_of_its_report(finished: Path) -> None:
    html = (finished / "report.html").read_text(encoding="utf-8")
    assert "nano_topic" in html
    assert str(finished.parent) not in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "gtp2", "--tasks", "all"], "unknown model 'gtp2'"),
        (["--models", "./nope", "--tasks", "all"], "no such folder: ./nope"),
        (["--models", "/nowhere/model", "--tasks", "all"], "no such folder: /nowhere/model"),
        (["--models", "nano", "--tasks", "nano", "--max-bad-rows", "2"], "--max-bad-rows is a share"),
        (["--models", "nano", "--tasks", "lambda_openai"], "nearest: lambada_openai"),
        (["--models", "nano", "--tasks", "all", "--shots", "few"], "--shots takes numbers"),
        (["--models", "nano", "--tasks", "all", "--limit", "0"], "--limit must be at least 1"),
        (["--models", "nano", "--tasks", "all", "--device", "tpu"], "device 'tpu' cannot be used here"),
        (["--models", "nano", "--tasks", "all", "--dtype", "float8"], "unknown dtype 'float8'"),
        (["--models", "nano", "--tasks", "all", "--task-dir", "/nowhere"], "the task folder"),
        (["--models", "nano", "--tasks", "all", "--out", "/proc/x"], "cannot write to the output folder"),
        (["--models", ",", "--tasks", "all"], "no models named"),
        (["--models", "nano"], "Missing option '--tasks'"),
        (
            ["--models", "nano", "--tasks", "all", "--executor", "slurm"],
            "--executor is one of auto, inline, process, ray, folder, not 'slurm'",
        ),
        (["--models", "nano", "--tasks", "all", "--batch-tokens", "many"], "--batch-tokens"),
    ],
)
def test_what_cannot_be_used_exits_with_2(run_cli: RunCli, arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run_cli("run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_failed_task_exits_with_1_and_saves_the_others(in_process: RunCli, model: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "broken.py").write_text("from gpteval import task\n\nthis is no python\n")
    (tmp_path / "tasks" / "bad.py").write_text(
        "from gpteval import Generate, file, task\n"
        '@task(family="qa", source=file("nowhere.jsonl"), metric="f1")\n'
        'def bad(item): return Generate("x", ["y"])\n'
    )
    names = "nano_topic,nano_prose,bad,nano_facts,nano_sentiment"
    done = in_process(
        *("run", "--models", model, "--tasks", names, "--limit", 3, "--out", tmp_path / "r", "--no-report"),
        *("--task-dir", tmp_path / "tasks"),
    )
    assert done.returncode == 1
    assert "broken.py, line 3" in done.stderr
    assert "cannot read nowhere.jsonl" in done.stderr
    document = json.loads((tmp_path / "r" / "results.json").read_text())
    assert len({r["task"] for r in document["results"]}) == 4
    assert [f["task"] for f in document["failures"]] == ["bad"]


def test_an_interrupted_run_says_how_to_go_on(run_cli: RunCli, model: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gpteval",
        "run",
        "--models",
        str(model),
        "--tasks",
        "nano",
        "--batch-tokens",
        "64",
        "--limit",
        "40",
    ]
    process = forks.Process([*command, "--out", str(tmp_path / "r")])
    process.stdout.readline()  # the first finished task
    process.terminate()
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 130
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors


def test_show_prints_the_exact_prompt_and_its_tokens(in_process: RunCli, model: Path) -> None:
    done = in_process("show", "nano_topic", "--shots", 2, "--model", model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("News: ") == 3
    assert "=>" in done.stdout
    item = done.stdout.split("item ")[1].split(",")[0]
    assert f"item {item}," in in_process("show", "nano_topic", "--item", item).stdout
    unknown = in_process("show", "nano_topic", "--item", "nope")
    assert unknown.returncode == 2
    assert "has no item 'nope'" in unknown.stderr


def test_samples_prints_the_records(in_process: RunCli, finished: Path) -> None:
    done = in_process("samples", finished, "--model", "tiny", "--task", "nano_topic", "--jsonl")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 6
    for row in rows:
        assert {"item_id", "prompt", "choices", "logprobs", "gold", "metrics"} <= set(row)
        assert row["metrics"]["acc"] == float(row["prediction"] == row["gold"])
    generated = in_process("samples", finished, "--model", "tiny", "--task", "nano_summary", "--jsonl", "--limit", 1)
    assert "generated" in json.loads(generated.stdout)
    assert "continuation" not in in_process("samples", finished, "--model", "tiny", "--task", "nano_topic").stderr
    missing = in_process("samples", finished, "--model", "tiny", "--task", "sst2")
    assert missing.returncode == 2
    assert "has of tiny nano_prose, nano_summary, nano_topic" in missing.stderr
    assert in_process("samples", finished / "nope", "--model", "a", "--task", "b").returncode == 2


def test_generate_continues_a_prompt(in_process: RunCli, model: Path) -> None:
    ask = ("generate", "--model", model, "--prompt", "The quick", "--max-new-tokens", 5)
    once, twice = in_process(*ask), in_process(*ask)
    assert once.returncode == 0, once.stderr
    assert once.stdout == twice.stdout
    drawn = json.loads(in_process(*ask, "-n", 3, "--json").stdout)
    texts = [c["text"] for c in drawn["continuations"]]
    assert len(texts) == 3
    assert len(set(texts)) > 1, "several continuations are drawn, not repeated"
    assert json.loads(in_process(*ask, "-n", 3, "--json").stdout) == drawn, "the same seed draws the same"


def test_doctor_finds_this_machine_fit(in_process: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    done = in_process("doctor")
    assert done.returncode == 0, done.stdout
    assert "gpt3-nano" in done.stdout
    monkeypatch.setenv("GPTEVAL_DATA", "/nowhere")
    bad = in_process("doctor")
    assert bad.returncode == 1
    assert "BAD  data" in bad.stdout
