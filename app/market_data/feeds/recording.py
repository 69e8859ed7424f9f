"""Recordings: CSV files of `timestamp,symbol,price`, and of what their source said beside it.

The further columns are optional, and named as the fields of a quote; an empty one is unknown.
`actions` has the corporate actions that prices follow from here on (recorded_actions.py).
`confirmed` is 1 if the recorder has acted on the tick, so that a jump needs no confirmation again.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO

from app.configuration.recordings import GZIP, find_recordings
from app.domain.candle import IST
from app.domain.corporate_actions import CorporateAction
from app.domain.money import parse_price
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.logs import logger
from app.market_data.instruments.registry import Instruments
from app.market_data.providers.details import make_details
from app.market_data.recordings.recorded_actions import parse_actions
from app.market_data.recordings.rows import ACTIONS, COLUMNS, CONFIRMED, DETAIL_COLUMNS

FURTHER_COLUMNS = (*DETAIL_COLUMNS, ACTIONS, CONFIRMED)
_FLAGS = {"1": True, "0": False, "": False}
# Log the progress of reading after each of these.
PROGRESS_ROWS = 100_000


class RecordingError(Exception):
    """The recording is unusable; the message names the file, the line and the reason."""


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """The ticks of a recording, as they are in it, and the corporate actions that it has."""

    ticks: list[Quote]
    actions: list[CorporateAction]


def read_recording(path: Path, instruments: Instruments) -> RecordedMarket:
    """Read a recording, or those of a folder or a pattern in the order of their names.

    Raises RecordingError for the first unusable line. Times without a zone are in India's. Rows
    whose price is zero, negative or impossibly high are skipped with a warning: recorders write
    such rows before the first trade. So is an end that was cut off while it was written.
    """
    reader = _Reader(instruments)
    for file in find_recordings(path):
        try:
            reader.read(file)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
            raise RecordingError(f"{file} cannot be read: {error}") from None
    if not reader.ticks:
        raise RecordingError(f"{path} holds no ticks.")
    return RecordedMarket(reader.ticks, list(reader.actions.values()))


class _Reader:
    """Reads recordings into `ticks` and `actions`, and parses each name and price only once."""

    def __init__(self, instruments: Instruments) -> None:
        self.ticks: list[Quote] = []
        # By id: the files of several processes may have the same.
        self.actions: dict[str, CorporateAction] = {}
        self._instruments = instruments
        self._symbols: dict[str, str] = {}
        self._prices: dict[str, Decimal | None] = {}
        self._path = Path()
        self._further: tuple[str, ...] = ()
        self._unpriced_lines: list[int] = []

    def read(self, path: Path) -> None:
        self._path, self._unpriced_lines = path, []
        with _open(path) as file:
            lines = _Lines(file)
            rows = csv.reader(lines)
            self._further = self._read_header(next(rows, []))
            for row in rows:
                if row and not self._read_row(row, rows.line_num, is_cut_off=lines.is_cut_off):
                    lines.was_cut_off = True
        if lines.was_cut_off:
            logger.warning("%s ends in the middle of a row, which is skipped", path)
        self._report_unpriced()

    def _read_row(self, row: list[str], line: int, *, is_cut_off: bool) -> bool:
        """Add the tick of a row; return False if the row is the cut off end of the file."""
        columns = len(COLUMNS) + len(self._further)
        if is_cut_off and len(row) < columns:
            return False
        try:
            tick = self._tick(row, columns)
        except (ValueError, ArithmeticError) as error:
            raise RecordingError(f"{self._path}, line {line}: {error}") from None
        if tick is None:
            self._unpriced_lines.append(line)
            return True
        self.ticks.append(tick)
        if len(self.ticks) % PROGRESS_ROWS == 0:
            logger.info("%s: %d ticks read so far", self._path, len(self.ticks))
        return True

    def _read_header(self, header: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the further columns."""
        names = tuple(header)
        further = names[len(COLUMNS) :]
        if names[: len(COLUMNS)] != COLUMNS:
            raise RecordingError(f"{self._path} must begin with the line {','.join(COLUMNS)!r}.")
        for name in further:
            if name not in FURTHER_COLUMNS or further.count(name) > 1:
                raise RecordingError(
                    f"{self._path}, line 1: {name!r} is not a known column, or is there twice. "
                    f"Further columns are {', '.join(FURTHER_COLUMNS)}."
                )
        return further

    def _tick(self, row: list[str], columns: int) -> Quote | None:
        if len(row) != columns:
            raise ValueError(f"{len(row)} columns instead of {columns}")
        time, name, text = row[: len(COLUMNS)]
        timestamp = datetime.fromisoformat(time.strip())
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=IST)
        symbol = self._symbols.get(name) or self._symbol(name)
        price = self._prices[text] if text in self._prices else self._price(text)
        if price is None:
            return None
        details, confirmed = NO_DETAILS, False
        if self._further:
            further = dict(zip(self._further, row[len(COLUMNS) :], strict=True))
            confirmed = self._flag(further.pop(CONFIRMED, ""))
            if text := further.pop(ACTIONS, ""):
                actions = parse_actions(symbol, text)
                self.actions = {each.id: each for each in actions} | self.actions
            details = self._read_details(symbol, further)
        time_utc = timestamp.astimezone(UTC)
        return Quote(
            symbol, price, Source.REPLAY, time_utc, details=details, is_confirmed=confirmed
        )

    def _read_details(self, symbol: str, texts: dict[str, str]) -> QuoteDetails:
        known = {name: text for name, text in texts.items() if text and not text.isspace()}
        if not known:
            return NO_DETAILS
        values = {name: self._number(text, f"a number ({name})") for name, text in known.items()}
        return make_details(symbol, **values)

    def _flag(self, text: str) -> bool:
        flag = _FLAGS.get(text.strip())
        if flag is None:
            raise ValueError(f"{text!r} is neither 1 nor 0 ({CONFIRMED})")
        return flag

    def _symbol(self, name: str) -> str:
        instrument = self._instruments.find(name)
        if instrument is None:
            raise ValueError(f"unknown symbol {name!r}")
        self._symbols[name] = instrument.symbol
        return instrument.symbol

    def _price(self, text: str) -> Decimal | None:
        price = self._prices[text] = parse_price(self._number(text, "a price"))
        return price

    def _number(self, text: str, kind: str) -> Decimal:
        try:
            amount = Decimal(text.strip())
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite():
            raise ValueError(f"{text!r} is not {kind}")
        return amount

    def _report_unpriced(self) -> None:
        if self._unpriced_lines:
            logger.warning(
                "%s: skipped %d rows without a possible price, the first in line %d",
                self._path,
                len(self._unpriced_lines),
                self._unpriced_lines[0],
            )


class _Lines:
    """The lines of a file. `is_cut_off` if the last one so far has no end, as no other has."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.is_cut_off = False
        # Whether the end of the file is missing.
        self.was_cut_off = False

    def __iter__(self) -> Iterator[str]:
        has_begun = False
        try:
            for line in self._file:
                self.is_cut_off = not line.endswith(("\n", "\r"))
                yield line
                has_begun = True
        except (EOFError, gzip.BadGzipFile):
            # The last member of a compressed file has no end, or its beginning is cut off.
            if not has_begun:
                raise
            self.was_cut_off = True


def _open(path: Path) -> TextIO:
    if path.name.endswith(GZIP):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(newline="", encoding="utf-8-sig")
