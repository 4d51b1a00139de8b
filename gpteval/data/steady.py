"""A file that is read piece by piece, and must not change meanwhile: its rows belong to the revision that was told."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from gpteval.core.errors import DataError

PART = 2**24  # bytes that are read at a time
LONGEST_LINE = 2**26  # bytes of a line of JSON
MOST_UNPACKED = 2**30  # bytes of a packed file that has to be read as a whole


class SteadyFile(io.RawIOBase):
    """A file's bytes, as they were when it was opened: ``file[begin:end]``, and as an open file.

    ``origin`` is what errors call it. Raises DataError at the first read after the file's size or time changed. It is
    not mapped: a map of a file that is cut short ends the process.
    """

    def __init__(self, file: BinaryIO, origin: str) -> None:
        super().__init__()
        self._file, self._origin = file, origin
        self._state = self._now()
        self._place = 0

    @classmethod
    def of(cls, path: Path, origin: str) -> SteadyFile:
        """Raises OSError."""
        return cls(path.open("rb", buffering=0), origin)

    def __len__(self) -> int:
        return self._state[0]

    def __getitem__(self, places: slice) -> bytes:
        begin, end, _ = places.indices(len(self))
        found, left = [], max(0, end - begin)
        while left and (part := os.pread(self._file.fileno(), min(left, PART), end - left)):
            found.append(part)
            left -= len(part)
        self.check()
        return found[0] if len(found) == 1 else b"".join(found)

    def check(self) -> None:
        """Raise DataError where the file is not what it was."""
        if self._now() != self._state:
            raise DataError(
                f"{self._origin} changed while it was read",
                "what was computed is kept under the file's old revision; run again with a file that stays as it is",
            )

    def digest(self) -> str:
        """SHA-256 of all bytes, in hexadecimal digits."""
        total = hashlib.sha256()
        for begin in range(0, len(self), PART):
            total.update(self[begin : begin + PART])
        return total.hexdigest()

    def _now(self) -> tuple[int, int]:
        state = os.fstat(self._file.fileno())
        return state.st_size, state.st_mtime_ns

    # As a file, for libraries that read one.

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        before = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: len(self)}[whence]
        self._place = before + place
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        data = self[self._place : self._place + len(buffer)]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def unpacked(packed: SteadyFile, origin: str, *, lines: bool) -> SteadyFile:
    """What a gzip file holds, in a temporary file without a name, unpacked a part at a time.

    Of ``lines`` none may be longer than ``LONGEST_LINE``; else all of it not than ``MOST_UNPACKED``. Raises DataError.
    """
    out = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed with what is returned)
    number, begun, whole = 1, 0, 0  # of lines; bytes of the line, and of all
    try:
        with gzip.GzipFile(fileobj=io.BufferedReader(packed, PART)) as file:
            while part := file.read(2**20):
                whole += len(part)
                for piece in part.split(b"\n")[:-1] if lines else ():
                    refuse_long(begun + len(piece), origin, number)
                    number, begun = number + 1, 0
                begun += len(part) - (part.rfind(b"\n") + 1)
                if lines:
                    refuse_long(begun, origin, number)
                elif whole > MOST_UNPACKED:
                    raise DataError(f"{origin} unpacks to more than {MOST_UNPACKED // 2**20:,} MiB", "use JSON lines")
                out.write(part)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{origin} is not a whole gzip file: {error}", "make or download it again") from None
    except OSError as error:
        raise DataError(
            f"{origin} cannot be unpacked: {error.strerror}",
            "make room for temporary files, or set TMPDIR to another folder",
        ) from None
    return SteadyFile(out, origin)


def refuse_long(size: int, origin: str, number: int) -> None:
    """Raise DataError for a line of so many bytes that no row has."""
    if size > LONGEST_LINE:
        raise DataError(
            f"{origin}, line {number} is longer than {LONGEST_LINE // 2**20} MiB",
            "a row is a line: cut it into several",
        )
