"""A training run as one line of models: its checkpoints by name, in results, in the report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from gpteval.cli.options import model_names
from gpteval.core.errors import UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.steps import step_of
from gpteval.report import build_report
from gpteval.report.training_view import figure, training
from gpteval.run.evaluate import evaluate
from gpteval.store.runs import read_runs
from gpteval.train.pretrain import HELD_OUT
from tests.browsing import browser  # noqa: F401  (fixture)
from tests.conftest import RunCli
from tests.data.test_hub import python
from tests.hub_server import HubServer, publish_model
from tests.made_runs import make_run, scores
from tests.tiny import save_tiny


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-500", 500),
        ("step1000", 1000),
        ("step-9.pt", 9),
        ("ckpt_2000.pt", 2000),
        ("global_step12", 12),
        ("iter-000123-ckpt.pth", 123),
        ("model_00019560.bin", 19560),
        ("gpt2-step0", 0),
        ("pythia-160m", None),
        ("ckpt.pt", None),
        ("gpt2", None),
        ("model_2.bin", None),
        ("footstep3", None),
        ("step1k", 1000),
        ("ckpt-12k", 12_000),
        ("step-1.5k.pt", 1500),
        ("checkpoint_10B", 10**10),
        ("step2M-final", 2_000_000),
        ("iter1e5", 100_000),
        ("iter_1.5e+04-last.ckpt", 15_000),
        ("step000500-final", 500),
        ("step140000-tokens294B", 140_000),
        ("step1k5", None),
        ("step12kk", None),
        ("step1.5", None),
        ("step0.0001k", None),
        ("step1.7e0", None),
        ("step500-epoch3", None),
        ("checkpoint-5-of-run-7", None),
    ],
)
def test_the_step_that_a_name_tells(name: str, step: int | None) -> None:
    assert step_of(name) == step


def checkpoints(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("step500", "step1k", "step1500", "step12k"),
        ("checkpoint_500M", "checkpoint_1B", "checkpoint_10B"),
        ("ckpt-900k", "ckpt-1000k"),
        ("iter5e2", "iter0900", "iter1e3-final"),
        ("step-0500", "step-1000", "step-20000"),
    ],
)
def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path, names: tuple[str, ...]) -> None:
    out = checkpoints(tmp_path / "out", *names)
    assert [info.name for info in resolve_models([f"{out}/*"])] == list(names)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("step500", "step1k5"), "the step of step1k5 cannot be read"),
        (("step500", "step12kk"), "the step of step12kk cannot be read"),
        (("checkpoint-500", "checkpoint_10B"), "are not counted in the same unit"),
        (("ckpt-500", "ckpt-12k", "ckpt-1M"), "are not counted in the same unit"),
        (("step9k", "step1B"), "are not counted in the same unit"),
    ],
)
def test_an_order_that_is_not_sure_is_refused(tmp_path: Path, names: tuple[str, ...], reason: str) -> None:
    out = checkpoints(tmp_path / "out", *names)
    with pytest.raises(UsageError, match=reason):
        resolve_models([f"{out}/*"])
    with pytest.raises(UsageError, match=reason):
        resolve_models([f"org/model@{','.join(names)}"])
    assert len(resolve_models([str(out / names[-1])])) == 1, "alone it needs no order"


def test_checkpoints_of_a_folder_are_a_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/out/checkpoint-9", "a/out/checkpoint-10", "b/out/checkpoint-10", "b/final"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    found = resolve_models(["a/out/checkpoint-*"])
    assert [(i.name, i.family, i.step) for i in found] == [
        ("checkpoint-9", "out", 9),
        ("checkpoint-10", "out", 10),
    ]
    found = resolve_models(["a/out/checkpoint-*", "b/out/*", "b/final", "gpt2"])
    assert [(i.name, i.family, i.step) for i in found] == [
        ("checkpoint-9", "a/out", 9),
        ("a/out/checkpoint-10", "a/out", 10),
        ("b/out/checkpoint-10", "b/out", 10),
        ("final", "", None),
        ("gpt2", "", None),
    ]
    (tmp_path / "latest").symlink_to(tmp_path / "a/out/checkpoint-9")
    assert len(resolve_models(["latest", "a/out/checkpoint-9"])) == 1, "one model under two names"


def test_several_revisions_of_one_model() -> None:
    assert model_names(["pythia-160m@step1000,step8000,gpt2", "step2"]) == (
        "pythia-160m@step1000,step8000",
        "gpt2",
        "step2",
    )
    found = resolve_models(["pythia-160m@step1000,step8000", "pythia-160m", "org/own@step3"])
    assert [(i.name, i.revision, i.family, i.step) for i in found] == [
        ("pythia-160m@step1000", "step1000", "pythia-160m", 1000),
        ("pythia-160m@step8000", "step8000", "pythia-160m", 8000),
        ("pythia-160m", None, "", None),
        ("org/own@step3", "step3", "org/own", 3),
    ]
    for asked in ("gpt2@,", "gpt2@step1,,step2"):
        with pytest.raises(UsageError, match="has an empty revision"):
            resolve_models([asked])
    with pytest.raises(UsageError, match="has no revisions"):
        resolve_models(["gpt2-nano@step5"])


STEPS = """
from gpteval.core.errors import UsageError
from gpteval.models.catalogue import resolve_models

