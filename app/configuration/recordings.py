"""The files of recordings: those that a replay reads, and those that a recorder writes."""

from __future__ import annotations

import glob
import os
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from pathlib import Path

GZIP = ".gz"
SUFFIXES = (f".csv{GZIP}", GZIP, ".csv")


def find_recordings(path: Path) -> list[Path]:
    """Return the recordings of a file, a folder or a pattern, by name.

    Those of a folder end in .csv or .csv.gz. A path that exists is no pattern.
    """
    if path.is_dir():
        names = (f".csv{GZIP}", ".csv")
        return sorted(each for each in path.iterdir() if each.is_file() and _ends(each, names))
    if glob.has_magic(str(path)) and not path.exists():
        found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        return sorted(each for each in found if each.is_file())
    return [path]


def name_of_day(path: Path, day: date, number: int = 1) -> Path:
    """Return the file of a trading day: market.csv.gz becomes market-2026-11-27.csv.gz.

    A further file of the same day has a `number`: market-2026-11-27_2.csv.gz.
    """
    suffix = next((each for each in SUFFIXES if path.name.endswith(each)), path.suffix)
    further = "" if number == 1 else f"_{number}"
    return path.with_name(f"{path.name.removesuffix(suffix)}-{day.isoformat()}{further}{suffix}")


def readable_recordings(path: Path) -> Path:
    """Return a path if all its recordings can be read; raise ValueError otherwise."""
    files = find_recordings(path)
    if not files:
        raise ValueError(f"has no recording, a file that ends in .csv or .csv.gz: {path}")
    for file in files:
        try:
            with file.open("rb"):
                continue
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}: {file}") from None
    return path


def recordable_file(path: Path) -> Path:
    """Return a path if recordings can be written there; raise ValueError otherwise."""
    folder = next(each for each in path.parents if each.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"cannot be written: {path}")
    return path


def find_overlap(replayed: Path | None, recorded: Path | None) -> list[str]:
    """Return an offence if a replay would read what is recorded meanwhile."""
    if replayed is None or recorded is None or not _would_replay(replayed, recorded):
        return []
    return ["RECORD_FILE: would be among the recordings of REPLAY_FILE; name another folder"]


def _would_replay(replayed: Path, recorded: Path) -> bool:
    file = name_of_day(recorded, datetime.now(UTC).date())
    if replayed.is_dir():
        return file.parent == replayed and _ends(file, SUFFIXES)
    pattern = str(replayed)
    # Only ** matches several folders.
    matches = fnmatch(str(file), pattern) if "**" in pattern else file.match(pattern)
    return glob.has_magic(pattern) and matches


def _ends(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.endswith(suffixes)
