"""Train a small model with checkpoints and keep what the docs show of it: docs/steps.json and docs/steps.png.

``make docs-demo`` calls this: about three minutes on two cores. The picture needs Chromium on the PATH.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from make_demo import DOCS, PAUSE, chromium_or_exit
from playwright.sync_api import sync_playwright

TRAIN = ("pretrain", "--recipe", "gpt2-nano", "--steps", "800", "--checkpoints", "10", "--out", "steps")
RUN = ("run", "--models", "steps/step-*", "--tasks", "nano_facts", "--metrics", "bpb,prob", "--out", "run")
SIZE = {"width": 760, "height": 900}


def main() -> int:
    """Train, run and keep."""
    chromium = chromium_or_exit()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GPTEVAL_CACHE": str(Path(folder, "cache"))}
        for command in (TRAIN, RUN):
            subprocess.run([sys.executable, "-m", "gpteval", *command], cwd=folder, env=environment, check=True)
        run = Path(folder, "run")
        rows = json.loads((run / "results.json").read_text(encoding="utf-8"))["results"]
        kept = [{key: row[key] for key in ("step", "metric", "value", "ci_low", "ci_high", "n")} for row in rows]
        lines = ",\n".join(json.dumps(row) for row in sorted(kept, key=lambda row: (row["metric"], row["step"])))
        (DOCS / "steps.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab = browser.new_page(viewport=SIZE, color_scheme="light")
            tab.goto(f"{(run / 'report.html').as_uri()}#training")
            tab.wait_for_timeout(PAUSE)
            tab.locator("section:visible").screenshot(path=DOCS / "steps.png")
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
