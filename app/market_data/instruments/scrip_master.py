"""Angel One's scrip master: the list of everything it can trade, some 150,000 rows.

It is read as it comes, a row at a time; what is kept are the shares of both exchanges and the
tokens of our indices. Not kept are derivatives, currencies, commodities, bonds and other indices.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
# Between two pieces of the download, and for all of it.
READ_SECONDS = 30
DOWNLOAD_SECONDS = 600
PIECE_BYTES = 64 * 1024
# Unpacked. The list of November 2026 has about 40 MB.
MAX_BYTES = 400 * 1024 * 1024

# The series of shares on NSE, the one to take first where a share is in several: rolling
# settlement, trade for trade (BE, BZ), small companies (SM; ST and SZ trade for trade), partly
# paid (E1; X1 trade for trade). https://www.nseindia.com/market-data/legend-of-series
SHARE_SERIES = ("EQ", "BE", "BZ", "SM", "ST", "SZ", "E1", "X1")
# BSE's codes are of six digits; those that begin so are preference shares and rights (7),
# government securities (8) and bonds (9). 890 are partly paid shares.
_NO_SHARE = re.compile(r"(7|8(?!90)|9)\d{5}")
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9&_-]{0,29}")
_TOKEN = re.compile(r"[0-9]{1,12}")
# Exchanges list these to try their systems out.
_TRIAL = ("NSETEST", "BSETEST")
_INDEX = "AMXIDX"
_INDICES = {
    (NSE, "NIFTY"): "^NSEI",
    (NSE, "BANKNIFTY"): "^NSEBANK",
    (BSE, "SENSEX"): "^BSESN",
}
# Where the list has no tick size that a share could have, as it has none for indices.
_USUAL_TICK = Decimal("0.05")
_MAX_TICK = Decimal(100)
_MAX_LOT = 10_000_000


class ScripMasterError(Exception):
    """The list cannot be had or read; the message says why, and holds no address or secret."""


class MasterFile:
    """The list as bytes that come piece by piece; `size` is their number, where it is known."""

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
        self._unpacked = 0
        self._deadline = time.monotonic() + DOWNLOAD_SECONDS
        self.on_progress = on_progress

    def read(self, size: int = -1) -> bytes:
        """Return the next piece; report how far it is. Raises ScripMasterError."""
        if time.monotonic() > self._deadline:
            raise ScripMasterError(f"The list did not arrive within {DOWNLOAD_SECONDS} s.")
        try:
            piece = self._read(PIECE_BYTES if size < 0 else size)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ScripMasterError(f"The list broke off ({_cause(error)}).") from None
        self._unpacked += len(piece)
        if self._unpacked > MAX_BYTES:
            raise ScripMasterError(f"The list is longer than {MAX_BYTES} bytes.")
        position = self._position()
        self.on_progress(position - self._reported)
        self._reported = position
        return piece


@dataclass(slots=True)
class MasterContent:
    """What a list holds for us: shares and indices by symbol, and what could not be used."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    rows: int = 0
    unusable: int = 0

    @property
    def shares(self) -> int:
        return sum(not each.is_index for each in self.instruments.values())


@contextmanager
def open_file(path: Path) -> Iterator[MasterFile]:
    """Open a list that was downloaded before; raise ScripMasterError where it cannot be read."""
    try:
        with path.open("rb") as file:
            yield MasterFile(file.read, file.tell, path.stat().st_size, _ignore)
    except OSError as error:
        raise ScripMasterError(f"{path} cannot be read: {error.strerror}.") from None


@contextmanager
def download(url: str, *, read_seconds: float = READ_SECONDS) -> Iterator[MasterFile]:
    """Ask for the list; raise ScripMasterError where it does not come."""
    host = urlsplit(url).hostname
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, read_seconds)) as answer:
            if answer.status_code != requests.codes.ok:
                raise ScripMasterError(f"{host} answered {answer.status_code} and no list.")
            raw = answer.raw
            length = answer.headers.get("Content-Length", "")
            yield MasterFile(
                lambda size: raw.read(size, decode_content=True),
                raw.tell,
                int(length) if length.isascii() and length.isdigit() else None,
                _ignore,
            )
    except requests.RequestException as error:
        # Its own words hold the address, which may hold a password.
        raise ScripMasterError(f"{host} does not answer ({_cause(error)}).") from None


def read_master(file: MasterFile, on_row: Callable[[], object] = lambda: None) -> MasterContent:
    """Read a list to its end, calling `on_row` for each row; raise ScripMasterError.

    A row that is no share, nor one of our indices, is passed over. One that is but cannot be
    used is counted.
    """
    content = MasterContent()
    series: dict[str, int] = {}
    try:
        for row in ijson.items(file, "item", buf_size=PIECE_BYTES):
            content.rows += 1
            on_row()
            _take_in(row, content, series)
    except (ijson.JSONError, UnicodeDecodeError):
        # It is told by JSON alone: a list that ends too early is not closed.
        raise ScripMasterError(
            f"The list is cut off or damaged after row {content.rows:,}. Download it again."
        ) from None
    if not content.instruments:
        raise ScripMasterError(
            f"This is no scrip master: a JSON array of instruments was expected, and in "
            f"{content.rows:,} rows there is no share."
        )
    return content


def _take_in(row: Any, content: MasterContent, series: dict[str, int]) -> None:
    """Add what a row holds; of a share in several series, keep that of the first series."""
    try:
        if not isinstance(row, dict):
            raise TypeError(row)
        found = _read_row(row)
    except (KeyError, ValueError, TypeError, AttributeError):
        content.unusable += 1
        return
    if found is None:
        return
    rank, instrument = found
    symbol = instrument.symbol
    # Almost all are of the first series, and only the others are noted.
    if symbol not in content.instruments or rank < series.get(symbol, 0):
        content.instruments[symbol] = instrument
        series.pop(symbol, None)
        if rank:
            series[symbol] = rank


def _read_row(row: dict[str, Any]) -> tuple[int, Instrument] | None:
    """Return an instrument and the rank of its series; None for what is none of ours.

    Raises KeyError, ValueError, TypeError or AttributeError where it cannot be used.
    """
    exchange = row["exch_seg"]
    if exchange not in SUFFIXES:
        return None
    kind = row["instrumenttype"]
    if kind == _INDEX:
        symbol = _INDICES.get((exchange, row["name"]))
        return (0, _instrument(row, symbol, exchange)) if symbol else None
    if kind not in ("", "EQ") or any(trial in row["symbol"] for trial in _TRIAL):
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
    # An index has a second row, without a series.
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
    )


@lru_cache(maxsize=1_000)
def _tick_size(paise: str) -> Decimal:
    """Return a tick in rupees; the usual one where the list has none that can be."""
    try:
        tick = Decimal(paise) / 100
        usable = PAISA <= tick <= _MAX_TICK and is_whole_paise(tick)
    except InvalidOperation:
        usable = False
    return tick.quantize(PAISA) if usable else _USUAL_TICK


@lru_cache(maxsize=1_000)
def _lot_size(text: str) -> int:
    try:
        lot = int(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return 1
    return lot if 1 <= lot <= _MAX_LOT else 1


def _cause(error: BaseException) -> str:
    """Return what kind of failure it was, without the words of it."""
    return "it took too long" if isinstance(error, _TIMEOUTS) else type(error).__name__


def _ignore(_: int) -> None:
    pass


_TIMEOUTS = (
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
    TimeoutError,
)
