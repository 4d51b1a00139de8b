"""``gpteval view``: runs of a folder on a page, live ones too, for this machine alone."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from gpteval.core.errors import UsageError
from gpteval.run.evaluate import evaluate
from gpteval.run.units import Listener
from gpteval.view.listing import found_runs, told
from gpteval.view.server import ViewServer
from tests import forks
from tests.browsing import browser  # noqa: F401  (fixture)
from tests.made_runs import make_run, scores
from tests.report_runs import HOSTILE


@pytest.fixture
def places(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    for name, right in (("first", 30), ("second", 40)):
        answers = {(model, "piqa"): scores([1.0] * right + [0.0] * (60 - right)) for model in ("a", f"b-{name}")}
        make_run(folder / name, answers, chance={"piqa": 0.5})
    (folder / "no run").mkdir()
    return folder


@pytest.fixture
def server(places: Path) -> Iterator[ViewServer]:
    opened = ViewServer([places])
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    yield opened
    opened.shutdown()
    opened.server_close()


def get(address: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


class TestServer:
    def test_runs_and_what_they_have(self, server: ViewServer) -> None:
        status, headers, body = get(f"{server.address}runs.json")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert {(run["name"], run["results"], run["running"]) for run in json.loads(body)} == {
            ("first", 2, False),
            ("second", 2, False),
        }
        (_, _, whole) = get(f"{server.address}run.json?run=first")
        assert [(row["model"], row["value"], row["n"]) for row in json.loads(whole)["rows"]] == [
            ("a", "50.0", 60),
            ("b-first", "50.0", 60),
        ]

    def test_a_report_of_several(self, server: ViewServer) -> None:
        status, _, page = get(f"{server.address}report?run=first&run=second")
        assert status == 200
        assert all(f"<bdi>{name}".encode() in page for name in ("b-<wbr>first", "b-<wbr>second"))

    @pytest.mark.parametrize("path", ["", "x/", "x/runs.json", "../", "%2e%2e/runs.json", "é/"])
    def test_who_has_not_the_address_gets_nothing(self, server: ViewServer, path: str) -> None:
        base = server.address.removesuffix(f"{server.token}/")
        status, _, body = get(base + urllib.request.quote(path, safe="/%."))
        assert (status, b"first" in body) == (404, False)

    def test_another_name_for_this_machine_gets_nothing(self, server: ViewServer) -> None:
        """A page elsewhere could point its own name here."""
        status, _, body = get(f"{server.address}runs.json", Host="evil.example")
        assert (status, b"first" in body) == (421, False)

    @pytest.mark.parametrize("what", ["run.json?run=../first", "run.json?run=/etc", "report?run=gone", "report", "x"])
    def test_only_runs_that_are_listed_are_read(self, server: ViewServer, what: str) -> None:
        assert get(server.address + what)[0] == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_nothing_can_be_written(self, server: ViewServer, method: str) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(server.address, data=b"x", method=method), timeout=60)
        assert caught.value.code == 501

    def test_every_answer_forbids_other_origins(self, server: ViewServer) -> None:
        for what in ("", "runs.json", "report?run=first", "nothing"):
            headers = get(server.address + what)[1]
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in headers

    def test_it_listens_on_this_machine_and_tells_no_path(self, server: ViewServer, places: Path) -> None:
        assert server.server_address[0] == "127.0.0.1"
        for what in ("", "runs.json", "run.json?run=first", "report?run=first&run=second"):
            assert str(places.parent).encode() not in get(server.address + what)[2]

    def test_looking_changes_no_file(self, server: ViewServer, places: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in places.rglob("*")}
        for what in ("", "runs.json", "run.json?run=first", "report?run=first"):
            assert get(server.address + what)[0] == 200
        assert {path: path.stat().st_mtime_ns for path in places.rglob("*")} == before

    def test_a_damaged_run_is_told_and_the_others_stay(self, server: ViewServer, places: Path) -> None:
        (places / "first" / "results.json").write_text("{")
        status, _, body = get(f"{server.address}runs.json")
        found = {run["name"]: run for run in json.loads(body)}
        assert status == 200
        assert found["second"]["results"] == 2
        assert found["first"]["failed"] == 1
        status, _, text = get(f"{server.address}report?run=first")
        assert (status, b"results.json cannot be read" in text) == (409, True)

    @pytest.mark.parametrize("progress", ['{"units": "x"}', '{"units": 2, "rate": "fast", "planned": 1}', "[]"])
    def test_a_damaged_progress_file_hides_no_other_run(self, server: ViewServer, places: Path, progress: str) -> None:
        (places / "first" / "progress.json").write_text(progress)
        status, _, body = get(f"{server.address}runs.json")
        assert (status, {run["name"] for run in json.loads(body)}) == (200, {"first", "second"})

    def test_a_number_that_json_has_not_is_no_fault(self, server: ViewServer, places: Path) -> None:
        document = json.loads((places / "first" / "results.json").read_text())
        document["results"][0]["n"] = float("nan")
        (places / "first" / "results.json").write_text(json.dumps(document))
        _, _, body = get(f"{server.address}run.json?run=first")
        assert b"NaN" not in body
        assert json.loads(body)["name"] == "first"

    def test_what_failed_is_ended_and_not_unfinished(self, server: ViewServer, places: Path) -> None:
        state = {"units": 3, "finished": 2, "failed": 1, "ended": True}
        (places / "first" / "progress.json").write_text(json.dumps(state))
        runs = {run["name"]: run for run in json.loads(get(f"{server.address}runs.json")[2])}
        assert (runs["first"]["ended"], runs["first"]["results"], runs["first"]["units"]) == (True, 2, 3)


def test_a_fault_of_its_own_is_told(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gpteval.view.server.told", lambda name, run: 1 / 0)
    status, _, body = get(f"{server.address}runs.json")
    assert (status, b"ZeroDivisionError" in body) == (500, True)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_runs_of_one_name_are_told_apart(places: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "other" / "first", {("c", "t"): scores([1.0])})
    found = found_runs([places, tmp_path / "other", places / "first"])
    assert sorted(found) == ["first", "first (2)", "second"]
    os.utime(tmp_path / "other" / "first" / "results.json", (2e9, 2e9))
    again = found_runs([places, tmp_path / "other", places / "first"])
    assert next(iter(again)) == "first (2)", "the latest first"
    assert again == found, "and a name stays a run's"
    with pytest.raises(UsageError, match="is no folder"):
        found_runs([tmp_path / "nothing"])


def test_a_port_that_is_taken(server: ViewServer, places: Path) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        ViewServer([places], server.server_address[1])


def test_a_run_under_way_is_followed(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    class Looks(Listener):
        def unit_done(self, *arguments: Any) -> None:
            seen.append(told("r", tmp_path / "r"))

    options: dict[str, Any] = {"limit": 4, "listener": Looks()}
    made = evaluate("gpt2-nano", ("nano_topic", "nano_facts"), out=tmp_path / "r", **options)
    assert made.failures == ()
    assert [one["running"] for one in seen] == [True, True]
    assert seen[0]["units"] == 2
    (tmp_path / "r").rename(tmp_path / "before")
    evaluate("gpt2-nano", ("nano_topic", "nano_facts"), out=tmp_path / "r", **options)
    assert seen[2]["units"] == 2, "though all is in the cache, and nothing is computed"
    after = told("r", tmp_path / "r", whole=True)
    assert (after["running"], after["results"], after["units"]) == (False, 2, 2)
    assert {row["task"] for row in after["rows"]} == {"nano_topic", "nano_facts"}


def test_the_command_says_where_it_is_and_ends(places: Path) -> None:
    process = forks.Process([sys.executable, "-m", "gpteval", "view", str(places)])
    address = process.stdout.readline().strip()
    assert get(f"{address}runs.json")[0] == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(900)
    assert (process.returncode, "Ctrl-C ends it" in errors) == (0, True)
    assert "Traceback" not in errors


@pytest.mark.browser
class TestPage:
    @pytest.fixture
    def tab(self, browser: Any) -> Iterator[Any]:
        context = browser.new_context()
        tab = context.new_page()
        troubles: list[str] = []
        tab.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda e: troubles.append(str(e)))
        yield tab
        context.close()
        assert [text for text in troubles if "Failed to load resource" not in text] == []

    def test_chosen_runs_are_compared(self, tab: Any, server: ViewServer) -> None:
        tab.goto(server.address)
        expect(tab.locator("#runs tr")).to_have_count(2)
        assert tab.locator("#compare").is_disabled()
        for box in tab.locator("#runs input").all():
            box.check()
        tab.locator("#compare").click()
        expect(tab.locator(".board tr[data-model]")).to_have_count(3)

    def test_a_run_and_its_results(self, tab: Any, server: ViewServer) -> None:
        tab.goto(server.address)
        tab.locator("#runs a", has_text="first").click()
        expect(tab.locator("#results tbody tr")).to_have_count(2)
        expect(tab.locator("#state")).to_have_text("finished: 2 of 2 results")
        tab.reload()
        expect(tab.locator("h1")).to_have_text("first")

    def test_results_come_as_they_are_made(self, tab: Any, server: ViewServer, places: Path) -> None:
        tab.goto(f"{server.address}#first")
        expect(tab.locator("#results tbody tr")).to_have_count(2)
        document = json.loads((places / "first" / "results.json").read_text())
        document["results"].append(document["results"][0] | {"model": HOSTILE})
        document["failures"] = [{"model": "z", "task": "t", "error": HOSTILE + "x" * 1_000_000}]
        (places / "first" / "results.json").write_text(json.dumps(document))
        expect(tab.locator("#results tbody tr")).to_have_count(3, timeout=30_000)
        assert "<script>window.hit" in tab.locator("#failures").inner_text()
        assert tab.evaluate("window.hit === undefined"), "it is text"

    def test_a_server_that_has_ended_is_told(self, tab: Any, places: Path) -> None:
        server = ViewServer([places])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.goto(server.address)
        expect(tab.locator("#runs tr")).to_have_count(2)
        tab.route("**/runs.json", lambda route: route.abort())
        expect(tab.locator("#trouble")).to_contain_text("does not answer", timeout=30_000)
        server.shutdown()
        server.server_close()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing(self, browser: Any, server: ViewServer, scheme: str) -> None:
        axe = pytest.importorskip("axe_playwright_python")
        context = browser.new_context(color_scheme=scheme)
        tab = context.new_page()
        for fragment in ("", "#first"):
            tab.goto(server.address + fragment)
            tab.wait_for_selector("td:visible")
            tab.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
            found = tab.evaluate("axe.run()")["violations"]
            assert [(one["impact"], one["id"], one["nodes"][0]["html"]) for one in found] == []
        context.close()
