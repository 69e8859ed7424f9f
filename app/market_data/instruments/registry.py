"""What can be traded, and the names people give it.

The three indices and the NIFTY 50 shares ship with the application. A sync (`flask --app run
instruments sync`) adds every other share of both exchanges. All of it is held in memory; a
running server looks now and then whether there is a newer list.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from math import inf
from typing import Protocol
from urllib.parse import unquote

from app.clock import Clock, SystemClock
from app.domain.errors import InvalidRequest, NotFound
from app.domain.instrument import Instrument
from app.domain.suggestions import listed

__all__ = ["DEFAULT_INDICES", "Instrument", "Instruments", "Listing", "load_instruments"]

DEFAULT_INDICES = ("^NSEI", "^BSESN")

# The names of indices: the exchanges' own, those of their vendors, and what people write.
_ALIASES = {
    "NIFTY": "^NSEI",
    "NIFTY 50": "^NSEI",
    "NIFTY50": "^NSEI",
    ".NSEI": "^NSEI",
    "NSEI": "^NSEI",
    "SENSEX": "^BSESN",
    "BSE SENSEX": "^BSESN",
    "S&P BSE SENSEX": "^BSESN",
    ".BSESN": "^BSESN",
    "BSESN": "^BSESN",
    "BANKNIFTY": "^NSEBANK",
    "NIFTY BANK": "^NSEBANK",
    ".NSEBANK": "^NSEBANK",
    "NSEBANK": "^NSEBANK",
}

_ALIASES_OF = {
    symbol: [alias for alias, other in _ALIASES.items() if other == symbol]
    for symbol in _ALIASES.values()
}

# Between the words of an index's name people write any of these, or nothing.
_SEPARATORS = str.maketrans("", "", " \N{NO-BREAK SPACE}-_&+")
_COMPACT_ALIASES = {alias.translate(_SEPARATORS): symbol for alias, symbol in _ALIASES.items()}
# A name may have been encoded again, by each of two layers of a client.
MAX_DECODINGS = 3

# So often, at most, is a newer list looked for: by whoever keeps house, and, where a name is
# not known or searched for, by the one who asks.
REFRESH_SECONDS = 60.0
MISS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that was loaded; `version` tells it from every other."""

    version: object
    instruments: list[Instrument]


class ListingSource(Protocol):
    """Where the list of the last sync is kept."""

    def load(self, known: object) -> Listing | None:
        """Return the current list; None where it is the `known` one, or cannot be had now."""


class _Book:
    """The instruments of one moment. It is replaced as a whole, never changed."""

    __slots__ = ("by_symbol", "entries")

    def __init__(self, by_symbol: dict[str, Instrument]) -> None:
        self.by_symbol = by_symbol
        # What is listed, each with the text that a search looks into.
        self.entries = [(each, _words(each)) for each in by_symbol.values() if each.is_listed]

    def holding(self, text: str) -> list[tuple[Instrument, str]]:
        """Return the entries that hold a text in capitals anywhere."""
        if "." in text:
            # Only a whole symbol, or an alias, has one; "ns" alone would find every NSE share.
            return [each for each in self.entries if text in each[1] or text in each[0].symbol]
        return [each for each in self.entries if text in each[1]]


