"""A unit whose rows are all in the journal becomes results and a file of samples, a stretch of items at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from gpteval.core.errors import GptevalError
from gpteval.core.types import Record, Result
from gpteval.engine.rows import RowResult
from gpteval.run.book import Book
from gpteval.run.facts import LOSSY, Notes
from gpteval.run.folder import list_samples
from gpteval.run.journal import ResultStore
from gpteval.run.parts import Work
from gpteval.run.records import Tally, judged_by, make_records, make_results, protocol
from gpteval.run.samples import write_samples
from gpteval.tune.engine import PROTOCOL as FINETUNE

STRETCH = 4096  # items that are held at a time


@dataclass
class _Cost:
    """What a unit's rows took, each counted once."""

    seconds: float = 0.0
    tokens: int = 0
    dollars: float | None = 0.0


class Finisher:
    """Makes a unit's results."""

    def __init__(self, work: Work, store: ResultStore, book: Book) -> None:
        self.work, self.store, self.book = work, store, book
        self.tally = Tally(work.metrics, clustered=bool(work.data.task.cluster))
        self.notes, self.cost = Notes(), _Cost()
        self._counted: set[bytes] = set()

    def results(self) -> list[Result]:
        """Write the unit's samples, and give its results; none for a unit that is no result. Raises GptevalError."""
        work, book, unit = self.work, self.book, self.work.unit
        info, codec = work.engine.model.info, work.engine.model.codec
        if not unit.is_result:
            for _ in self._stretches():
                pass
            self.tally.check()
            return []
        file = list_samples(book.manifest, info.name, unit.task.label, unit.shots)
        with book.folder.writing(file) as handle:
            write_samples(handle, self._stretches())
            self.tally.check()
        common = {
            "model": info.name,
            "generation": info.generation,
            "n_params": info.n_params,
            "model_family": info.family,
            "step": info.step,
            "task": unit.task.label,
            "template": unit.task.template_name,
            "family": unit.task.family,
            "shots": unit.shots,
            "protocol": FINETUNE if work.tuned else protocol(unit.shots),
            "profile": book.config.profile,
            "dollars": self.cost.dollars,
            "seconds": self.cost.seconds,
            "tokens": self.cost.tokens,
            "fingerprint": work.engine.model.fingerprint,
        }
        results = make_results(
            self.tally,
            [prompt.request for prompt in work.prompts],
            common=common,
            data=work.data,
            notes=[*self.notes.told(work.engine, work.plan), *([work.tuned.tuned.note] if work.tuned else [])],
            published=partial(book.published_of, info, unit),
            rule=LOSSY if codec.lossy and self.notes.generated else "",
            seed=book.config.seed,
        )
        book.add(unit, results, work.data, work.prompts)
        return results

    def _stretches(self) -> Iterator[Sequence[Record]]:
        """The records in order, once they are counted and told."""
        work = self.work
        engine = work.engine
        judged = partial(judged_by, engine.model.codec)
        for begin in range(0, len(work.prompts), STRETCH):
            end = begin + STRETCH
            found = self._results_of(begin, end)
            outcomes = work.plan.outcomes(found, begin, end)
            self.notes.add(outcomes)
            records = make_records(work.prompts[begin:end], outcomes, work.metrics, judged)
            self.tally.add(records)
            self.book.listener.unit_recorded(work.unit, engine.model.info, work.metrics, records)
            yield records

    def _results_of(self, begin: int, end: int) -> dict[bytes, RowResult]:
        """Of the rows of a stretch of prompts. Raises GptevalError where the journal has lost one."""
        wanted = dict.fromkeys(key for keys in self.work.plan.keys[begin:end] for key in keys if key is not None)
        found = self.store.get(wanted)
        if len(found) < len(wanted):
            raise GptevalError(
                f"{len(wanted) - len(found)} results are not in the journal any more", "run the same command again"
            )
        new = [result for key, result in found.items() if key not in self._counted]
        self._counted |= found.keys()
        self.cost.seconds += sum(result.seconds for result in new)
        self.cost.tokens += sum(result.processed for result in new)
        dollars = self.work.engine.dollars(new)
        self.cost.dollars = None if dollars is None or self.cost.dollars is None else self.cost.dollars + dollars
        return found
