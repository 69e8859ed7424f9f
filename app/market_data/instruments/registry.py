"""The instruments that can be traded, and their names.

The three indices and the NIFTY 50 shares ship with the application. A sync (`flask --app run
instruments sync`) adds all other shares of both exchanges. The registry is in memory; a running
server checks for a newer list from time to time.
"""

from __future__ import annotations

import csv
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, cached_property
from importlib.resources import files
from itertools import chain, islice
from math import inf
from urllib.parse import unquote

from app.clock import Clock, SystemClock
from app.concurrency import run_blocking
from app.domain.errors import InvalidRequest, NotFound
from app.domain.instrument import Instrument
from app.domain.suggestions import listed
from app.market_data.instruments.companies import companies
from app.market_data.instruments.search import SearchIndex

__all__ = ["DEFAULT_INDICES", "Instrument", "Instruments", "Listing", "load_instruments"]

DEFAULT_INDICES = ("^NSEI", "^BSESN")

# Names of the indices: of the exchanges, of data vendors, and of users.
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

# Users write any of these between the words of an index name, or nothing.
_SEPARATORS = str.maketrans("", "", " \N{NO-BREAK SPACE}-_&+")
_COMPACT_ALIASES = {alias.translate(_SEPARATORS): symbol for alias, symbol in _ALIASES.items()}
# Two layers of a client may each have percent-encoded the name.
MAX_DECODINGS = 3

# Minimum seconds between checks for a newer list: in maintenance, and in requests with an unknown
# name or a search.
REFRESH_SECONDS = 60.0
MISS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Listing:
    """A loaded list; `version` identifies it."""

    version: object
    instruments: list[Instrument]


class _Snapshot:
    """The instruments of one list. It is replaced as a whole, never changed."""

    def __init__(self, by_symbol: dict[str, Instrument]) -> None:
        self.by_symbol = by_symbol
        self.listed = [each for each in by_symbol.values() if each.is_listed]

    @cached_property
    def index(self) -> SearchIndex:
        """The index of the listed instruments: the first search builds it, so no start waits."""
        return run_blocking(SearchIndex, self.listed, _ALIASES_OF)