print([i.name for i in resolve_models(["org/tiny@steps"])])
try:
    resolve_models(["org/plain@steps"])
except UsageError as error:
    print(error.message)
try:
    resolve_models(["org/absent@steps"])
except UsageError as error:
    print(error.message)
"""


def test_all_steps_that_a_repository_has(hub_server: HubServer, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m")
    for step in ("step10", "step9", "other"):
        publish_model(hub_server.root, "org/tiny", folder, revision=step)
    publish_model(hub_server.root, "org/plain", folder)
    done = python(hub_server, tmp_path / "home", STEPS)
    assert done.stdout.splitlines() == [
        "['org/tiny@step9', 'org/tiny@step10']",
        "org/plain has no revision that is named after a step",
        "the Hub does not say which steps org/absent has: RepositoryNotFoundError",
    ], done.stderr


TASK = """
from gpteval import Choice, file, task

@task(family="qa", source=file("rows.jsonl"), metric="acc")
def weather(item):
    return Choice(f"The {item['text']} is", [" up", " down"], gold=item["label"])
"""


def test_results_tell_family_and_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    for step in (10, 2):
        save_tiny(tmp_path / "out" / f"checkpoint-{step}", seed=step)
    save_tiny(tmp_path / "known", seed=5)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "weather.py").write_text(TASK)
    rows = [{"text": word, "label": n % 2} for n, word in enumerate(("sun", "moon", "star", "sky", "rain", "wind"))]
    (tmp_path / "tasks" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    models = (f"{tmp_path}/out/checkpoint-*", f"{tmp_path}/known")
    made = evaluate(models, "weather", out=tmp_path / "run", task_dirs=(tmp_path / "tasks",), shots=(0, 1))
    found = json.loads((made.folder / "results.json").read_text())["results"]
    assert [(r["model"], r["model_family"], r["step"], r["shots"]) for r in found if r["primary"]] == [
        ("checkpoint-2", "out", 2, 0),
        ("checkpoint-2", "out", 2, 1),
        ("checkpoint-10", "out", 10, 0),
        ("checkpoint-10", "out", 10, 1),
        ("known", "", None, 0),
        ("known", "", None, 1),
    ]
    manifest = json.loads((made.folder / "manifest.json").read_text())["models"]
    assert (manifest["checkpoint-2"]["family"], manifest["checkpoint-2"]["step"]) == ("out", 2)
    (view,) = training(read_runs([made.folder]).merged)
    assert [line.name for line in view.lines] == ["out", "out, 1-shot"]
    again = evaluate(models, "weather", out=tmp_path / "run", task_dirs=(tmp_path / "tasks",), shots=(0, 1))
    assert json.loads((again.folder / "results.json").read_text())["results"] == found


SCORES = {"checkpoint-0": 0.2, "checkpoint-10": 0.3, "checkpoint-100": 0.25, "checkpoint-1000": 0.6}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A training of four checkpoints and two known models, of which it passes one for good and one not."""
    answers = {(name, "t"): scores([n < 100 * share for n in range(100)]) for name, share in SCORES.items()}
    answers |= {("low", "t"): scores([1] * 28 + [0] * 72), ("high", "t"): scores([1] * 70 + [0] * 30)}
    folder = make_run(tmp_path / "r", answers, chance={"t": 0.25})
    document = json.loads((folder / "results.json").read_text())
    for row in document["results"]:
        if row["model"] in SCORES:
            row |= {"model_family": "<b>mine</b>", "step": int(row["model"].rpartition("-")[2])}
    document["results"] = document["results"][::-1]
    (folder / "results.json").write_text(json.dumps(document))
    return folder


