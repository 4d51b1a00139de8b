"""The program as a whole: the terminal, signals, what is left behind, completion."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpteval.cli import _run
from gpteval.core.text import without_paths
from tests import forks
from tests.breaking import Go, folder, go, model, plugin, results  # noqa: F401  (fixtures)
from tests.conftest import CHECKOUT, RunCli
from tests.tiny import save_tiny


class TestTerminal:
    @pytest.mark.parametrize("out", ["o[/x]", "o[red]", "o\x1b[31m", "-"])
    def test_names_of_folders_are_no_markup(
        self, folder: Path, go: Go, capsys: pytest.CaptureFixture[str], out: str
    ) -> None:
        assert go("good", f"--out={out}") == 0
        said = capsys.readouterr().err
        assert f"results: {out}/results.json".replace("\x1b", "\\u001b") in said
        assert "\x1b" not in said

    def test_escape_sequences_of_data_are_shown_not_obeyed(
        self, folder: Path, go: Go, model: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        body = r"return Choice('the \x1b[2J dog\u202e\x9b' + str(item['n']), [' a\x07', ' b'], 0)"
        (folder / "t" / "evil.py").write_text(plugin("evil", body))
        assert go("evil") == 0
        assert _run(["samples", "r", "--model", "tiny", "--task", "evil"]) == 0
        assert _run(["samples", "r", "--model", "tiny", "--task", "evil", "--jsonl"]) == 0
        assert _run(["show", "evil", "--task-dir", "t", "--model", str(model)]) == 0
        assert _run(["generate", "--model", str(model), "--prompt", "a\x1b[31m", "--max-new-tokens", "3"]) == 0
        captured = capsys.readouterr()
        assert "\\u001b[2J" in captured.out
        for character in "\x1b\x07\x9b\u202e":
            assert character not in captured.out + captured.err

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
    def test_a_terminal_of_another_encoding(self, folder: Path, model: Path, run_cli: RunCli, encoding: str) -> None:
        (folder / "t" / "greek.py").write_text(plugin("greek", "return Choice('η γάτα 😀', [' a', ' b'], 0)"), "utf-8")
        done = run_cli("show", "greek", "--task-dir", "t", env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
        assert done.returncode == 0, done.stderr
        assert "\\u03b7" in done.stdout

    def test_a_reader_who_leaves_does_not_end_the_work(self, folder: Path, model: Path) -> None:
        command = [sys.executable, "-m", "gpteval", "run", "--models", model, "--tasks", "good", "--task-dir", "t"]
        process = forks.Process([*command, "--out", "r"])
        process.stdout.close()
        process.stderr.close()
        assert process.wait(900) == 0
        assert results(folder)["results"]

    def test_a_full_standard_output_is_told(self, folder: Path, model: Path) -> None:
        code = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); from gpteval.cli import main; main()"
        words = ["run", "--models", model, "--tasks", "good", "--task-dir", "t", "--out", "r"]
        done = forks.run([sys.executable, "-c", code, *words])
        assert done.returncode == 0, done.stderr
        assert "cannot write to the standard output: No space left" in done.stderr
        assert results(folder)["results"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["run", "--models", "gtp2", "--tasks", "all", "--json"],
            ["run", "--tasks", "all", "--json"],
            ["run", "--models", "nano", "--tasks", "nano", "--seed", "-5", "--json"],
            ["run", "--models", "nano", "--tasks", "nano", "--batch-tokens", "²", "--json"],
            ["run", "--models", "nano", "--tasks", "nano", "--no-such-option", "--json"],
            ["generate", "--model", "nano", "--prompt", "x", "--json"],
        ],
    )
    def test_a_wrong_command_line_is_a_document_too(
        self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        assert _run(arguments) == 2
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["exit_code"] == 2
        assert error["message"]

    def test_a_folder_with_a_comma_in_its_name(self, folder: Path, go: Go, model: Path) -> None:
        save_tiny(folder / "a,b", seed=3)
        assert go("good", "--models", "a,b") == 0
        assert [row["model"] for row in results(folder)["results"]] == ["tiny", "a,b"]


def catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


class TestSignals:
    def command(self, model: Path) -> list[str]:
        return [sys.executable, "-m", "gpteval", "run", "--models", str(model), "--tasks", "nano", "--out", "r"]

    @pytest.mark.parametrize("seconds", [0.0, 1.0])
    def test_sigterm_early(self, folder: Path, model: Path, seconds: float) -> None:
        process = subprocess.Popen(self.command(model), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not catches(process.pid, signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 130
        assert "Traceback" not in errors

    def ended(self, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """What a program does that catches signals as ours does."""
        before = "import os, signal, sys, threading, time\nfrom gpteval.cli import signals\nsignals.handle_signals()\n"
        command = [sys.executable, "-c", before + code]
        env = os.environ | {"PYTHONPATH": f"{folder}:{CHECKOUT}"}
        return subprocess.run(command, capture_output=True, text=True, timeout=900, env=env)

    def test_sigterm_in_the_middle_of_torchs_import(self, folder: Path) -> None:
        """There an exception ends in C++, which aborts the process."""
        code = (
            "def send():\n"
            "    while 'torch' not in sys.modules: time.sleep(0.001)\n"
            "    time.sleep(0.1)\n"
            "    os.kill(os.getpid(), signal.SIGTERM)\n"
            "threading.Thread(target=send, daemon=True).start()\n"
            "import torch\n"
            "print('went on')\n"
        )
        done = self.ended(code, folder)
        assert (done.returncode, done.stdout) == (130, "")
        assert "interrupted: run the same command again" in done.stderr

    def test_sigterm_while_a_module_tries_to_import_another(self, folder: Path) -> None:
        """Some go on without what cannot be imported, whatever the reason."""
        (folder / "tries.py").write_text("import os\ntry:\n    os.kill(os.getpid(), 15)\nexcept BaseException: pass\n")
        done = self.ended("import tries\nprint('went on')\n", folder)
        assert (done.returncode, done.stdout) == (130, "")

    def test_sigterm_in_a_finalizer_is_not_lost(self, folder: Path) -> None:
        code = (
            "class Last:\n"
            "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)\n"
            "try:\n"
            "    Last()\n"
            "    time.sleep(900)\n"
            "    print('went on')\n"
            "except KeyboardInterrupt:\n"
            "    print('in order')\n"
        )
        done = self.ended(code, folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, "in order\n", "")

    def test_three_quick_signals(self, folder: Path, model: Path) -> None:
        process = forks.Process([*self.command(model), "--batch-tokens", "32"])
        process.stderr.readline()
        time.sleep(1)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 130
        assert "Traceback" not in errors

    def test_a_locked_cache_does_not_hold_a_run_up(
        self, folder: Path, go: Go, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("GPTEVAL_CACHE", str(folder / "cache"))
        monkeypatch.setattr("gpteval.store.journal.LOCKED_SECONDS", 0.2)
        assert go("good", "--limit", "3") == 0
        holder = sqlite3.connect(folder / "cache" / "outcomes.sqlite", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        assert go("good", "--out", "other") == 0
        holder.close()
        assert "without the shared cache" in capsys.readouterr().err


class TestLeaks:
    def test_absolute_paths_are_not_recorded(
        self, folder: Path, go: Go, model: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "bad.py").write_text(plugin("bad", f"open({str(elsewhere / 'gone')!r})"))
        broken = save_tiny(elsewhere / "broken")
        (broken / "config.json").write_text("{")
        code = go("good,bad", f"--out={folder / 'r'}", f"--task-dir={elsewhere}", "--models", str(broken))
        assert code == 1
        for path in (folder / "r").glob("*.*"):
            if path.suffix in (".json", ".html"):
                text = path.read_text()
                assert str(elsewhere) not in text, path
                assert str(folder) not in text, path
                assert str(model.parent) not in text, path
        command = results(folder)["run"]["command"]
        assert "--out=r" in command
        assert f"--task-dir={elsewhere.name}" in command

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("cannot read /home/ann/models/x.bin: gone", "cannot read x.bin: gone"),
            ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
            ("yes/no/maybe 3/4/5 and/or", "yes/no/maybe 3/4/5 and/or"),
            ("'/tmp/a b/c.json'", "'a b/c.json'"),
            ("--out=/data/runs/mine --x", "--out=mine --x"),
            ("</div></p></body>", "</div></p></body>"),
        ],
    )
    def test_paths_lose_all_but_their_last_part(self, text: str, expected: str) -> None:
        assert without_paths(text) == expected

    def test_exports_keep_no_escape_characters(self, folder: Path, go: Go) -> None:
        from gpteval.report.export import export

        assert go() == 0
        document = results(folder)
        for row in document["results"]:
            row["model"] = "evil\x1b[31m"
        (folder / "r" / "results.json").write_text(json.dumps(document))
        for kind in ("csv", "md"):
            for full in (False, True):
                text = export([folder / "r"], kind, full=full)
                assert "evil" in text
                assert "\x1b" not in text


class TestCompletion:
    @pytest.mark.parametrize(
        ("line", "offered"),
        [
            ("gpteval run --models gpt2-n", "gpt2-nano"),
            ("gpteval run --models gpt1,gpt2-n", "gpt1,gpt2-nano"),
            ("gpteval run --tasks ss", "sst2"),
            ("gpteval run --tasks sst2,clas", "sst2,classification"),
            ("gpteval show nano_to", "nano_topic"),
            ("gpteval dis", None),
            ("gpteval sam", "samples"),
            ("gpteval run --max-", "--max-bad-rows"),
        ],
    )
    def test_the_shell_offers_names(self, line: str, offered: str | None) -> None:
        words = line.split()
        env = os.environ | {
            "_GPTEVAL_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        code = "import sys; from gpteval.cli import main; sys.argv = ['gpteval']; main()"
        check = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); {code}"
        done = subprocess.run([sys.executable, "-c", check], env=env, capture_output=True, text=True)
        assert (offered in done.stdout.split()) if offered else not done.stdout.split()
        assert done.stderr.strip() == "False"

    def test_it_can_be_installed(self, in_process: RunCli) -> None:
        said = in_process("--help").stdout
        assert "--install-completion" in said
        assert "--show-completion" in said
