"""A wheel built from the checkout, installed elsewhere, has its content and runs without network."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_package_content_and_weights(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "gpteval/_content/tasks/nano.py",
        "gpteval/_content/reports/leaderboard/template.html",
        "gpteval/reference/models.csv",
        "gpteval/view/page.html",
        "gpteval/nano/models/gpt3-nano/model.safetensors",
        "gpteval/nano/models/gpt1-nano/tokenizer.json",
        "gpteval/py.typed",
    ):
        assert needed in names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"gpteval", next(t for t in tops if t.endswith(".dist-info"))}, "no generic names at the top"


@pytest.mark.slow
def test_an_installed_wheel_runs_elsewhere(wheel: Path, tmp_path: Path) -> None:
    """Into a new environment that borrows this one's libraries, so that only gpteval itself is installed."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    libraries = next(p for p in map(Path, sys.path) if (p / "torch").is_dir())
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)], check=True
    )
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{site}:{libraries}",
    }
    command = [str(venv / "bin" / "python"), "-m", "gpteval"]
    where = subprocess.run(
        [*command[:1], "-c", "import gpteval; print(gpteval.__file__)"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(site)), "the installed package must be the one that runs"
    done = subprocess.run(
        [*command, "run", "--models", "gpt2-nano", "--tasks", "nano_prose,nano_rule,nano_en_fr", "--limit", "5"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert len(list((tmp_path / "runs").glob("*/report.html"))) == 1
