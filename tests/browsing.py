"""Headless Chromium for tests of the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --no-first-run "
    # else each window has pages of its own for what its address bar would suggest: they take more than the report
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any, page: Path) -> Iterator[Any]:
    """Opens the report and fails afterwards if it logged an error or asked for anything but itself."""
    troubles: list[str] = []
    contexts = []

    def open_it(fragment: str = "", width: int = 1300, scheme: str = "light", height: int = 900) -> Any:
        context = browser.new_context(offline=True, viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda e: troubles.append(str(e)))
        tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else troubles.append(r.url))
        tab.goto(page.as_uri() + fragment)
        return tab

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []
