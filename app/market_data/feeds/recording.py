"""Recordings: CSV files of `timestamp,symbol,price`, and of what their source said beside it.

The further columns are optional, and named as the fields of a quote; an empty one is unknown.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from app.domain.candle import IST
from app.domain.money import parse_price
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.logs import logger
from app.market_data.instruments.registry import Instruments
from app.market_data.providers.details import make_details

COLUMNS = ("timestamp", "symbol", "price")
DETAIL_COLUMNS = tuple(field.name for field in fields(QuoteDetails))
# Log the progress of reading after each of these.
PROGRESS_ROWS = 100_000


class RecordingError(Exception):
    """The recording is unusable; the message names the file, the line and the reason."""


def read_recording(path: Path, instruments: Instruments) -> list[Quote]:
    """Read a recording; raise RecordingError for the first unusable line.

    Times without a zone are in India's. Rows whose price is zero, negative or impossibly high
    are skipped with a warning: recorders write such rows before the first trade.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _Reader(path, instruments).read(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from None


class _Reader:
    """Reads one recording, and parses each name and price only once."""

    def __init__(self, path: Path, instruments: Instruments) -> None:
        self._path = path
        self._instruments = instruments
        self._symbols: dict[str, str] = {}
        self._prices: dict[str, Decimal | None] = {}
        self._details: tuple[str, ...] = ()
        self._unpriced_lines: list[int] = []

    def read(self, lines: Iterable[str]) -> list[Quote]:
        rows = csv.reader(lines)
        self._details = self._read_header(next(rows, []))
        ticks: list[Quote] = []
        for row in rows:
            if not row:
                continue
            try:
                tick = self._tick(row)
            except (ValueError, ArithmeticError) as error:
                raise RecordingError(f"{self._path}, line {rows.line_num}: {error}") from None
            if tick:
                ticks.append(tick)
            else:
                self._unpriced_lines.append(rows.line_num)
            if len(ticks) % PROGRESS_ROWS == 0 and ticks:
                logger.info("%s: %d ticks read so far", self._path, len(ticks))
        self._report_unpriced()
        if not ticks:
            raise RecordingError(f"{self._path} holds no ticks.")
        return ticks

    def _read_header(self, header: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the columns of details."""
        names = tuple(header)
        further = names[len(COLUMNS) :]
        if names[: len(COLUMNS)] != COLUMNS:
            raise RecordingError(f"{self._path} must begin with the line {','.join(COLUMNS)!r}.")
        for name in further:
            if name not in DETAIL_COLUMNS or further.count(name) > 1:
                raise RecordingError(
                    f"{self._path}, line 1: {name!r} is no further column, or there twice. "
                    f"Further columns are {', '.join(DETAIL_COLUMNS)}."
                )
        return further

    def _tick(self, row: list[str]) -> Quote | None:
        columns = len(COLUMNS) + len(self._details)
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
        details = self._read_details(symbol, row[len(COLUMNS) :]) if self._details else NO_DETAILS
        return Quote(symbol, price, Source.REPLAY, timestamp.astimezone(UTC), details=details)

    def _read_details(self, symbol: str, texts: Sequence[str]) -> QuoteDetails:
        values: dict[str, Decimal | None] = {}
        for name, text in zip(self._details, texts, strict=True):
            values[name] = self._number(text, f"a number ({name})") if text.strip() else None
        return make_details(symbol, **values)

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
