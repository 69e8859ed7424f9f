"""Candles in the CSV files of Yahoo, of Kite and of NSE.

Yahoo: a download of its site (`Date,Open,High,Low,Close,Adj Close,Volume`) or a frame of yfinance
(`Date` or `Datetime`, with a line of symbols if it has two levels of columns). Kite: what its
historical API returns (`date,open,high,low,close,volume`, perhaps `oi`). NSE's bhavcopy of the cash
market: until July 2024 `SYMBOL,SERIES,OPEN,...`, since then UDiFF (`TradDt,...,TckrSymb,SctySrs,
...,OpnPric,...`), which BSE uses as well, or the full one with deliveries
(`SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, ...`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path

from app.domain.candle import IST
from app.domain.money import parse_price
from app.market_data.instruments.registry import Instruments
from app.market_data.providers.details import parse_volume

FORMATS = ("yahoo", "nse-bhavcopy", "kite")
# NSE's series of shares; other rows are bonds, funds and government securities.
SHARE_SERIES = frozenset({"EQ", "BE", "BZ", "SM", "ST"})
# Yahoo's value of a day without a trade.
_NO_VALUES = frozenset({"", "null", "nan", "-"})
_SUFFIXES = {"NSE": ".NS", "BSE": ".BO"}


class CandleFileError(Exception):
    """The file is unusable; the message names the file, the line, the column and the reason."""


@dataclass(frozen=True, slots=True)
class FileCandle:
    """One row. Prices are rupees; `begins` is in India's time, at midnight for a whole day."""

    symbol: str
    begins: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    previous_close: Decimal | None

    @property
    def is_of_a_day(self) -> bool:
        return self.begins.time() == time.min


@dataclass(frozen=True, slots=True)
class _Layout:
    """The names of the columns. Without `symbol`, a file has candles of one symbol."""

    format: str
    time: str
    prices: tuple[str, str, str, str]
    volume: str
    previous_close: str | None = None
    symbol: str | None = None
    series: str | None = None
    exchange: str | None = None

    @property
    def required(self) -> list[str]:
        """The columns by which the layout is recognized."""
        further = (self.symbol, self.series, self.exchange)
        return [self.time, *self.prices, *filter(None, further)]


_YAHOO = ("Open", "High", "Low", "Close")
_LAYOUTS = (
    _Layout("yahoo", "Date", _YAHOO, "Volume"),
    _Layout("yahoo", "Datetime", _YAHOO, "Volume"),
    _Layout("kite", "date", ("open", "high", "low", "close"), "volume"),
    _Layout(
        "nse-bhavcopy",
        "TIMESTAMP",
        ("OPEN", "HIGH", "LOW", "CLOSE"),
        "TOTTRDQTY",
        "PREVCLOSE",
        "SYMBOL",
        "SERIES",
    ),
    _Layout(
        "nse-bhavcopy",
        "DATE1",
        ("OPEN_PRICE", "HIGH_PRICE", "LOW_PRICE", "CLOSE_PRICE"),
        "TTL_TRD_QNTY",
        "PREV_CLOSE",
        "SYMBOL",
        "SERIES",
    ),
    _Layout(
        "nse-bhavcopy",
        "TradDt",
        ("OpnPric", "HghPric", "LwPric", "ClsPric"),
        "TtlTradgVol",
        "PrvsClsgPric",
        "TckrSymb",
        "SctySrs",
        "Src",
    ),
)


