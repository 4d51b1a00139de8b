"""Datasets and models from the Hugging Face Hub, with the real libraries against a local server.

Code under test runs in subprocesses: the libraries read where the Hub is when they are imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.conftest import CHECKOUT, RunCli
from tests.hub_server import HubServer, publish, publish_dataset, publish_model
from tests.tiny import save_tiny

ROWS = [{"text": "a red door", "label": 0}, {"text": "a blue sky", "label": 1}]
SPLITS = {"train": [{"text": "the grass", "label": 1}], "test": ROWS}

LOAD = """
import json, sys
from gpteval.data.sources import hub
from gpteval.core.errors import GptevalError

for dataset, config, split, revision in json.load(sys.stdin):
    try:
        rows = hub(dataset, config, split=split, revision=revision).load()
        answer = {"rows": list(rows.rows), "revision": rows.revision, "origin": rows.origin}
    except GptevalError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    print(json.dumps(answer))
"""

Request = tuple[str, str, str, str | None]  # dataset, config, split, revision


def load(server: HubServer, home: Path, *requests: Request, **env: str) -> list[dict[str, Any]]:
    done = python(server, home, LOAD, json.dumps(requests), **env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def python(server: HubServer, home: Path, code: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return forks.run([sys.executable, "-c", code], input=stdin, env=server.env(home, **env), cwd=CHECKOUT)


def test_rows_and_the_served_commit(hub_server: HubServer, tmp_path: Path) -> None:
    plain = publish_dataset(hub_server.root, "org/plain", SPLITS)
    named = publish_dataset(hub_server.root, "org/named", {"validation": ROWS}, config="small")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    bare = publish(hub_server.root, "datasets", "org/bare", tmp_path / "bare")  # no README, no configs

    home = tmp_path / "home"
    load(hub_server, home, ("org/plain", "default", "test", None))
    assert "default/train.parquet" not in "".join(hub_server.downloads("org/plain")), "no other split is downloaded"
    found = load(
        hub_server,
        home,
        ("org/plain", "default", "test", None),
        ("org/plain", "default", "train", None),
        ("org/named", "small", "validation", None),
        ("org/bare", "default", "test", None),
    )
    assert [answer["rows"] for answer in found] == [ROWS, SPLITS["train"], ROWS, ROWS]
    assert [answer["revision"] for answer in found] == [plain, plain, named, bare]
    assert found[2]["origin"] == "org/named/small/validation"
    assert "default/test.parquet" in "".join(hub_server.downloads("org/plain"))

    asked = len(hub_server.requests)
    offline = load(
        hub_server,
        home,
        ("org/plain", "default", "test", None),
        ("org/named", "small", "validation", None),
        HF_HUB_OFFLINE="1",
    )
    assert [(answer["rows"], answer["revision"]) for answer in offline] == [(ROWS, plain), (ROWS, named)]
    assert len(hub_server.requests) == asked, "offline, the cache answers and nobody is asked"


def test_what_was_read_online_is_there_without_a_network(hub_server: HubServer, tmp_path: Path) -> None:
    """Whatever the config is named, however the name is written, and whatever other splits begin alike."""
    splits = {"test": ROWS, "test_r1": SPLITS["train"], "train": SPLITS["train"]}
    publish_dataset(hub_server.root, "Org/PubMedQA-Small", splits, config="plain_text")
    publish_dataset(hub_server.root, "org/two", splits, config="wiki-2-raw")
    asked = [
        ("Org/PubMedQA-Small", "default", "test", None),
        ("Org/PubMedQA-Small", "plain_text", "test_r1", None),
        ("org/two", "wiki-2-raw", "test", None),
    ]
    home = tmp_path / "home"
    online = load(hub_server, home, *asked)
    assert [len(answer["rows"]) for answer in online] == [2, 1, 2]
    assert load(hub_server, home, *asked, HF_HUB_OFFLINE="1") == online
    (other,) = load(hub_server, home, ("org/two", "wiki-2", "test", None), HF_HUB_OFFLINE="1")
    assert other["error"] == "DataError", "another config is not taken for it"
    hub_server.close()
    assert load(hub_server, home, asked[2]) == online[2:], "nor does it need to be told that there is no network"


def test_a_pinned_revision_is_served_or_refused_but_never_replaced(hub_server: HubServer, tmp_path: Path) -> None:
    old = publish_dataset(hub_server.root, "org/data", {"test": [{"text": "old"}]}, revision="v1")
    new = publish_dataset(hub_server.root, "org/data", {"test": [{"text": "new"}]})
    requests: list[Request] = [("org/data", "default", "test", pin) for pin in (old, "v1", new, "main", None)]
    online = load(hub_server, tmp_path / "home", *requests)
    assert [answer["rows"][0]["text"] for answer in online] == ["old", "old", "new", "new", "new"]
    assert [answer["revision"] for answer in online] == [old, old, new, new, new]

    # without a network a commit is known by its name, a branch or tag is not
    offline = load(hub_server, tmp_path / "home", *requests, HF_HUB_OFFLINE="1")
    assert [answer.get("revision") for answer in offline] == [old, None, new, None, offline[4]["revision"]]
    assert [answer["rows"][0]["text"] for answer in offline[::2]] == ["old", "new", offline[4]["rows"][0]["text"]]
    assert all("online" in answer["hint"] for answer in offline[1::2])


def test_what_cannot_be_loaded_says_why_and_what_to_do(hub_server: HubServer, tmp_path: Path) -> None:
    publish_dataset(hub_server.root, "org/data", SPLITS)
    for name, file, text in [("script", "script.py", "import datasets\n"), ("hollow", "README.md", "# nothing\n")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
        publish(hub_server.root, "datasets", f"org/{name}", tmp_path / name)
    answers = load(
        hub_server,
        tmp_path / "home",
        ("org/absent", "default", "test", None),
        ("org/data", "default", "dev", None),
        ("org/data", "large", "test", None),
        ("org/data", "default", "test", "v9"),
        ("org/script", "default", "test", None),
        ("org/hollow", "default", "test", None),
    )
    assert {answer["error"] for answer in answers} == {"DataError"}
    absent, split, config, revision, script, hollow = (answer["message"] for answer in answers)
    assert "org/absent/default/test" in absent
    assert "doesn't exist" in absent
    assert '"dev"' in split
    assert "['train', 'test']" in split, "the splits that exist are named"
    assert "'large' not found" in config
    assert "'v9' doesn't exist" in revision
    assert "scripts are no longer supported" in script
    assert "without a loading script" in answers[4]["hint"]
    assert "data files" in hollow
    assert all("GPTEVAL_DATA" in answer["hint"] for answer in answers)


def test_without_network_the_advice_is_to_go_online(hub_server: HubServer, tmp_path: Path) -> None:
    (answer,) = load(hub_server, tmp_path, ("org/data", "default", "test", None), HF_HUB_OFFLINE="1")
    assert answer["error"] == "DataError"
    assert "HF_HUB_OFFLINE" in answer["hint"]
    assert hub_server.requests == []


def test_a_local_copy_goes_before_the_hub(hub_server: HubServer, tmp_path: Path) -> None:
    publish_dataset(hub_server.root, "org/data", SPLITS)
    folder = tmp_path / "data" / "org" / "data" / "default"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text('{"text": "the local one"}\n')
    local, served = load(
        hub_server,
        tmp_path / "home",
        ("org/data", "default", "test", None),
        ("org/data", "default", "train", None),
        GPTEVAL_DATA=str(tmp_path / "data"),
    )
    assert local["rows"] == [{"text": "the local one"}]
    assert local["revision"].startswith("sha256:")
    assert served["rows"] == SPLITS["train"], "what the folder does not hold comes from the Hub"


PROMPTS = """
from gpteval import Choice, hub, task
from gpteval.core.errors import GptevalError
from gpteval.prompts.build import build_prompts, load_task