def test_what_the_view_says(run: Path) -> None:
    (view,) = training(read_runs([run]).merged)
    assert view.steps == (0, 10, 100, 1000)
    assert view.sentences == ["<b>mine</b>: 20.0 at step 0, 60.0 at step 1,000; ahead of low from step 1,000 on"]
    drawn = figure(view)
    line = drawn["data"][-1]
    assert line["y"] == [20, 30, 25, 60]
    assert line["x"] == pytest.approx([0, math.log10(11), math.log10(101), math.log10(1001)])
    assert sorted(trace["y"][0] for trace in drawn["data"] if trace["mode"] == "lines+text") == pytest.approx([28, 70])
    assert drawn["layout"]["shapes"][0]["y0"] == 25
    assert line["name"] == "&lt;b&gt;mine&lt;/b&gt;"


def test_trainings_have_a_colour_each_and_levels_none(run: Path) -> None:
    document = json.loads((run / "results.json").read_text())
    (alone,) = training(read_runs([run]).merged)
    assert figure(alone)["data"][-1]["meta"]["generation"] == "gpt2", "one is of its generation's colour"
    for row in document["results"]:
        if row["model"] in ("checkpoint-0", "checkpoint-10"):
            row |= {"model_family": "yours"}
    (run / "results.json").write_text(json.dumps(document))
    (view,) = training(read_runs([run]).merged)
    drawn = figure(view)["data"]
    lines = {trace["name"]: trace["meta"]["generation"] for trace in drawn if trace["mode"] == "lines+markers"}
    assert len(set(lines.values())) == len(lines) == 2
    assert {trace["meta"]["generation"] for trace in drawn if trace["mode"] == "lines+text"} == {"soft"}
    assert max(len(text) for trace in drawn if trace["mode"] == "lines+text" for text in trace["text"]) <= 18


def test_a_single_checkpoint_is_no_line(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "r", {("checkpoint-5", "t"): scores([1, 0])})
    document = json.loads((folder / "results.json").read_text())
    document["results"][0] |= {"model_family": "mine", "step": 5}
    (folder / "results.json").write_text(json.dumps(document))
    assert training(read_runs([folder]).merged) == ()
    assert 'id="training"' not in build_report([folder], tmp_path / "r.html").read_text()


@pytest.mark.browser
def test_the_page(run: Path, browser: Any) -> None:
    page = build_report([run], run / "report.html")
    tab = browser.new_page()
    troubles: list[str] = []
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.goto(page.as_uri() + "#training")
    tab.wait_for_timeout(300)
    assert tab.locator("[data-view].active .scatterlayer .trace").count() == 4, "two levels, a band, a line"
    assert "ahead of low from step 1,000 on" in tab.locator("[data-view].active").inner_text()
    assert [tab.locator("th[scope=row] bdi").nth(n).inner_text() for n in range(3)] == [*SCORES][:3]
    assert troubles == []
    tab.close()


CONFIG = """
text = "mine.txt"
vocabulary = 300
window = 32
batch = 4
steps = 16
learning_rate = 0.01
[model]
n_embd = 16
n_layer = 1
n_head = 2
"""


def test_five_checkpoints_of_a_training_give_a_curve(
    tmp_path: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle and continued, the training keeps the same checkpoints, and they give the same curve."""
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine.txt").write_text("\n".join(f"The {n} of them went to the {n % 7} house." for n in range(500)))
    (tmp_path / "mine.toml").write_text(CONFIG)
    train = ("pretrain", "--config", tmp_path / "mine.toml", "--checkpoints", 5, "--device", "cpu")
    whole = in_process(*train, "--out", tmp_path / "a/mine")
    assert whole.returncode == 0, whole.stderr
    assert "step-*',nano --tasks nano" in whole.stderr
    for limit in (("--max-minutes", "0.00001"), ()):
        done = in_process(*train, "--out", tmp_path / "b/mine", *limit)
        assert done.returncode == 0, done.stderr
        assert bool(limit) == (tmp_path / "b/mine/checkpoints").exists(), "it was stopped before its end"
    found = []
    text = f"text:{tmp_path / 'a/mine' / HELD_OUT}"
    for name in ("a", "b"):
        out = tmp_path / name / "run"
        done = in_process("run", "--models", tmp_path / name / "mine/step-*", "--tasks", text, "--out", out)
        assert done.returncode == 0, done.stderr
        rows = [row for row in json.loads((out / "results.json").read_text())["results"] if row["primary"]]
        assert [(row["model_family"], row["step"]) for row in rows] == [("mine", 2**n) for n in range(5)]
        found.append([row["value"] for row in rows])
        assert {view.steps for view in training(read_runs([out]).merged)} == {(1, 2, 4, 8, 16)}
    assert found[0] == found[1]
    assert found[0][-1] < found[0][0], "it learns"
