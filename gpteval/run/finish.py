"""A unit whose queries are in the journal becomes results and a file of samples, a stretch of items at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Record, Result
from gpteval.run.facts import LOSSY, Notes
from gpteval.run.ledger import Ledger
from gpteval.run.marks import Marks
from gpteval.run.parts import Job, Work
from gpteval.run.records import Tally, judged_by, make_records, make_results, protocol
from gpteval.store.documents import sample_file
from gpteval.store.folder import list_samples
from gpteval.store.journal import ResultStore
from gpteval.store.samples import samples_writer
from gpteval.tokens.queries import QueryResult

STRETCH = 4096  # items whose records are held at a time


class Finisher:
    """Makes a unit's results, slice by slice. Its file of samples has its name once the last slice is taken."""

    def __init__(self, job: Job, store: ResultStore, ledger: Ledger) -> None:
        self.job, self.store, self.ledger = job, store, ledger
        self.tally = Tally(job.metrics, clustered=bool(job.data.task.cluster))
        self.notes, self.marks, self.cost = Notes(), Marks(), _Cost()
        self._taking = self._take_all()
        next(self._taking)  # up to where it waits for a slice

    def take(self, work: Work) -> list[Result] | None:
        """Take the next slice; with the last one, the unit's results (none for a unit that is no result of the run).
        Raises GptevalError.
        """
        try:
            self._taking.send(work)
        except StopIteration as end:
            results: list[Result] = end.value
            return results
        return None

    def drop(self) -> None:
        """There will be no results: leave the folder as it was."""
        self._taking.close()

    def _take_all(self) -> Generator[None, Work, list[Result]]:
        """Is sent the slices, and ends with the results."""
        job, ledger = self.job, self.ledger
        info, unit = job.backend.model.info, job.unit
        if not unit.is_result:
            yield from self._slices(lambda records: None)
            return []
        file = sample_file(info.name, unit.task.label, unit.shots)
        with ledger.folder.writing(file) as handle, samples_writer(handle) as write:
            yield from self._slices(write)
        return self._results()

    def _slices(self, write: Callable[[Sequence[Record]], None]) -> Generator[None, Work, None]:
        """Count and ``write`` what is sent, up to the last slice. Raises GptevalError when every single item failed."""
        last = False
        while not last:
            work = yield
            for begin in range(work.begin, work.end, STRETCH):
                write(self._records(work, begin, min(begin + STRETCH, work.end)))
            self.notes.own_bos |= any(encoded.own_bos for encoded in work.plan.encoded)
            self.cost.end_slice()
            last = work.last
        self.tally.check()

    def _records(self, work: Work, begin: int, end: int) -> list[Record]:
        """Of the items from ``begin`` up to ``end``, once they are counted and told."""
        job, backend = self.job, self.job.backend
        found = self._found(work, begin, end)
        outcomes = work.plan.outcomes(found, begin - work.begin, end - work.begin)
        self.notes.add(outcomes)
        judged = partial(judged_by, backend.model.codec)
        records = make_records(job.prompts[begin:end], outcomes, job.metrics, judged)
        self.tally.add(records)
        self.ledger.listener.unit_recorded(job.unit, backend.model.info, job.metrics, records)
        return records

    def _found(self, work: Work, begin: int, end: int) -> dict[bytes, QueryResult]:
        """The results of a stretch's queries. Raises GptevalError where the journal has lost one."""
        keys = work.plan.keys[begin - work.begin : end - work.begin]
        wanted = dict.fromkeys(key for of_prompt in keys for key in of_prompt if key is not None)
        found = self.store.get(wanted)
        if len(found) < len(wanted):
            raise GptevalError(
                f"{len(wanted) - len(found)} results are not in the journal any more", "run the same command again"
            )
        new = self.cost.add(found, self.job.backend.dollars)
        self.marks.add(new)
        return found

    def _results(self) -> list[Result]:
        """Write the unit's results, and give them."""
        job, ledger, unit, backend = self.job, self.ledger, self.job.unit, self.job.backend
        info = backend.model.info
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
            "protocol": backend.protocol or protocol(unit.shots),
            "profile": ledger.config.profile,
            "dollars": self.cost.dollars,
            "seconds": self.cost.seconds,
            "tokens": self.cost.tokens,
            "fingerprint": backend.model.fingerprint,
        }
        results = make_results(
            self.tally,
            [prompt.request for prompt in job.prompts],
            common=common,
            data=job.data,
            notes=[*self.notes.lines(backend), *self.marks.notes()],
            published=partial(ledger.published_of, info, unit),
            rule=LOSSY if backend.model.codec.lossy and self.notes.generated else self.marks.rule,
        )
        list_samples(ledger.manifest, info.name, unit.task.label, unit.shots)
        ledger.add(unit, results, job.data, job.prompts)
        return results


class _Cost:
    """What a unit's queries took, each counted once, in whichever slices it is."""

    def __init__(self) -> None:
        self.seconds, self.tokens = 0.0, 0
        self.dollars: float | None = 0.0
        self._now: set[bytes] = set()  # the keys of this slice
        self._before: NDArray[np.uint64] = np.array([], dtype=np.uint64)  # the beginnings of those before, sorted

    def add(
        self, found: Mapping[bytes, QueryResult], price: Callable[[Iterable[QueryResult]], float | None]
    ) -> list[QueryResult]:
        """Count what was not counted yet, and give it."""
        keys = [key for key in found if key not in self._now]
        self._now.update(keys)
        if len(self._before):
            keys = [key for key, seen in zip(keys, np.isin(_beginnings(keys), self._before), strict=True) if not seen]
        new = [found[key] for key in keys]
        self.seconds += sum(result.seconds for result in new)
        self.tokens += sum(result.processed for result in new)
        dollars = price(new)
        self.dollars = None if dollars is None or self.dollars is None else self.dollars + dollars
        return new

    def end_slice(self) -> None:
        self._before = np.union1d(self._before, _beginnings(self._now))
        self._now.clear()


def _beginnings(keys: Iterable[bytes]) -> NDArray[np.uint64]:
    """The first eight bytes of keys, as numbers."""
    return np.frombuffer(b"".join(key[:8] for key in keys), dtype=np.uint64)