class Instruments:
    """The instruments by symbol and by their other names."""

    def __init__(
        self,
        shipped: Iterable[Instrument],
        read_list: Callable[[object], Listing | None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Combine the `shipped` instruments with those of the list of the last sync.

        `read_list(version)` returns that list, or None if it is still `version` or unavailable.
        """
        self._shipped = tuple(shipped)
        self._read_list = read_list
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._checked_at = -inf
        self._version: object = None
        self._snapshot = _Snapshot({instrument.symbol: instrument for instrument in self._shipped})
        self.refresh()
        # The first request with an unknown name checks again, however soon after the start.
        self._checked_at = -inf

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._snapshot.by_symbol.values())

    def __len__(self) -> int:
        return len(self._snapshot.by_symbol)

    def refresh(self, every: float = REFRESH_SECONDS) -> None:
        """Load a newer list, unless there was a check within `every` seconds."""
        if self._read_list is None or not self._is_due(every):
            return
        # Concurrent callers wait for one check.
        with self._lock:
            if self._is_due(every):
                self._checked_at = self._clock.monotonic()
                listing = self._read_list(self._version)
                if listing is not None:
                    self._version = listing.version
                    self._snapshot = _Snapshot(merge(self._shipped, listing.instruments))

    def by_symbol(self, symbol: str) -> Instrument | None:
        """Return the instrument of a canonical symbol, or None. Never loads a list."""
        return self._snapshot.by_symbol.get(symbol)

    def find(self, name: str) -> Instrument | None:
        """Return the instrument of a symbol or alias in any case, or None.

        A name without an exchange means the share on NSE, or on BSE if NSE has none.
        """
        instrument = self._look_up(name)
        if instrument is None:
            self.refresh(MISS_SECONDS)
            instrument = self._look_up(name)
        return instrument

    def get(self, name: str) -> Instrument:
        """Return the instrument of a symbol or alias; raise NotFound for any other name."""
        instrument = self.find(name)
        if instrument is None:
            raise NotFound(self._suggest(name), code="unknown_symbol")
        return instrument

    def get_ordered(self, name: str) -> Instrument:
        """Return the instrument of an order or a filter; raise InvalidRequest if unknown."""
        instrument = self.find(name)
        if instrument is None:
            details = _about(name, "is not a known symbol")
            raise InvalidRequest(self._suggest(name), code="unknown_symbol", details=details)
        return instrument

    def get_tradable(self, name: str) -> Instrument:
        """Return the instrument of a new trade or alert.

        Raises InvalidRequest if it is unknown or no longer listed.
        """
        instrument = self.get_ordered(name)
        if not instrument.is_listed:
            raise InvalidRequest(
                f"{instrument.symbol} is no longer listed: it takes no new trades or alerts.",
                code="unlisted_symbol",
                details=_about(name, "is no longer listed"),
            )
        return instrument

    def search(self, text: str, limit: int | None = None) -> list[Instrument]:
        """Return the listed instruments that match `text`, best first; all of them for ''.

        The order is: the exact name, symbols that begin with the text, names that do, names in
        which its words begin a word, in any order, what contains them anywhere, and, if nothing
        begins with it, names with a typo.
        """
        self.refresh(MISS_SECONDS)
        snapshot, wanted = self._snapshot, _normalize(text)
        if not wanted:
            return snapshot.listed[:limit]
        exact = self._look_up(text)
        first = [exact] if exact and exact.is_listed else []
        others = (found for found in snapshot.index.find(wanted) if found is not exact)
        return list(islice(chain(first, others), limit))

    def _suggest(self, name: str) -> str:
        """Return the sentence about an unknown name."""
        similar = (
            [instrument.symbol for instrument in self.search(name[:40], 3)] if name.strip() else []
        )
        question = f" Did you mean {listed(similar)}?" if similar else ""
        return f"There is no symbol {name[:40]!r}.{question} GET /market/symbols lists them all."

    def _look_up(self, name: str) -> Instrument | None:
        symbol = _normalize(name)
        known = self._snapshot.by_symbol
        symbol = _ALIASES.get(symbol, symbol)
        instrument = known.get(symbol) or known.get(f"{symbol}.NS") or known.get(f"{symbol}.BO")
        # Compact aliases come last, so that no share is taken for an index.
        return instrument or known.get(_COMPACT_ALIASES.get(symbol.translate(_SEPARATORS), ""))

    def _is_due(self, every: float) -> bool:
        return self._clock.monotonic() - self._checked_at >= every


def _normalize(name: str) -> str:
    """Return a name in capitals, percent-decoded up to MAX_DECODINGS times."""
    for _ in range(MAX_DECODINGS):
        if "%" not in name:
            break
        name = unquote(name)
    return name.strip().upper()


def _about(name: str, fault: str) -> dict[str, str]:
    return {"symbol": fault, "param": "symbol", "given": name}


def merge(shipped: Iterable[Instrument], listed: Iterable[Instrument]) -> dict[str, Instrument]:
    """Return all instruments by symbol; the list corrects the shipped ones."""
    merged = {instrument.symbol: instrument for instrument in shipped}
    for instrument in listed:
        known = merged.get(instrument.symbol)
        merged[instrument.symbol] = _corrected(known, instrument) if known else instrument
    return merged


def _corrected(shipped: Instrument, listed: Instrument) -> Instrument:
    # The list has tickers for names, and no tick sizes of indices.
    corrected = replace(
        shipped, angel_token=listed.angel_token, freeze_quantity=listed.freeze_quantity
    )
    if shipped.is_index:
        return corrected
    has_derivatives = listed.has_derivatives
    if has_derivatives is None:
        has_derivatives = shipped.has_derivatives
    return replace(
        corrected,
        tick_size=listed.tick_size,
        lot_size=listed.lot_size,
        has_derivatives=has_derivatives,
    )


def load_instruments(
    read_list: Callable[[object], Listing | None] | None = None, clock: Clock | None = None
) -> Instruments:
    """Return the instruments that ship with the application and those of the last sync."""
    return Instruments(shipped_instruments(), read_list, clock)


@cache
def shipped_instruments() -> tuple[Instrument, ...]:
    """Read the shipped data files."""
    folder = files("app.market_data").joinpath("data")
    text = folder.joinpath("instruments.csv").read_text(encoding="utf-8")
    derivatives = tomllib.loads(folder.joinpath("derivatives.toml").read_text(encoding="utf-8"))
    underlyings = frozenset(derivatives["shares"])
    issuers = companies()
    return tuple(
        Instrument(
            symbol=row["symbol"],
            name=row["name"],
            exchange=row["exchange"],
            tick_size=Decimal(row["tick_size"]),
            lot_size=int(row["lot_size"]),
            angel_token=row["angel_token"],
            base_price=Decimal(row["base_price"]),
            has_derivatives=row["symbol"].rpartition(".")[0] in underlyings,
            company=issuers.get(row["symbol"].rpartition(".")[0]),
        )
        for row in csv.DictReader(text.splitlines())
    )
