"""Run the demo and keep what the docs show of it: docs/demo.json and pictures of its report. Then ``make docs``.

``make docs-demo`` calls this: about two minutes on two cores. The pictures need Chromium on the PATH.
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
HEIGHT, PAUSE = 900, 3000  # pixels; milliseconds in which charts are drawn
PICTURES = (  # view, file, width, theme
    ("leaderboard", "report.png", 1280, "light"),
    ("matrix", "matrix.png", 1280, "dark"),
    ("leaderboard", "phone.png", 390, "light"),
)


def chromium_or_exit() -> str:
    """Where it is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or sys.exit("the pictures need Chromium on the PATH; on Debian: apt-get install chromium")


def main() -> int:
    """Run the demo, and keep its numbers and pictures of its report for the docs."""
    chromium = chromium_or_exit()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GPTEVAL_CACHE": str(Path(folder, "cache"))}
        subprocess.run([sys.executable, "-m", "gpteval", *COMMAND], cwd=folder, env=environment, check=True)
        run = Path(folder, "runs", "demo")
        rows = json.loads((run / "results.json").read_text(encoding="utf-8"))["results"]
        kept = [{key: row[key] for key in SHOWN} for row in rows if row["primary"]]
        lines = ",\n".join(json.dumps(row) for row in kept)
        (DOCS / "demo.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        pictures(chromium, run / "report.html")
    return 0


def pictures(chromium: str, page: Path) -> None:
    """The top of the report, and some of its views, as a visitor sees them."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for view, name, width, scheme in PICTURES:
            tab = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
            tab.goto(f"{page.as_uri()}#{view}")
            tab.wait_for_timeout(PAUSE)
            tab.screenshot(path=DOCS / name)
            tab.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
