"""A format of one's own: one class, one line of a package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests import forks
from tests.conftest import CHECKOUT

READER = """
import json

from gpteval import Choice
from gpteval.core.outcomes import Score, Scored
from gpteval.logs.log import Log, LogItem, LogModel, LogTask
from gpteval.logs.parsing import lines


class Mine:
    name = "mine"

    def files(self, path):
        return (path,) if path.suffix == ".mine" else ()

    def read(self, files):
        return Log("mine 1", files, self.items(files))

    def items(self, files):
        for file in files:
            task = LogTask(LogModel(file.stem), "riddles")
            for where, line in lines(file):
                request = Choice(line["q"], line["choices"], line["gold"])
                scores = tuple(Score(p, 1, False) for p in line["logprobs"])
                right = float(line["logprobs"].index(max(line["logprobs"])) == line["gold"])
                yield LogItem(task, request, Scored(scores), {"acc": (right, 1.0)})
"""


def test_a_packages_reader_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "my_logs.py").write_text(READER)
    info = tmp_path / "my_logs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-logs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gpteval.logs]\nmine = my_logs:Mine\n")
    for model, second in (("one", -3.0), ("two", -0.5)):
        line = '{{"q": "Q{n}", "choices": [" a", " b"], "gold": 0, "logprobs": [-1.0, {second}]}}\n'
        (tmp_path / f"{model}.mine").write_text("".join(line.format(n=n, second=second) for n in range(8)))
    command = ["compare", tmp_path / "one.mine", tmp_path / "two.mine", "--format", "csv"]
    done = forks.run(
        [sys.executable, "-m", "gpteval", *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(CHECKOUT)])},
    )
    assert done.returncode == 0, done.stderr
    assert "riddles" in done.stdout
    assert "one" in done.stdout
