"""A run on the terminal: what it says when it is through."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import print_lines, say
from gpteval.cli.run_listener import ConsoleListener
from gpteval.cli.voice import is_plain, tell
from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.opened import Opened
from gpteval.core.outcomes import Failure, Result
from gpteval.core.own import REPORT_ELSEWHERE, refuse_others
from gpteval.core.show import counted, p_value
from gpteval.core.text import one_line
from gpteval.run.config import RunConfig
from gpteval.run.decide import Decided, run_until_decided
from gpteval.run.finished import Said, is_whole, keep, recall
from gpteval.run.runner import execute


def run_and_tell(config: RunConfig, *, report: bool, as_json: bool, margin: float = 0.0) -> int:
    """Execute the run, print what came of it, and return the exit code."""
    if margin and not config.until_decided:
        raise UsageError("--margin is for --until-decided", "name two models with it, or leave --margin out")
    if report:
        refuse_others([config.folder / "report.html"], REPORT_ELSEWHERE)
    listener = ConsoleListener(as_json)
    if said := recall(config, report=report):
        _tell_again(config, said, listener, report=report)
        return 0
    begin = time.perf_counter()
    decided: Sequence[Decided] = ()
    with Opened() as opened:
        try:
            if config.until_decided:
                outcome, decided = run_until_decided(config, margin, listener, tell)
            else:
                outcome = execute(config, listener)
        finally:
            listener.close()
    for one in decided:
        say(decision(one), listener.out) if is_plain() else tell(decision(one), "decided")
    code = exit_code(outcome.failures)
    done = f"{listener.units - len(outcome.failures)} of {counted(listener.units, 'result')}"
    if decided:
        done = f"{sum(not one.open for one in decided)} of {counted(len(decided), 'task')} done"
    if sum(result.primary for result in outcome.results) > 1:
        _tell_scores(outcome.folder, config.logs)
    dollars, models = _dollars(outcome.results), len({result.model for result in outcome.results})
    tell(f"{done} in {time.perf_counter() - begin:.1f} s{dollars}", "done")
    tell_failures(outcome.failures)
    _tell_what_next(outcome.folder, models)
    if report and outcome.results:
        code = report_folder(outcome.folder, config.logs) or code
    if code:
        tell("mend the causes and run the same command again: finished results are kept")
    elif is_whole(outcome):
        keep(config, opened, Said(listener.results, listener.warnings, dollars, models), report=report)
    return code


def _tell_again(config: RunConfig, said: Said, listener: ConsoleListener, *, report: bool) -> None:
    """All that the run said when it ended, without running."""
    listener.close()
    for warning in said.warnings:
        listener.warned(warning)
    for result in said.results:
        listener.show(result)
    if len(said.results) > 1:
        _tell_scores(config.folder, config.logs)
    are = "is" if len(said.results) == 1 else "are"
    tell(f"nothing to do: {counted(len(said.results), 'result')} {are} there{said.dollars}", "done")
    _tell_what_next(config.folder, said.models)
    if report:
        tell(f"report:  {config.folder / 'report.html'}", "report", path=str(config.folder / "report.html"))


def _tell_what_next(folder: Path, models: int) -> None:
    tell(f"results: {folder / 'results.json'}", "results", path=str(folder / "results.json"))
    if models > 1 and is_plain():
        tell(f"which differences are real: gpteval compare {folder}")


def _tell_scores(folder: Path, logs: Sequence[Path] = ()) -> None:
    """All scores that the folder has, in one table for people, and beside them those of logs that were asked again."""
    from gpteval.cli.score_console import terminal_table
    from gpteval.report.score_table import score_table
    from gpteval.store.runs import read_runs

    if not is_plain():
        return
    try:
        print_lines(f"\n{terminal_table(score_table(read_runs([*logs, folder])), sys.stderr)}\n", sys.stderr)
    except GptevalError as error:
        tell(f"the scores could not be read: {error}\n  try: gpteval table {folder}", "warning")


def _dollars(results: Sequence[Result]) -> str:
    spent = sum(result.dollars or 0.0 for result in results if result.primary)
    return f"; answers behind APIs have cost {spent:.4f} dollars" if spent else ""


def decision(one: Decided) -> str:
    """What came of two models on a task, and how many items that took."""
    pair = one.pair
    where = pair.task if not pair.shots else f"{pair.task} ({pair.shots}-shot)"
    rest = " (all there are)" if one.whole else ""
    p = f"p {p_value(pair.p_adjusted)}, " if pair.significant else ""
    return one_line(f"{where}: {pair.verdict}, {p}after {one.items} items{rest}")


def exit_code(failures: Sequence[Failure]) -> int:
    """1 where something failed; what a model cannot be asked for at all is none."""
    return 1 if any(not failure.unavailable for failure in failures) else 0


def tell_failures(failures: Sequence[Failure]) -> None:
    """Each cause once, with some of what it cost."""
    for error in dict.fromkeys(f.error for f in failures):
        pairs = [f"{f.model} on {f.task}" for f in failures if f.error == error]
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        word = "not available" if all(f.unavailable for f in failures if f.error == error) else "failed"
        tell(f"{word}: {', '.join(pairs[:3])}{more}\n  {error}", "failure", error=error, of=pairs)


def report_folder(folder: Path, logs: Sequence[Path] = ()) -> int:
    """Write the run's report, with logs that were asked again beside it, and return the exit code."""
    from gpteval.report import build_report

    try:
        path = build_report([*logs, folder], folder / "report.html")
    except GptevalError as error:
        tell(f"the report could not be written: {error}\n  try: gpteval report {folder}", "failure")
        return 1
    tell(f"report:  {path}", "report", path=str(path))
    return 0


def print_document(path: Path) -> None:
    """The document of --json."""
    say(path.read_text(encoding="utf-8").rstrip("\n"))
