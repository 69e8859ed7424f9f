"""The recorder: writes the ticks that a server acts on, so that a replay of them acts the same.

Ticks are written in the order in which they were acted on. A replay sorts by time, so no row is
older than the one before it: a late tick gets the time of its predecessor.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from app.clock import Clock
from app.concurrency import run_blocking
from app.configuration.recordings import name_of_day
from app.domain.candle import IST
from app.domain.corporate_actions import CorporateAction
from app.domain.quote import Quote, Source
from app.logs import logger
from app.market_data.recordings.file import CannotContinue, RecordingFile
from app.market_data.recordings.recorded_actions import format_actions
from app.market_data.recordings.rows import format_ticks
from config import Settings
from embedded_db.disk import MEGABYTE, free_bytes

# How long ticks are collected for one write; a process that is killed loses those of this time.
BATCH_SECONDS = 2.0
# Ticks kept while nothing can be written.
MAX_QUEUED = 100_000
# Files of one trading day, of several processes or of replays that were started again.
MAX_FILES_OF_DAY = 1_000
STOP_SECONDS = 5.0
_Timed = tuple[datetime, Quote]
_Row = tuple[datetime, Quote, str]


class Recorder:
    """Writes ticks in the background. `written` and `lost` count them."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        by_day: bool = True,
        min_free_bytes: int = 0,
        free: Callable[[Path], int] = free_bytes,
        actions: Callable[[str], Sequence[CorporateAction]] = lambda _symbol: (),
    ) -> None:
        """Record to `path`, or to a file for each trading day.

        `actions` returns the corporate actions of a symbol: each is recorded with the first tick
        of its ex-date. Nothing is written while less than `min_free_bytes` are free, as `free`
        returns them.
        """
        self._path = path
        self._clock = clock
        self._by_day = by_day
        self._min_free_bytes = min_free_bytes
        self._free = free
        self._actions = actions
        # The ids of those that are recorded.
        self._recorded_actions: set[str] = set()
        self._queue: deque[Quote] = deque()
        self._queueing = threading.Lock()
        self._file: RecordingFile | None = None
        self._day: date | None = None
        self._last_time = datetime.min.replace(tzinfo=UTC)
        self._writing = threading.Lock()
        self._wakeup = threading.Event()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self.written = 0
        self.lost = 0
        # Why the last write failed, None if it did not.
        self.problem: str | None = None

    @property
    def size(self) -> int:
        """The size of the current file, in bytes."""
        return self._file.size if self._file else 0

    def record(self, ticks: Iterable[Quote]) -> None:
        """Have ticks written, in order. Never waits."""
        with self._queueing:
            for tick in ticks:
                if len(self._queue) < MAX_QUEUED:
                    self._queue.append(tick)
                else:
                    self.lost += 1
            if self._queue:
                self._wakeup.set()

    def run(self) -> None:
        """Write what is recorded, a batch at a time, until stopped."""
        logger.info("recording to %s", self._path)
        while not self._stop.is_set():
            self._wakeup.wait()
            self._wakeup.clear()
            self._stop.wait(BATCH_SECONDS)
            self.flush()
        self._ended.set()

    def flush(self) -> None:
        """Write all that waits. A failure is logged once, and the next call tries again."""
        with self._writing:
            with self._queueing:
                batch, self._queue = self._queue, deque()
            if not batch:
                return
            waiting = len(batch)
            try:
                run_blocking(self._write, batch)
            except (OSError, CannotContinue) as error:
                with self._queueing:
                    self._queue.extendleft(reversed(batch))
                self._failed(error)
            else:
                if self.problem is not None:
                    logger.warning("recorder: %s can be written again", self._path)
                self.problem = None
            self.written += waiting - len(batch)

    def stop(self) -> None:
        """Write what waits, unless that takes too long, and end `run`."""
        self._stop.set()
        self._wakeup.set()
        self._ended.wait(STOP_SECONDS)
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _failed(self, error: OSError | CannotContinue) -> None:
        number = error.errno if isinstance(error, OSError) else None
        reason = str(error) if number is None else os.strerror(number)
        if self.problem is None:
            logger.warning(
                "recorder: %s cannot be written: %s. Trading continues; up to %d ticks wait",
                self._path,
                reason,
                MAX_QUEUED,
            )
        self.problem = reason

    def _write(self, batch: deque[Quote]) -> None:
        """Write ticks, and remove them from the batch; for `run_blocking`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._free(self._path.parent) < self._min_free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        while batch:
            day = self._time_of(batch[0]).astimezone(IST).date()
            file = self._open(day, batch[0])
            ticks = self._take(batch, day, max(file.last_time, self._last_time))
            last_time = ticks[-1][0]
            rows, begun = self._with_actions(ticks)
            file.append(format_ticks(rows), last_time)
            self._recorded_actions |= begun
            self._last_time = last_time
            for _ in ticks:
                batch.popleft()

    def _take(self, batch: deque[Quote], day: date, last_time: datetime) -> list[_Timed]:
        """Return the first ticks of a batch that belong to one file, with their times."""
        ticks: list[_Timed] = []
        for tick in batch:
            time = max(self._time_of(tick), last_time)
            if ticks and self._by_day and time.astimezone(IST).date() != day:
                break
            ticks.append((time, tick))
            last_time = time
        return ticks

    def _with_actions(self, ticks: Sequence[_Timed]) -> tuple[list[_Row], set[str]]:
        """Return the rows of ticks, and the ids of the actions that they are the first to have."""
        rows: list[_Row] = []
        begun: set[str] = set()
        for time, tick in ticks:
            new = [
                action
                for action in self._actions(tick.symbol)
                if action.opens_at <= tick.timestamp
                and action.id not in self._recorded_actions
                and action.id not in begun
            ]
            begun.update(action.id for action in new)
            rows.append((time, tick, format_actions(new)))
        return rows, begun

    def _time_of(self, tick: Quote) -> datetime:
        if tick.source is Source.REPLAY:
            return max(tick.timestamp, self._last_time)
        # A source whose clock is ahead must not move the ticks after it.
        return max(min(tick.timestamp, self._clock.now()), self._last_time)

    def _open(self, day: date, first: Quote) -> RecordingFile:
        """Return the file of a day; raise OSError or CannotContinue."""
        if self._file and not self._file.is_deleted and (day == self._day or not self._by_day):
            return self._file
        self.close()
        self._file = self._find_file(day, first) if self._by_day else _continue(self._path, first)
        self._day = day
        return self._file

    def _find_file(self, day: date, first: Quote) -> RecordingFile:
        """Open the first file of a day that no other recorder writes, and that can be continued."""
        for number in range(1, MAX_FILES_OF_DAY + 1):
            try:
                return _continue(name_of_day(self._path, day, number), first)
            except CannotContinue:
                continue
        raise CannotContinue(f"there are {MAX_FILES_OF_DAY} files of {day}")


def create_recorder(
    settings: Settings, clock: Clock, actions: Callable[[str], Sequence[CorporateAction]]
) -> Recorder | None:
    """Return the recorder of RECORD_FILE, None without one; `actions` are as in Recorder.

    It ends before the disk is so full that requests are refused.
    """
    if settings.record_file is None:
        return None
    min_free_bytes = 2 * settings.min_free_disk_mb * MEGABYTE
    return Recorder(settings.record_file, clock, min_free_bytes=min_free_bytes, actions=actions)


def _continue(path: Path, first: Quote) -> RecordingFile:
    """Open a file to continue it with a tick; raise CannotContinue or OSError.

    A replay that has started again would be mixed with the one before.
    """
    file = RecordingFile(path)
    if first.source is Source.REPLAY and file.last_time > first.timestamp:
        file.close()
        raise CannotContinue("it has later ticks than this replay")
    return file
