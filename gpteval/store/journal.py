"""Finished batches on disk, so that a killed run continues: SQLite in WAL mode, one transaction a batch.

A run's own journal lies in its folder and is what resuming rests on. The shared cache, of the same
form, lets other runs use the same results; losing it costs time only.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

from gpteval.core.errors import StoreError
from gpteval.core.own import aside_of
from gpteval.core.show import counted
from gpteval.data.files import cache_root
from gpteval.tokens.queries import QueryResult

LOCKED_SECONDS = 5  # to wait for another process; no signal is seen meanwhile
KNOWN_AT_A_TIME = 10_000
_CHUNK = 500  # keys a query; SQLite's own limit on variables is higher everywhere


class Journal:
    """A table of row results by key. One process writes; a damaged file is set aside and begun anew."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn = warn
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open()
        except sqlite3.OperationalError as error:
            raise StoreError(f"cannot open {path.name}: {error}", "is the folder writable, the disk full?") from error
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
        except OSError as error:
            raise StoreError(f"cannot create {path.parent}: {error.strerror}") from error

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        """Set a damaged file aside. Raises StoreError when that cannot be."""
        aside = aside_of(self.path)
        try:
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._db = self._open()
        except (OSError, sqlite3.Error) as reason:
            raise StoreError(f"{self.path.name} is damaged ({error}) and cannot be set aside: {reason}") from error
        self._warn(f"{self.path.name} was damaged ({error}); kept as {aside.name}, its results are computed again")

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=LOCKED_SECONDS, isolation_level=None)
        db.text_factory = bytes  # what is not as it was written may be no text
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            columns = "key BLOB PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL"
            db.execute(f"CREATE TABLE IF NOT EXISTS rows ({columns}) WITHOUT ROWID")
            (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if state != b"ok":
                raise sqlite3.DatabaseError(state.decode("utf-8", "replace"))
        except sqlite3.Error:
            db.close()
            raise
        return db

    def get(self, keys: Iterable[bytes]) -> dict[bytes, QueryResult]:
        """The results that are there. One that is not what was written counts as not there, with a warning."""
        wanted = list(keys)
        found: dict[bytes, QueryResult] = {}
        damaged = 0
        try:
            for begin in range(0, len(wanted), _CHUNK):
                part = wanted[begin : begin + _CHUNK]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value, checksum FROM rows WHERE key IN ({marks})"
                for key, value, checksum in self._db.execute(query, part):
                    if _checksum(key, value) == checksum:
                        found[key] = QueryResult.loads(value.decode("utf-8"))
                    else:
                        damaged += 1
        except sqlite3.OperationalError as error:
            raise StoreError(f"cannot read {self.path.name}: {error}", "run the same command again") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._begin_anew(error)
            return {}
        if damaged:
            are = "is" if damaged == 1 else "are"
            said = f"{counted(damaged, 'result')} in {self.path.name} {are} not what was written"
            self._warn(f"{said}, and computed again")
        return found

    def put(self, results: Mapping[bytes, QueryResult]) -> None:
        """Store a batch: all of it or nothing."""
        values = {key: result.dumps().encode("utf-8", "replace") for key, result in results.items()}
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)",
                    [(key, value, _checksum(key, value)) for key, value in values.items()],
                )
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot write {self.path.name}: {error}",
                "free some space, then run the same command again: it continues where it stopped",
            ) from error

    def close(self) -> None:
        self._db.close()


def _checksum(key: bytes, value: object) -> bytes:
    """Tells a value that was altered on disk; of anything but bytes there is none."""
    return hashlib.blake2b(key + value, digest_size=8).digest() if isinstance(value, bytes) else b""


def cache_path() -> Path:
    """The cache of results that runs share."""
    return cache_root() / "outcomes.sqlite"


class ResultStore:
    """The run's journal, with the shared cache behind it. An error of the cache is a warning only."""

    def __init__(self, journal: Journal, cache: Journal | None, warn: Callable[[str], None]) -> None:
        self.journal, self.cache, self.warn = journal, cache, warn

    def get(self, keys: Iterable[bytes]) -> dict[bytes, QueryResult]:
        wanted = list(keys)
        found = self.journal.get(wanted)
        if self.cache is not None and len(found) < len(wanted):
            try:
                shared = self.cache.get(key for key in wanted if key not in found)
            except StoreError as error:
                self._without_cache(error)
            else:
                if shared:
                    self.journal.put(shared)
                    found |= shared
        return found

    def known(self, keys: Iterable[bytes]) -> set[bytes]:
        """The keys whose results are there, without holding all of those."""
        wanted = iter(keys)
        found: set[bytes] = set()
        while some := list(islice(wanted, KNOWN_AT_A_TIME)):
            found |= self.get(some).keys()
        return found

    def put(self, results: Mapping[bytes, QueryResult]) -> None:
        self.journal.put(results)
        if self.cache is not None:
            try:
                self.cache.put(results)
            except StoreError as error:
                self._without_cache(error)

    def close(self) -> None:
        self.journal.close()
        if self.cache is not None:
            self.cache.close()

    def _without_cache(self, error: StoreError) -> None:
        self.warn(f"going on without the shared cache: {error.message}")
        self.cache = None