for column in ("text", "sentence"):
    for split in ("train", "dev"):
        @task(family="qa", source=hub("org/data", split="test"), shots_from=split, metric="acc")
        def colours(item):
            return Choice(item[column], [" red", " blue"], gold=item["label"])
        try:
            data = load_task(colours, shots=1)
            print(data.revision, build_prompts(data, shots=1)[0].examples, data.notes)
        except GptevalError as error:
            print(type(error).__name__, error.message)
"""


def test_a_wrong_column_is_named_and_a_missing_split_for_examples_is_noted(
    hub_server: HubServer, tmp_path: Path
) -> None:
    commit = publish_dataset(hub_server.root, "org/data", SPLITS)
    done = python(hub_server, tmp_path / "home", PROMPTS)
    assert done.returncode == 0, done.stderr
    good, noted, *wrong = done.stdout.splitlines()
    assert good == f"{commit} ('the grass blue\\n\\n',) ()"
    assert "a blue sky blue" in noted, "the example comes from the evaluated split, and is not the item"
    assert "examples drawn from org/data/default/test" in noted
    for line in wrong:
        assert line.startswith("ColumnError task colours: 2 of 2 rows cannot be posed, the first: item ")
        assert "has no column 'sentence'; it has 'text', 'label'" in line


MODEL = """
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel

