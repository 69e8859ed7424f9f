"""Angel One's scrip master: the list of all its instruments, about 150,000 rows.

It is parsed row by row while it downloads. Only the shares of both exchanges and the tokens of
our indices are used, not currencies, commodities, bonds and other indices. Of the derivatives only
the names of their shares are used.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ijson
import requests
import urllib3

from app.domain.instrument import BSE, NSE, SUFFIXES, Instrument
from app.domain.money import PAISA, is_whole_paise

CONNECT_SECONDS = 10
# Timeouts between two chunks of the download, and for all of it.
READ_SECONDS = 30
DOWNLOAD_SECONDS = 600
CHUNK_BYTES = 64 * 1024
# Decompressed. The list of November 2026 has about 40 MB.
MAX_BYTES = 400 * 1024 * 1024

# The series of shares on NSE, best first if a share is in several: rolling settlement, trade for
# trade (BE, BZ), small companies (SM; ST and SZ trade for trade), partly paid (E1; X1 trade for
# trade). https://www.nseindia.com/market-data/legend-of-series
SHARE_SERIES = ("EQ", "BE", "BZ", "SM", "ST", "SZ", "E1", "X1")
# BSE codes have six digits. They begin with 7 for preference shares and rights, 8 for government
# securities and 9 for bonds, but with 890 for partly paid shares.
_NO_SHARE = re.compile(r"(7|8(?!90)|9)\d{5}")
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9&_-]{0,29}")
_TOKEN = re.compile(r"[0-9]{1,12}")
# Instruments with which the exchanges test their systems.
_TEST = ("NSETEST", "BSETEST")
_INDEX = "AMXIDX"
_DERIVATIVES = ("NFO", "BFO")
_OF_SHARES = ("FUTSTK", "OPTSTK")
_INDICES = {(NSE, "NIFTY"): "^NSEI", (NSE, "BANKNIFTY"): "^NSEBANK", (BSE, "SENSEX"): "^BSESN"}
# Used if the list has no possible tick size, as for indices: the only one that refuses no price.
_UNKNOWN_TICK = PAISA
_MAX_TICK = Decimal(100)
_MAX_LOT = 10_000_000


class ScripMasterError(Exception):
    """The list is unavailable or unusable; the message contains no address or secret."""


class MasterFile:
    """The list as a stream of bytes; `size` is their number, if known."""

    def __init__(
        self,
        read: Callable[[int], bytes],
        position: Callable[[], int],
        size: int | None,
        on_progress: Callable[[int], object],
    ) -> None:
        self.size = size
        self._read = read
        self._position = position
        self._reported = 0
        self._decompressed = 0
        self._deadline = time.monotonic() + DOWNLOAD_SECONDS
        self.on_progress = on_progress

    def read(self, size: int = -1) -> bytes:
        """Return the next chunk, and report the progress. Raises ScripMasterError."""
        if time.monotonic() > self._deadline:
            raise ScripMasterError(f"The list did not arrive within {DOWNLOAD_SECONDS} s.")
        try:
            chunk = self._read(CHUNK_BYTES if size < 0 else size)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ScripMasterError(f"The list broke off ({_cause(error)}).") from None
        self._decompressed += len(chunk)
        if self._decompressed > MAX_BYTES:
            raise ScripMasterError(f"The list is longer than {MAX_BYTES} bytes.")
        position = self._position()
        self.on_progress(position - self._reported)
        self._reported = position
        return chunk


@dataclass(slots=True)
class MasterContent:
    """The shares and indices of a list by symbol, and the number of unusable rows."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    rows: int = 0
    unusable: int = 0
    # The tickers of the shares that have derivatives, on either exchange.
    underlyings: set[str] = field(default_factory=set)

    @property
    def shares(self) -> int:
        return sum(not instrument.is_index for instrument in self.instruments.values())


@contextmanager
def open_file(path: Path) -> Iterator[MasterFile]:
    """Open a downloaded list; raise ScripMasterError if it cannot be read."""
    try:
        with path.open("rb") as file:
            yield MasterFile(file.read, file.tell, path.stat().st_size, _ignore)
    except OSError as error:
        raise ScripMasterError(f"{path} cannot be read: {error.strerror}.") from None


@contextmanager
def download(url: str, *, read_seconds: float = READ_SECONDS) -> Iterator[MasterFile]:
    """Download the list; raise ScripMasterError if the server does not send it."""
    host = urlsplit(url).hostname
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, read_seconds)) as response:
            if response.status_code != requests.codes.ok:
                raise ScripMasterError(f"{host} answered {response.status_code} and no list.")
            raw = response.raw
            length = response.headers.get("Content-Length", "")
            yield MasterFile(
                lambda size: raw.read(size, decode_content=True),
                raw.tell,
                int(length) if length.isascii() and length.isdigit() else None,
                _ignore,
            )
    except requests.RequestException as error:
        # The message of requests contains the address, and with it perhaps a password.
        raise ScripMasterError(f"{host} does not answer ({_cause(error)}).") from None


