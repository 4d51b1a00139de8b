"""Run the demo and keep what the docs show of it: docs/demo.json and docs/report.png. Then ``make docs``.

``make docs-demo`` calls this: about two minutes on two cores. The picture needs Chromium on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMAND = ("run", "--models", "nano", "--tasks", "nano", "--shots", "0,5", "--limit", "100", "--out", "runs/demo")
SHOWN = ("model", "task", "shots", "metric", "value", "ci_low", "ci_high", "n", "coverage", "truncated", "chance")
WIDTH, HEIGHT = 1280, 900


def main() -> int:
    """Run the demo, and keep its numbers and a picture of its report for the docs."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("the picture needs Chromium on the PATH; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GPTEVAL_CACHE": str(Path(folder, "cache"))}
        subprocess.run([sys.executable, "-m", "gpteval", *COMMAND], cwd=folder, env=environment, check=True)
        run = Path(folder, "runs", "demo")
        rows = json.loads((run / "results.json").read_text(encoding="utf-8"))["results"]
        kept = [{key: row[key] for key in SHOWN} for row in rows if row["primary"]]
        lines = ",\n".join(json.dumps(row) for row in kept)
        (DOCS / "demo.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        picture(chromium, run / "report.html")
    return 0


def picture(chromium: str, page: Path) -> None:
    """The top of the report, as a visitor sees it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(page.as_uri())
        tab.wait_for_load_state("networkidle")
        tab.screenshot(path=DOCS / "report.png")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
