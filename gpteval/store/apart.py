"""Models of one name in several runs: the same one, or others that are told apart by their runs' folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def names_apart(runs: Sequence[Path], fingerprints: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """For each run what its models are called among all of them; ``fingerprints`` are those of its models, "" where
    none is known, which may be any.

    A name that stands for other weights in another run has as much of its folder's path before it as tells them apart:
    of the first run that has these weights.
    """
    tails = _tails([run.resolve() for run in runs])
    several: dict[str, dict[str, str]] = {}  # of a name, for each fingerprint the folder that tells it
    for tail, of_run in zip(tails, fingerprints, strict=True):
        for name, fingerprint in of_run.items():
            if fingerprint:
                several.setdefault(name, {}).setdefault(fingerprint, tail)
    return [
        {
            name: f"{several[name].get(fingerprint, tail)}/{name}" if len(several.get(name, ())) > 1 else name
            for name, fingerprint in of_run.items()
        }
        for tail, of_run in zip(tails, fingerprints, strict=True)
    ]


def _tails(paths: Sequence[Path]) -> list[str]:
    """Of each path the fewest last parts that no other path ends in."""

    def tail(path: Path) -> str:
        for length in range(1, len(path.parts)):
            end = path.parts[-length:]
            if all(other == path or other.parts[-length:] != end for other in paths):
                return "/".join(end)
        return path.as_posix()

    return [tail(path) for path in paths]