for info in resolve_models(["org/tiny", "org/tiny@v1"]):
    model = HFModel(info)
    print(info.name, model.revision, model.fingerprint, float(model.module.lm_head.weight.sum()))
"""


def test_models_and_their_revisions(hub_server: HubServer, tmp_path: Path) -> None:
    old = publish_model(hub_server.root, "org/tiny", save_tiny(tmp_path / "old", seed=1), revision="v1")
    new = publish_model(hub_server.root, "org/tiny", save_tiny(tmp_path / "new", seed=2))
    for env in ({}, {"HF_HUB_OFFLINE": "1"}):
        done = python(hub_server, tmp_path / "home", MODEL, **env)
        assert done.returncode == 0, done.stderr
        plain, pinned = (line.split() for line in done.stdout.splitlines())
        assert plain[3] != pinned[3], "other weights"
        assert (plain[1], pinned[1]) == (new, old)
        assert plain[2] != pinned[2], "other outcomes may not be read from the cache"


TASKS = """
from gpteval import Choice, hub, task

@task(family="qa", source=hub("org/data", split="test"), metric="acc")
def colours(item):
    return Choice(item["text"], [" red", " blue"], gold=item["label"])

@task(family="qa", source=hub("org/data", split="test"), metric="acc")
def wrong_column(item):
    return Choice(item["sentence"], [" red", " blue"], gold=item["label"])

@task(family="qa", source=hub("org/absent", split="test"), metric="acc")
def absent(item):
    return Choice(item["text"], [" red", " blue"], gold=item["label"])
"""


def test_a_run_on_the_hubs_data(hub_server: HubServer, tmp_path: Path, run_cli: RunCli) -> None:
    commit = publish_dataset(hub_server.root, "org/data", SPLITS)
    publish_model(hub_server.root, "org/tiny", save_tiny(tmp_path / "model"))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.py").write_text(TASKS)
    asked = ["--models", "org/tiny", "--tasks", "colours,wrong_column,absent", "--task-dir", tmp_path / "tasks"]
    done = run_cli("run", *asked, "--out", tmp_path / "out", "--no-report", env=hub_server.env(tmp_path / "home"))
    assert done.returncode == 1, "what failed is named, the rest is saved"
    assert "Traceback" not in done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["tasks"]["colours"]["revision"] == commit
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["task"] for row in results["results"]} == {"colours"}
    failures = {failure["task"]: failure["error"] for failure in results["failures"]}
    assert "has no column 'sentence'" in failures["wrong_column"]
    assert "Dataset 'org/absent' doesn't exist" in failures["absent"]


def test_the_server_answers_like_the_hub(hub_server: HubServer) -> None:
    commit = publish_dataset(hub_server.root, "org/data", SPLITS)
    url = f"{hub_server.url}/datasets/org/data/resolve/main/README.md"
    with urllib.request.urlopen(url) as whole:
        text = whole.read()
        assert whole.headers["X-Repo-Commit"] == commit
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=4-10"})) as part:
        assert part.status == 206
        assert part.read() == text[4:11]
        assert part.headers["Content-Range"] == f"bytes 4-10/{len(text)}"
    for path, code in [
        ("datasets/org/none/resolve/main/README.md", "RepoNotFound"),
        ("datasets/org/data/resolve/v9/README.md", "RevisionNotFound"),
        ("datasets/org/data/resolve/main/none.txt", "EntryNotFound"),
    ]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{hub_server.url}/{path}")
        assert caught.value.code == 404
        assert caught.value.headers["X-Error-Code"] == code
    with urllib.request.urlopen(f"{hub_server.url}/api/datasets/org/data/tree/main?recursive=true") as tree:
        assert {entry["path"] for entry in json.load(tree)} >= {"README.md", "default", "default/test.parquet"}
    assert hub_server.requests[0] == "GET /datasets/org/data/resolve/main/README.md"
