"""Registries: plugin files, folders, entry points; names, families, suites."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpteval.core.content import content_dir
from gpteval.core.errors import PluginError, TaskError, UnknownNameError, UsageError
from gpteval.core.plugins import Registry
from gpteval.core.types import Item
from gpteval.tasks.registry import select_tasks, task_registry, tasks_in_file
from gpteval.tasks.task import Task
from tests import forks
from tests.conftest import CHECKOUT, RunCli

PLUGIN = """
from gpteval import Choice, generated, task

rows = generated(lambda split: [{{"n": n}} for n in range(4)], revision="1")

@task(family={family!r}, source=rows, metric="acc", suites={suites!r})
def {name}(item):
    \"\"\"Says   yes
    or no.\"\"\"
    return Choice(str(item["n"]), [" yes", " no"], gold=item["n"] % 2)
"""


def plugin(name: str, family: str = "qa", suites: tuple[str, ...] = ()) -> str:
    return PLUGIN.format(name=name, family=family, suites=suites)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def problems(registry: Registry[Task]) -> list[str]:
    return [problem.message for problem in registry.problems]


def test_a_plugin_file_adds_its_tasks(tmp_path: Path) -> None:
    registry = task_registry((write(tmp_path, mine=plugin("my_task")),))
    assert registry["my_task"].description == "Says yes or no."
    assert "lambada_openai" in registry, "beside the shipped ones"
    assert not registry.problems


def test_tasks_may_be_made_in_a_list(tmp_path: Path) -> None:
    many = plugin("one") + "\nfrom dataclasses import replace\nmore = [replace(one, name=f'n{k}') for k in range(3)]\n"
    assert [t.name for t in tasks_in_file(write(tmp_path, many=many) / "many.py")] == ["one", "n0", "n1", "n2"]


def test_a_broken_file_is_reported_with_its_line_and_the_others_load(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        a_syntax="import os\n\ndef broken(:\n    pass\n",
        b_name="x = 1\ny = 2\nprint(undefined_name)\n",
        c_import="import no_such_module_here\n",
        d_deep="def helper():\n    return 1 / 0\n\n\nhelper()\n",
        e_bad_task=plugin("bad", family="cooking"),
        f_good=plugin("good"),
    )
    registry = task_registry((folder,))
    assert "good" in registry
    found = dict(problem.split(": ", 1) for problem in problems(registry))
    assert list(found) == [
        "a_syntax.py, line 3",
        "b_name.py, line 3",
        "c_import.py, line 1",
        "d_deep.py, line 2",
        "e_bad_task.py, line 6",
    ]
    assert "undefined_name" in found["b_name.py, line 3"]
    assert "no_such_module_here" in found["c_import.py, line 1"]
    assert "ZeroDivisionError" in found["d_deep.py, line 2"]
    assert "unknown family 'cooking'" in found["e_bad_task.py, line 6"]


def test_a_file_with_bytes_that_are_no_text_is_reported(tmp_path: Path) -> None:
    (write(tmp_path, good=plugin("good")) / "latin.py").write_bytes(b"x = '\xe9t\xe9'\n")
    registry = task_registry((tmp_path,))
    assert "good" in registry
    (problem,) = problems(registry)
    assert problem.startswith("latin.py, line 1: ")


def test_the_second_task_of_a_name_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    folder = write(tmp_path, a=plugin("same", family="qa"), b=plugin("same", family="lm"), c=plugin("sst2"))
    registry = task_registry((folder,))
    assert registry["same"].family == "qa"
    assert registry["sst2"].family == "classification"
    assert problems(registry) == ["b.py: two tasks are named 'same'", "c.py: two tasks are named 'sst2'"]


def test_folders_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = write(tmp_path / "1", a=plugin("first")), write(tmp_path / "2", a=plugin("second"))
    monkeypatch.setenv("GPTEVAL_TASK_PATH", f"{one}{os.pathsep}{two}")
    task_registry.cache_clear()
    try:
        assert {"first", "second"} <= set(task_registry())
        monkeypatch.setenv("GPTEVAL_TASK_PATH", str(tmp_path / "absent"))
        task_registry.cache_clear()
        with pytest.raises(UsageError, match="absent does not exist"):
            task_registry()
    finally:
        task_registry.cache_clear()


def test_an_unknown_name_offers_the_nearest() -> None:
    registry = task_registry()
    with pytest.raises(UnknownNameError, match=r"unknown task 'lambda_openai'\n.*lambada_openai") as caught:
        registry["lambda_openai"]
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownNameError, match=r"nearest:.*summarization"):
        select_tasks(registry, ["summarisation"])
    with pytest.raises(UnknownNameError) as none:
        registry["zzzzzzzz"]
    assert "nearest" not in str(none.value)


def test_selection_by_name_family_suite_and_all(tmp_path: Path) -> None:
    folder = write(tmp_path, a=plugin("a_task", suites=("mine",)), b=plugin("b_task", family="lm", suites=("mine",)))
    registry = task_registry((folder,))

    def names(*asked: str) -> list[str]:
        return [task.name for task in select_tasks(registry, asked)]

    assert names("sst2", "piqa", "sst2") == ["sst2", "piqa"]
    assert names("mine") == ["a_task", "b_task"]
    assert names("mine", "a_task") == ["a_task", "b_task"], "each once"
    generated = {t.name for t in registry.values() if t.name.startswith("nano_")}
    assert set(names("nano")) == generated != set()
    assert set(names("lm")) == {t.name for t in registry.values() if t.family == "lm"} - generated
    assert set(names("all")) == set(registry) - generated > {"a_task", "b_task", "wikitext2"}
    assert names("all", "nano_topic")[-1] == "nano_topic"
    assert names() == []


def test_a_task_checks_its_own_fields() -> None:
    sst2 = task_registry()["sst2"]
    from dataclasses import replace

    for changes, message in [
        ({"name": "a b"}, "may hold only"),
        ({"name": ""}, "may hold only"),
        ({"shots": -1}, "-1"),
    ]:
        with pytest.raises(TaskError, match=message):
            replace(sst2, **changes)  # type: ignore[arg-type]
    assert replace(sst2, metrics=("f1", "acc")).all_metrics == ("acc", "f1")


def test_registry_refuses_a_second_object_of_a_name() -> None:
    registry: Registry[Any] = Registry("model", [SimpleNamespace(name="a")])
    with pytest.raises(PluginError, match="two models are named 'a'"):
        registry.add(SimpleNamespace(name="a"))
    assert len(registry) == 1


def test_entry_points_add_tasks_and_a_broken_one_is_reported(tmp_path: Path) -> None:
    """A third party's installed package: its folder and metadata on ``sys.path`` of a fresh interpreter."""
    write(
        tmp_path,
        third_party=plugin("from_object")
        + plugin("from_list")
        + plugin("from_call")
        + "\nlisted = [from_list]\n\ndef make():\n    return [from_call]\n",
        third_party_broken="raise RuntimeError('not today')\n",
    )
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gpteval.tasks]\none = third_party:from_object\ntwo = third_party:listed\nthree = third_party:make\n"
        "four = third_party_broken:task\nfive = third_party:absent\n"
    )
    code = (
        "import json; from gpteval.tasks.registry import task_registry; r = task_registry();"
        "print(json.dumps([list(r), [p.message for p in r.problems]]))"
    )
    path = os.pathsep.join([str(tmp_path), str(CHECKOUT)])
    done = forks.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, check=True)
    names, reported = json.loads(done.stdout)
    assert {"from_object", "from_list", "from_call", "sst2"} <= set(names)
    assert sorted(problem.split(": ")[0] for problem in reported) == [
        "entry point five (third_party:absent)",
        "entry point four (third_party_broken:task)",
    ]
    assert any("not today" in problem for problem in reported)


