"""A file that a recorder appends to.

Each write ends with a whole row, and in a compressed file with a whole member of gzip, so a process
that is killed leaves a readable file. What a failed disk has cut off is removed when the file is
continued.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from app.configuration.recordings import GZIP
from app.market_data.recordings.rows import format_header

if sys.platform != "win32":
    import fcntl

# Bytes read at a time, and kept of the end: longer than any row.
_CHUNK_BYTES = 1 << 16
# The format of gzip, for zlib.
_GZIP_MEMBER = 16 + zlib.MAX_WBITS
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class CannotContinue(Exception):
    """The file is written by another recorder, or is no recording of this version."""


@dataclass(frozen=True, slots=True)
class _Content:
    """The size of the whole rows of a file, in bytes, and the time of the last one."""

    size: int
    last_time: datetime


class RecordingFile:
    """An open recording. `last_time` is that of its last row, UTC."""

    def __init__(self, path: Path) -> None:
        """Open a new recording, or continue one; raise CannotContinue or OSError."""
        self._is_compressed = path.name.endswith(GZIP)
        self._file = path.open("ab+", buffering=0)
        try:
            _lock(self._file)
            content = _read_content(self._file, is_compressed=self._is_compressed)
            self._file.truncate(content.size)
        except BaseException:
            self._file.close()
            raise
        self._size = content.size
        self.last_time = content.last_time

    @property
    def is_deleted(self) -> bool:
        """Whether the file has been deleted since it was opened."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._size

    def append(self, rows: bytes, last_time: datetime) -> None:
        """Append whole rows, of which the last has this time, or nothing; raise OSError."""
        data = rows if self._size else format_header() + rows
        if self._is_compressed:
            data = gzip.compress(data, compresslevel=6)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except BaseException:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(data)
        self.last_time = last_time

    def close(self) -> None:
        """Close the file, and let others continue it."""
        self._file.close()


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":  # pragma: no cover - a server there is one process
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotContinue("another recorder writes to it") from None


def _read_content(file: BinaryIO, *, is_compressed: bool) -> _Content:
    if not file.seek(0, os.SEEK_END):
        return _Content(0, _BEGINNING)
    file.seek(0)
    size, beginning, end = _read_members(file) if is_compressed else _read_lines(file)
    header = format_header()
    if not beginning.startswith(header):
        raise CannotContinue("it is not a recording that can be continued")
    if end.endswith(header):
        return _Content(size, _BEGINNING)
    row = end.rstrip(b"\n").rpartition(b"\n")[2]
    try:
        last_time = datetime.fromisoformat(row.partition(b",")[0].decode())
    except ValueError:
        raise CannotContinue("it does not end with a row of a recording") from None
    return _Content(size, last_time)


def _read_lines(file: BinaryIO) -> tuple[int, bytes, bytes]:
    """Return the size of the whole lines, and the first and the last bytes of them."""
    beginning = file.read(_CHUNK_BYTES)
    size = file.seek(0, os.SEEK_END)
    start = max(size - _CHUNK_BYTES, 0)
    file.seek(start)
    end = file.read(_CHUNK_BYTES)
    whole = end.rfind(b"\n") + 1
    return start + whole, beginning, end[:whole]


def _read_members(file: BinaryIO) -> tuple[int, bytes, bytes]:
    """Return the size of the whole members, and the first and the last bytes of their content."""
    size, beginning, end, data = 0, b"", b"", b""
    with suppress(zlib.error):
        while True:
            member, content, read = zlib.decompressobj(_GZIP_MEMBER), b"", 0
            while not member.eof:
                data = data or file.read(_CHUNK_BYTES)
                if not data:
                    return size, beginning, end
                content += member.decompress(data)
                beginning, content = beginning or content[:_CHUNK_BYTES], content[-_CHUNK_BYTES:]
                read += len(data) - len(member.unused_data)
                data = member.unused_data
            size, end = size + read, content
    return size, beginning, end
