"""Quotes: the price of a symbol from one source at one time."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from app.domain.money import to_paisa


class Source(StrEnum):
    """The source of a price. `replay` is a recording, `mock` the simulated market."""

    ANGEL_ONE = "angel_one"
    YAHOO = "yahoo"
    REPLAY = "replay"
    MOCK = "mock"

    @property
    def is_real(self) -> bool:
        """Whether the price comes from an exchange rather than from this program."""
        return self in REAL_SOURCES

    @property
    def is_delayed(self) -> bool:
        """Whether its prices may lag minutes behind the exchange."""
        return self in DELAYED_SOURCES


REAL_SOURCES = frozenset({Source.ANGEL_ONE, Source.YAHOO})
DELAYED_SOURCES = frozenset({Source.YAHOO})
MAX_DELAY = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Posting:
    """The place of a quote in the order of its quote board, of which each process has one."""

    board: str
    number: int


@dataclass(frozen=True, slots=True)
class QuoteDetails:
    """What a source says of a symbol beside its last price; None if it does not say.

    All but `volume`, in units, are rupees in whole paise. `open`, `high`, `low` and `volume` are
    of the trading day, `previous_close` of the day before. No price of the day is outside the
    bands.
    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    previous_close: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: int | None = None
    lower_band: Decimal | None = None
    upper_band: Decimal | None = None


NO_DETAILS = QuoteDetails()
_SOURCE_DETAILS = tuple(detail.name for detail in fields(QuoteDetails))
_read_details = attrgetter(*_SOURCE_DETAILS)
# The names of everything that may be unknown of a quote.
DETAILS = ("change", "change_pct", *_SOURCE_DETAILS)


@dataclass(frozen=True, slots=True)
class Quote:
    """One price. `price` is rupees in whole paise; `timestamp` is the source's time, UTC."""

    symbol: str
    price: Decimal
    source: Source
    timestamp: datetime
    # None for a quote that no board has posted.
    posting: Posting | None = field(default=None, compare=False)
    # Whether it is the first price of its symbol in a session of the exchange.
    opens_session: bool = field(default=False, compare=False)
    # Whether it is a price of the closing auction, in which stops do not fire.
    in_auction: bool = field(default=False, compare=False)
    details: QuoteDetails = field(default=NO_DETAILS, compare=False)
    # Whether it is recorded, and was acted on when it was.
    is_confirmed: bool = field(default=False, compare=False)

    @property
    def change(self) -> Decimal | None:
        """Rupees since the previous close."""
        previous = self.details.previous_close
        return None if previous is None else self.price - previous

    @property
    def change_pct(self) -> Decimal | None:
        """Per cent since the previous close, to two decimals."""
        previous = self.details.previous_close
        return None if previous is None else to_paisa(100 * (self.price - previous) / previous)

    def known_details(self) -> dict[str, Decimal | int]:
        """Return the details that are known, and the change since the previous close, by name."""
        if self.details is NO_DETAILS:
            return {}
        values = (self.change, self.change_pct, *_read_details(self.details))
        known = zip(DETAILS, values, strict=True)
        return {name: value for name, value in known if value is not None}

    def age(self, now: datetime) -> timedelta:
        """Return its age at `now`; zero if the clock of its source is ahead."""
        return max(now - self.timestamp, timedelta())

    def counts_for(self, began_at: Source) -> bool:
        """Return whether it may settle what began at `began_at`: mock never settles real."""
        return self.source is not Source.MOCK or not began_at.is_real

    def precedes(self, source: Source, timestamp: datetime, posting: Posting | None) -> bool:
        """Return whether it came no later than the quote with this origin.

        The order on one board is exact. Quotes of two boards are compared by the time of the
        exchange, and only if they are of one real source: simulated and recorded times start again.
        """
        if self.posting is None or posting is None:
            return False
        if self.posting.board == posting.board:
            return self.posting.number <= posting.number
        return self.source is source and source.is_real and self.timestamp < timestamp


@dataclass(frozen=True, slots=True)
class SeenQuote:
    """A quote, and when its source last sent it, UTC."""

    quote: Quote
    seen_at: datetime
