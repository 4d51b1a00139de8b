"""A unit whose queries are in the journal becomes results and a file of samples, a stretch of items at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpteval.backends.interface import Backend
from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Record, Result
from gpteval.run.facts import LOSSY, Notes
from gpteval.run.ledger import Ledger
from gpteval.run.marks import Marks
from gpteval.run.parts import Job, Work
from gpteval.run.records import judged_by, make_records, make_results, protocol
from gpteval.run.spans import Spans
from gpteval.store.documents import sample_file
from gpteval.store.folder import list_samples
from gpteval.store.journal import ResultStore
from gpteval.store.samples import samples_writer
from gpteval.store.tally import Tally
from gpteval.tokens.queries import QueryResult

STRETCH = 4096  # items whose records are held at a time


class Finisher:
    """Makes a unit's results, slice by slice. Its file of samples has its name once the last slice is in."""

    def __init__(self, job: Job, store: ResultStore, ledger: Ledger) -> None:
        self.job, self.store, self.ledger = job, store, ledger
        self.tally = Tally(job.metrics, clustered=bool(job.data.task.cluster))
        self.notes, self.marks, self.cost = Notes(), Marks(), _Cost()
        self._file = ExitStack()
        self._whole = False
        self._write = self._file.enter_context(self._samples())

    def add(self, work: Work) -> None:
        """Make a slice's records. Raises GptevalError."""
        for begin in range(work.begin, work.end, STRETCH):
            self._write(self._records(work, begin, min(begin + STRETCH, work.end)))
        self.notes.own_bos |= any(encoded.own_bos for encoded in work.plan.encoded)
        self.cost.end_slice()

    def results(self) -> list[Result]:
        """After the last slice, the unit's results; none of a unit that is no result of the run. Raises GptevalError
        when every single item failed.
        """
        self.tally.check()
        self._whole = True
        self.close()
        return self._results() if self.job.unit.is_result else []

    def close(self) -> None:
        """Where there are no results, leave the folder as it was."""
        with suppress(_Unfinished):
            self._file.close()

    @contextmanager
    def _samples(self) -> Iterator[Callable[[Sequence[Record]], None]]:
        """What writes records to the unit's file of samples."""
        info, unit = self.job.backend.model.info, self.job.unit
        if not unit.is_result:
            yield lambda records: None
            return
        file = sample_file(info.name, unit.task.label, unit.shots)
        with self.ledger.folder.writing(file) as handle, samples_writer(handle) as write:
            yield write
            if not self._whole:
                raise _Unfinished

    def _records(self, work: Work, begin: int, end: int) -> list[Record]:
        """Of the items from ``begin`` up to ``end``, once they are counted and told."""
        job, backend = self.job, self.job.backend
        found = self._found(work, begin, end)
        outcomes = work.plan.outcomes(found, begin - work.begin, end - work.begin)
        if rule := job.data.task.answer_rule:
            outcomes = [rule.of_outcome(outcome) for outcome in outcomes]
        self.notes.add(outcomes)
        judged = partial(judged_by, backend.model.codec, rule=rule)
        records = make_records(job.prompts[begin:end], outcomes, job.metrics, judged)
        self.tally.add(records)
        self.ledger.listener.unit_recorded(job.unit, backend.model.info, job.metrics, records)
        return records

    def _found(self, work: Work, begin: int, end: int) -> dict[bytes, QueryResult]:
        """The results of a stretch's queries. Raises GptevalError where the journal has lost one."""
        keys = work.plan.keys[begin - work.begin : end - work.begin]
        wanted = dict.fromkeys(key for of_prompt in keys for key in of_prompt if key is not None)
        found = {key: work.results[key] for key in wanted if key in work.results}
        found |= self.store.get(key for key in wanted if key not in found)
        found = {key: found[key] for key in wanted if key in found}  # in one order, and so with one sum of seconds
        if len(found) < len(wanted):
            raise GptevalError(
                f"{len(wanted) - len(found)} results are not in the journal any more", "run the same command again"
            )
        new = self.cost.add(found, self.job.backend)
        self.marks.add(new)
        return found

    def _results(self) -> list[Result]:
        """Write the unit's results, and give them."""
        job, ledger, unit, backend = self.job, self.ledger, self.job.unit, self.job.backend
        info = backend.model.info
        answer = job.data.task.answer_rule
        drawn = ledger.config.repeats.rule if self.notes.generated else ""
        lossy = LOSSY if backend.model.codec.lossy and self.notes.generated else ""
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
            "wall_seconds": self.cost.wall_seconds,
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
            rule="|".join(
                filter(None, [answer.signature if answer else "", drawn, lossy, self.marks.rule, backend.rule])
            ),
        )
        list_samples(ledger.manifest, info.name, unit.task.label, unit.shots)
        ledger.add(unit, results, job.data, job.prompts)
        return results


class _Unfinished(Exception):
    """A file of samples is left before it is whole."""


class _Cost:
    """What a unit's queries took, each counted once, in whichever slices it is."""

    def __init__(self) -> None:
        self.seconds, self.tokens = 0.0, 0
        self.dollars: float | None = 0.0
        self._spans, self._timed = Spans(), True
        self._now: set[bytes] = set()  # the keys of this slice
        self._before: NDArray[np.uint64] = np.array([], dtype=np.uint64)  # the beginnings of those before, sorted

    @property
    def wall_seconds(self) -> float | None:
        """While any query was under way; None where it is not known of each."""
        return self._spans.seconds if self._timed and self._spans else None

    def add(self, found: Mapping[bytes, QueryResult], backend: Backend) -> list[QueryResult]:
        """Count what was not counted yet, and give it."""
        keys = [key for key in found if key not in self._now]
        self._now.update(keys)
        if len(self._before):
            keys = [key for key, seen in zip(keys, np.isin(_beginnings(keys), self._before), strict=True) if not seen]
        new = [found[key] for key in keys]
        self.seconds += sum(result.seconds for result in new)
        self.tokens += sum(result.processed for result in new)
        spans = backend.spans(new)
        self._spans.add(spans)
        self._timed &= len(spans) == len(new)
        dollars = backend.dollars(new)
        self.dollars = None if dollars is None or self.dollars is None else self.dollars + dollars
        return new

    def end_slice(self) -> None:
        self._before = np.union1d(self._before, _beginnings(self._now))
        self._now.clear()


def _beginnings(keys: Iterable[bytes]) -> NDArray[np.uint64]:
    """The first eight bytes of keys, as numbers."""
    return np.frombuffer(b"".join(key[:8] for key in keys), dtype=np.uint64)