@pytest.mark.parametrize("target", ["StartsRight", "ONE", "MANY"])
def test_the_documents_metric_works_as_written(tmp_path: Path, target: str) -> None:
    """The class that CONTRIBUTING shows, its instance, and both in a list."""
    (written,) = re.findall(
        r"```python\n(from gpteval.metrics.base.*?)```", (CHECKOUT / "CONTRIBUTING.md").read_text(), re.S
    )
    (tmp_path / "my_package.py").write_text(f"{written}\nONE = StartsRight()\nMANY = [StartsRight]\n")
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[gpteval.metrics]\nstarts_right = my_package:{target}\n")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.py").write_text(
        "from gpteval import Generate, file, task\n\n"
        "@task(family='qa', source=file('rows.jsonl'), metric='starts_right')\n"
        "def mine(item):\n    return Generate(item['q'], [item['a']], max_new_tokens=2)\n"
    )
    rows = [{"q": f"word {n}", "a": "x"} for n in range(4)]
    (tmp_path / "tasks" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["run", "--models", "gpt2-nano", "--tasks", "mine", "--task-dir", str(tmp_path / "tasks"), "--json"]
    done = forks.run(
        [sys.executable, "-m", "gpteval", *command, "--no-report", "--no-cache", "--out", tmp_path / "out"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(CHECKOUT)])},
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert (row["metric"], row["n"], row["coverage"]) == ("starts_right", 4, 1.0)