def read_master(file: MasterFile, on_row: Callable[[], object] = lambda: None) -> MasterContent:
    """Read a list, calling `on_row` for each row; raise ScripMasterError.

    Rows that are neither shares nor our indices are skipped. Unusable rows are counted.
    """
    content = MasterContent()
    series: dict[str, int] = {}
    try:
        for row in ijson.items(file, "item", buf_size=CHUNK_BYTES):
            content.rows += 1
            on_row()
            _add_row(row, content, series)
    except (ijson.JSONError, UnicodeDecodeError):
        # Only the JSON shows a truncated download: the array is not closed.
        raise ScripMasterError(
            f"The list is cut off or damaged after row {content.rows:,}. Download it again."
        ) from None
    if not content.instruments:
        raise ScripMasterError(
            f"This is not a scrip master: a JSON array of instruments was expected, but none of "
            f"{content.rows:,} rows is a share."
        )
    _mark_underlyings(content)
    return content


def _mark_underlyings(content: MasterContent) -> None:
    """Note for each share whether it has derivatives, unless the list has no derivatives at all."""
    if content.underlyings:
        content.instruments = {
            symbol: each
            if each.is_index
            else replace(each, has_derivatives=each.ticker in content.underlyings)
            for symbol, each in content.instruments.items()
        }


def _add_row(row: Any, content: MasterContent, series: dict[str, int]) -> None:
    """Add the instrument of a row; of a share in several series, keep the best one."""
    try:
        if not isinstance(row, dict):
            raise TypeError(row)
        if row["exch_seg"] in _DERIVATIVES and row["instrumenttype"] in _OF_SHARES:
            content.underlyings.add(row["name"].strip().upper())
        result = _read_row(row)
    except (KeyError, ValueError, TypeError, AttributeError):
        content.unusable += 1
        return
    if result is None:
        return
    rank, instrument = result
    symbol = instrument.symbol
    # Nearly all shares are in the first series, so only other ranks are stored.
    if symbol not in content.instruments or rank < series.get(symbol, 0):
        content.instruments[symbol] = instrument
        series.pop(symbol, None)
        if rank:
            series[symbol] = rank


def _read_row(row: dict[str, Any]) -> tuple[int, Instrument] | None:
    """Return an instrument and the rank of its series; None for other kinds of instruments.

    Raises KeyError, ValueError, TypeError or AttributeError if the row is unusable.
    """
    exchange = row["exch_seg"]
    if exchange not in SUFFIXES:
        return None
    kind = row["instrumenttype"]
    if kind == _INDEX:
        symbol = _INDICES.get((exchange, row["name"]))
        return (0, _instrument(row, symbol, exchange)) if symbol else None
    if kind not in ("", "EQ") or any(name in row["symbol"] for name in _TEST):
        return None
    share = _nse_ticker(row) if exchange == NSE else _bse_ticker(row)
    if share is None:
        return None
    rank, ticker = share
    if not _TICKER.fullmatch(ticker):
        raise ValueError(ticker)
    return rank, _instrument(row, f"{ticker}{SUFFIXES[exchange]}", exchange)


def _nse_ticker(row: dict[str, Any]) -> tuple[int, str] | None:
    ticker, _, series = row["symbol"].strip().upper().rpartition("-")
    # Indices have a second row without a series.
    return (SHARE_SERIES.index(series), ticker) if series in SHARE_SERIES and ticker else None


def _bse_ticker(row: dict[str, Any]) -> tuple[int, str] | None:
    ticker = row["symbol"].strip().upper().rstrip("*$#")
    if (BSE, ticker) in _INDICES or _NO_SHARE.fullmatch(row["token"]):
        return None
    return 0, ticker


def _instrument(row: dict[str, Any], symbol: str, exchange: str) -> Instrument:
    token = row["token"]
    if not _TOKEN.fullmatch(token):
        raise ValueError(token)
    name = row["name"].strip()
    return Instrument(
        symbol=symbol,
        name=name if name and name.isprintable() and len(name) <= 100 else symbol,
        exchange=NSE if exchange == NSE else BSE,
        tick_size=_tick_size(row["tick_size"]),
        lot_size=_lot_size(row["lotsize"]),
        angel_token=token,
        freeze_quantity=_freeze_quantity(str(row.get("freeze_qty", ""))),
    )


@lru_cache(maxsize=1_000)
def _tick_size(paise: str) -> Decimal:
    """Return a tick size in rupees; a paisa if the listed one is impossible."""
    try:
        tick = Decimal(paise) / 100
        usable = PAISA <= tick <= _MAX_TICK and is_whole_paise(tick)
    except InvalidOperation:
        usable = False
    return tick.quantize(PAISA) if usable else _UNKNOWN_TICK


@lru_cache(maxsize=1_000)
def _lot_size(text: str) -> int:
    try:
        lot = int(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return 1
    return lot if 1 <= lot <= _MAX_LOT else 1


@lru_cache(maxsize=1_000)
def _freeze_quantity(text: str) -> int | None:
    """Return the most of one order; None for an empty or impossible one, such as 0 or -1."""
    try:
        quantity = int(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return quantity if quantity >= 1 else None


def _cause(error: BaseException) -> str:
    """Return the kind of failure, without its message."""
    return "it took too long" if isinstance(error, _TIMEOUTS) else type(error).__name__


def _ignore(_: int) -> None:
    pass


_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