class CandleReader:
    """Reads candles of known symbols. `skipped` counts the rows of others, and without a trade."""

    def __init__(
        self, instruments: Instruments, format: str | None, symbols: Collection[str]
    ) -> None:
        """Read files of one format, or of any if it is None; `symbols` chooses among the rows.

        The symbol of a file without such a column is the one that is chosen, or else its name.
        """
        self._instruments = instruments
        self._format = format
        self._symbols = frozenset(symbols)
        self._places: dict[tuple[str, datetime], str] = {}
        self.skipped = 0

    def read(self, path: Path) -> list[FileCandle]:
        """Return the candles of a file in its order; raise CandleFileError."""
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                return self._read(path, file)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CandleFileError(f"{path} cannot be read: {error}") from None

    def _read(self, path: Path, file: Iterable[str]) -> list[FileCandle]:
        rows = csv.reader(file)
        header, ticker = _read_header(path, rows)
        layout = self._find_layout(path, header)
        symbol_of = self._symbol_reader(path, layout, ticker)
        candles = []
        for cells in rows:
            if not any(map(str.strip, cells)):
                continue
            place = f"{path}, line {rows.line_num}"
            row = _named(place, header, cells)
            symbol = symbol_of(row)
            if symbol and not all(row[name].lower() in _NO_VALUES for name in layout.prices):
                candles.append(self._candle(place, row, layout, symbol))
            else:
                self.skipped += 1
        return candles

    def _find_layout(self, path: Path, header: Collection[str]) -> _Layout:
        for layout in _LAYOUTS:
            if self._format in (None, layout.format) and set(layout.required) <= set(header):
                return layout
        formats = [self._format] if self._format else FORMATS
        expected = "; ".join(
            f"{each.format} has {', '.join(each.required)}"
            for each in _LAYOUTS
            if each.format in formats
        )
        raise CandleFileError(f"{path}, line 1: the columns are those of no format: {expected}.")

    def _symbol_reader(
        self, path: Path, layout: _Layout, ticker: str | None
    ) -> Callable[[Mapping[str, str]], str]:
        """Return a function that returns the symbol of a row, or nothing if it is not wanted."""
        if layout.symbol is None:
            symbol = self._symbol_of_file(path, ticker)
            return lambda _row: symbol
        return lambda row: self._symbol_of_row(layout, row)

    def _symbol_of_file(self, path: Path, ticker: str | None) -> str:
        names = self._symbols or {ticker or path.name.partition(".csv")[0]}
        if len(names) > 1:
            raise CandleFileError(f"{path} has candles of one symbol: name it by --symbols.")
        (name,) = names
        instrument = self._instruments.find(name)
        if instrument is None:
            raise CandleFileError(
                f"{path}: {name!r} is not a known symbol: name it with --symbols."
            )
        return instrument.symbol

    def _symbol_of_row(self, layout: _Layout, row: Mapping[str, str]) -> str:
        exchange = row[layout.exchange] if layout.exchange else "NSE"
        suffix = _SUFFIXES.get(exchange)
        series = row[layout.series] if layout.series else ""
        if suffix is None or (exchange == "NSE" and series not in SHARE_SERIES):
            return ""
        assert layout.symbol is not None
        instrument = self._instruments.by_symbol(f"{row[layout.symbol]}{suffix}")
        is_wanted = instrument and (not self._symbols or instrument.symbol in self._symbols)
        return instrument.symbol if instrument and is_wanted else ""

    def _candle(
        self, place: str, row: Mapping[str, str], layout: _Layout, symbol: str
    ) -> FileCandle:
        begins = _read_time(place, row, layout.time)
        if earlier := self._places.get((symbol, begins)):
            raise CandleFileError(
                f"{place}, column {layout.time}: {symbol} has this time in {earlier} as well."
            )
        self._places[symbol, begins] = place
        open, high, low, close = (_read_price(place, row, name) for name in layout.prices)
        if high < max(open, low, close):
            raise _invalid(place, layout.prices[1], f"{high} is not the highest price of the row")
        if low > min(open, close):
            raise _invalid(place, layout.prices[2], f"{low} is not the lowest price of the row")
        volume = row.get(layout.volume, "")
        previous = row.get(layout.previous_close, "") if layout.previous_close else ""
        return FileCandle(
            symbol,
            begins,
            open,
            high,
            low,
            close,
            _read_volume(place, layout.volume, volume),
            parse_price(previous or "0"),
        )


def _read_header(path: Path, rows: Iterator[list[str]]) -> tuple[list[str], str | None]:
    """Return the names of the columns, and the symbol of a frame of yfinance with two levels."""
    names = [name.strip() for name in next(rows, [])]
    if names[:1] != ["Price"]:
        return names, None
    tickers = {name.strip() for name in next(rows, [])[1:]}
    if len(tickers) != 1:
        raise CandleFileError(f"{path}, line 2: candles of several symbols; write a file for each.")
    index = next(rows, [])
    return [*index[:1], *names[1:]], tickers.pop()


def _named(place: str, header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) < len(header):
        column = header[len(cells)] or str(len(cells) + 1)
        raise _invalid(place, column, "the row ends before it")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=False)}


def _read_time(place: str, row: Mapping[str, str], column: str) -> datetime:
    text = row[column]
    try:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            # NSE writes 05-JUL-2024.
            moment = datetime.strptime(text, "%d-%b-%Y").replace(tzinfo=IST)
    except ValueError:
        raise _invalid(place, column, f"{text!r} is not a date or time") from None
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment.astimezone(IST)


def _read_price(place: str, row: Mapping[str, str], column: str) -> Decimal:
    price = parse_price(row[column])
    if price is None:
        raise _invalid(place, column, f"{row[column]!r} is not a price")
    return price


def _read_volume(place: str, column: str, text: str) -> int | None:
    if text.lower() in _NO_VALUES:
        return None
    try:
        volume = parse_volume(Decimal(text))
    except ArithmeticError:
        volume = None
    if volume is None:
        raise _invalid(place, column, f"{text!r} is not a number of units")
    return volume


def _invalid(place: str, column: str, reason: str) -> CandleFileError:
    return CandleFileError(f"{place}, column {column}: {reason}.")