def test_the_command_lists_a_folder_and_warns_of_its_broken_file(tmp_path: Path, run_cli: RunCli) -> None:
    folder = write(tmp_path, good=plugin("good_one"), bad="1 / 0\n")
    done = run_cli("tasks", "--task-dir", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert "good_one" in {row["name"] for row in json.loads(done.stdout)}
    assert "bad.py, line 1: ZeroDivisionError" in done.stderr


def test_shipped_content_is_found() -> None:
    assert (content_dir("tasks") / "lm.py").is_file()
    with pytest.raises(PluginError, match="reinstall"):
        content_dir("no_such_kind")


GOOD_AND_BAD = """
from gpteval import Choice, file, task

SOURCE = file("rows.jsonl")

@task(family="qa", source=SOURCE, metric="acc")
def before(item):
    return Choice(item["text"], [" a", " b"], gold=0)

@task(family="cooking", source=SOURCE, metric="acc")
def wrong(item):
    return Choice(item["text"], [" a", " b"], gold=0)

@wrong.template("other")
def wrong_otherwise(item):
    return Choice(item["text"], [" a", " b"], gold=0)

@task(family="qa", source=SOURCE, metric="acc")
def behind(item):
    return Choice(item["text"], [" a", " b"], gold=0)
"""


def test_one_wrong_task_leaves_the_files_others(tmp_path: Path, run_cli: RunCli) -> None:
    folder = write(tmp_path, several=GOOD_AND_BAD, ends=GOOD_AND_BAD.replace("before", "first") + "\n1 / 0\n")
    (folder / "rows.jsonl").write_text('{"text": "x"}\n{"text": "y"}\n')
    registry = task_registry((folder,))
    assert {"before", "behind", "first"} <= set(registry)
    assert "wrong" not in registry
    found = problems(registry)
    last = GOOD_AND_BAD.count("\n") + 2
    places = ["ends.py, line 10", f"ends.py, line {last}", "several.py, line 10", "several.py"]  # "behind" of both
    assert [problem.partition(": ")[0] for problem in found] == places
    done = run_cli("run", "--models", "gpt2-nano", "--tasks", "wrong", "--task-dir", folder, "--out", tmp_path / "r")
    assert done.returncode == 2
    assert "not loaded: ends.py, line 10: task wrong: unknown family 'cooking'" in done.stderr


def test_a_plugin_that_raises_the_users_interrupt_is_a_plugin_that_fails(tmp_path: Path) -> None:
    text = "def helper():\n    raise KeyboardInterrupt\n\nhelper()\n"
    registry = task_registry((write(tmp_path, good=plugin("good"), odd=text),))
    assert "good" in registry
    assert problems(registry) == ["odd.py, line 2: KeyboardInterrupt: "]
    waits = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
    with pytest.raises(KeyboardInterrupt):  # the user's own, while a file is read
        task_registry((write(tmp_path / "other", waits=waits),))


def test_task_files_of_the_version_before_find_what_they_share(tmp_path: Path) -> None:
    text = plugin("lettered_one").replace(
        "from gpteval import", "from gpteval.core.forms import NO_YES\nfrom gpteval import"
    )
    (task,) = tasks_in_file(write(tmp_path, old=text.replace('[" yes", " no"]', "NO_YES")) / "old.py")
    assert task.prompt(Item("id", {"n": 1})).continuations == (" no", " yes")


def test_an_edit_counts_at_once_and_nothing_is_left_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own bytecode would be taken again after an edit of one size within a second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    for family in ("qa", "lm"):
        path.write_text(plugin("mine", family))
        os.utime(path, (1, 1))
        (task,) = tasks_in_file(path)
        assert task.family == family
    assert [one.name for one in tmp_path.iterdir()] == ["mine.py"]