class Instruments:
    """The instruments by symbol, with the other names people give them."""

    def __init__(
        self,
        shipped: Iterable[Instrument],
        source: ListingSource | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Know the `shipped` instruments and those of the `source`, if there is one."""
        self._shipped = tuple(shipped)
        self._source = source
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._checked_at = -inf
        self._version: object = None
        self._book = _Book({each.symbol: each for each in self._shipped})
        self.refresh()
        # Whoever asks for an unknown name right now looks again: a start is no such question.
        self._checked_at = -inf

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._book.by_symbol.values())

    def __len__(self) -> int:
        return len(self._book.by_symbol)

    def refresh(self, every: float = REFRESH_SECONDS) -> None:
        """Take up a newer list, if there is one and nobody looked within `every` seconds."""
        if self._source is None or not self._is_due(every):
            return
        # Whoever comes meanwhile waits for the answer rather than ask as well.
        with self._lock:
            if self._is_due(every):
                self._checked_at = self._clock.monotonic()
                listing = self._source.load(self._version)
                if listing is not None:
                    self._version = listing.version
                    self._book = _Book(merge(self._shipped, listing.instruments))

    def by_symbol(self, symbol: str) -> Instrument | None:
        """Return the instrument of a canonical symbol, or None. Asks nobody."""
        return self._book.by_symbol.get(symbol)

    def find(self, name: str) -> Instrument | None:
        """Return the instrument of a symbol or alias in any case, or None.

        A name without an exchange is the share on NSE, and the one on BSE where NSE has none.
        """
        found = self._look_up(name)
        if found is None:
            self.refresh(MISS_SECONDS)
            found = self._look_up(name)
        return found

    def get(self, name: str) -> Instrument:
        """Return the instrument of a symbol or alias; raise NotFound for any other name."""
        instrument = self.find(name)
        if instrument is None:
            alike = [each.symbol for each in self.search(name[:40], 3)] if name.strip() else []
            question = f" Did you mean {listed(alike)}?" if alike else ""
            raise NotFound(
                f"There is no symbol {name[:40]!r}.{question} GET /market/symbols lists them all.",
                code="unknown_symbol",
            )
        return instrument

    def get_ordered(self, name: str) -> Instrument:
        """Return the instrument that an order or a filter names; InvalidRequest for none."""
        try:
            return self.get(name)
        except NotFound as error:
            raise InvalidRequest(
                error.message, code=error.code, details={"symbol": "is not a known symbol"}
            ) from None

    def get_tradable(self, name: str) -> Instrument:
        """Return the instrument that a new trade or alert names.

        Raises InvalidRequest for none, and for one that its exchange no longer lists.
        """
        instrument = self.get_ordered(name)
        if not instrument.is_listed:
            raise InvalidRequest(
                f"{instrument.symbol} is no longer listed: it takes no new trades or alerts.",
                code="unlisted_symbol",
                details={"symbol": "is no longer listed"},
            )
        return instrument

    def search(self, text: str, limit: int | None = None) -> list[Instrument]:
        """Return the listed instruments that `text` finds, best first; all of them for ''.

        What is called exactly so comes first, then symbols that begin so, then names with a
        word that begins so, then those that hold it anywhere.
        """
        self.refresh(MISS_SECONDS)
        wanted = _spelled(text)
        if not wanted:
            return [instrument for instrument, _ in self._book.entries[:limit]]
        exact = self._look_up(text)
        begins, is_whole = f" {wanted}", f" {wanted} "
        exactly: list[Instrument] = []
        symbols: list[Instrument] = []
        names: list[Instrument] = []
        anywhere: list[Instrument] = []
        for instrument, words in self._book.holding(wanted):
            if instrument is exact or words.startswith(is_whole):
                exactly.append(instrument)
            elif words.startswith(begins) or instrument.symbol.startswith(wanted):
                symbols.append(instrument)
            elif begins in words:
                names.append(instrument)
            else:
                anywhere.append(instrument)
        return [*exactly, *symbols, *names, *anywhere][:limit]

    def _look_up(self, name: str) -> Instrument | None:
        symbol = _spelled(name)
        known = self._book.by_symbol
        symbol = _ALIASES.get(symbol, symbol)
        found = known.get(symbol) or known.get(f"{symbol}.NS") or known.get(f"{symbol}.BO")
        # Last, so that no share's name is read as an index's.
        return found or known.get(_COMPACT_ALIASES.get(symbol.translate(_SEPARATORS), ""))

    def _is_due(self, every: float) -> bool:
        return self._clock.monotonic() - self._checked_at >= every


def _spelled(name: str) -> str:
    """Return a name in capitals and decoded, however often it was percent-encoded."""
    for _ in range(MAX_DECODINGS):
        if "%" not in name:
            break
        name = unquote(name)
    return name.strip().upper()


def _words(instrument: Instrument) -> str:
    """Return ticker, name and aliases in capitals, a space before and after each."""
    aliases = " ".join(_ALIASES_OF.get(instrument.symbol, ()))
    return f" {instrument.ticker} {instrument.name.upper()} {aliases} "


def merge(shipped: Iterable[Instrument], listed: Iterable[Instrument]) -> dict[str, Instrument]:
    """Return all of them by symbol: what is shipped stays, set right by the list."""
    merged = {each.symbol: each for each in shipped}
    for each in listed:
        known = merged.get(each.symbol)
        merged[each.symbol] = each if known is None else _corrected(known, each)
    return merged


def _corrected(shipped: Instrument, listed: Instrument) -> Instrument:
    # Its names are tickers and its indices have no tick size: these stay as they were shipped.
    corrected = replace(shipped, angel_token=listed.angel_token)
    if shipped.is_index:
        return corrected
    return replace(corrected, tick_size=listed.tick_size, lot_size=listed.lot_size)


def load_instruments(
    source: ListingSource | None = None, clock: Clock | None = None
) -> Instruments:
    """Return the instruments that ship with the application, and those of the `source`."""
    return Instruments(shipped_instruments(), source, clock)


@cache
def shipped_instruments() -> tuple[Instrument, ...]:
    """Read the data file that ships with the application."""
    text = files("app.market_data").joinpath("data/instruments.csv").read_text(encoding="utf-8")
    return tuple(
        Instrument(
            symbol=row["symbol"],
            name=row["name"],
            exchange=row["exchange"],
            tick_size=Decimal(row["tick_size"]),
            lot_size=int(row["lot_size"]),
            angel_token=row["angel_token"],
            base_price=Decimal(row["base_price"]),
        )
        for row in csv.DictReader(text.splitlines())
    )
