"""Files and folders that are there in full or not at all: written aside, renamed at the end."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpteval.core.errors import StoreError

PARTIAL = ".partial"
GO_ON = "free some space, then run the same command again: it continues where it stopped"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_FULL = ("No space left", "Disk quota", "File too large", "PytorchStreamWriter", "I/O error", "unexpected pos")


def write_whole(path: Path, text: str) -> None:
    """Raises OSError, and leaves what was there."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file or folder that takes the place of ``path`` once the block has ended well."""
    partial = path.with_name(f".{path.name}{PARTIAL}")  # which no pattern such as step-* means
    remove(partial)
    try:
        yield partial
        for file in [partial] if partial.is_file() else partial.rglob("*"):
            if file.is_file():
                _sync(file)
        put(partial, path)
    except BaseException:
        remove(partial)
        raise


def put(partial: Path, path: Path) -> None:
    """Rename a file, or a folder, which takes the place of a folder. Raises OSError for a file named as a folder is."""
    if partial.is_dir() and path.is_dir():
        remove(path)
    partial.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, which is no more under its name before the first of its files is gone; and what is
    left of one whose removal was cut short.
    """
    gone = path.with_name(path.name + ".removed")
    shutil.rmtree(gone, ignore_errors=True)
    if path.is_dir() and not path.is_symlink():
        path.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Raise StoreError in the place of what the libraries raise when the disk of ``what`` takes no more."""
    try:
        yield
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.errno in _NO_ROOM else ""
        if not reason and any(sign in str(error) for sign in _FULL):
            reason = str(error).split("\n")[0][:200]
        if not reason:
            raise
        raise StoreError(f"cannot write {what}: {reason}", GO_ON) from error


def _sync(file: Path) -> None:
    with file.open("r+b") as handle:  # some systems sync only what is open for writing
        os.fsync(handle.fileno())
