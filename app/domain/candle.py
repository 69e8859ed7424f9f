"""Candles: the open, high, low and close of a span of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from itertools import groupby

from app.domain.money import is_price
from app.domain.quote import Quote, Source


class Interval(StrEnum):
    """The length of a candle."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]


_LENGTHS = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.QUARTER_HOUR: timedelta(minutes=15),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
}

# Indian Standard Time has had no other offset since 1945.
IST = timezone(timedelta(hours=5, minutes=30), "IST")
_MIDNIGHT = datetime(1970, 1, 1, tzinfo=IST)
# Indian exchanges have no electronic prices from before 1990. Both bounds are far from overflow.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def beginning_of(time: datetime, interval: Interval) -> datetime:
    """Return when the candle that contains `time` begins, UTC.

    Candles are aligned to midnight in India: days begin there, hours at a whole hour of IST.
    """
    return (time - (time - _MIDNIGHT) % interval.length).astimezone(UTC)


def first_beginning_from(time: datetime, interval: Interval) -> datetime:
    """Return the beginning of the first candle that begins at `time` or later, UTC."""
    beginning = beginning_of(time, interval)
    return beginning if beginning == time else beginning + interval.length


@dataclass(frozen=True, slots=True)
class Candle:
    """The first, highest, lowest and last price (rupees) of a span.

    `time` is the beginning of the span; if `of` made the candle, the time of its first tick.
    """

    symbol: str
    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    source: Source
    # Whether its open is the first price of its symbol in a session of the exchange.
    opens_session: bool = field(default=False, compare=False)
    # Whether its prices are those of the closing auction.
    in_auction: bool = field(default=False, compare=False)
    # The units traded in it, None if unknown.
    volume: int | None = None

    @property
    def opening(self) -> Quote:
        """The open as a quote. An auction has one price, which is the close of its candle."""
        if self.in_auction:
            return replace(self.quote_at(self.close), in_auction=True)
        return replace(self.quote_at(self.open), opens_session=self.opens_session)

    @property
    def closing(self) -> Quote:
        """The close of a candle of a minute as a quote, at its end."""
        return replace(self.quote_at(self.close), timestamp=self.time + Interval.MINUTE.length)

    @property
    def is_sound(self) -> bool:
        """Whether all four are valid prices, and high and low are their extremes."""
        return (
            all(map(is_price, (self.open, self.high, self.low, self.close)))
            and self.high >= max(self.open, self.close)
            and self.low <= min(self.open, self.close)
        )

    @classmethod
    def of(cls, ticks: Sequence[Quote]) -> Candle:
        """Return the candle of one symbol's ticks, which are in order."""
        prices = [tick.price for tick in ticks]
        return cls(
            symbol=ticks[0].symbol,
            time=ticks[0].timestamp,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            source=ticks[0].source,
        )

    def quote_at(self, price: Decimal) -> Quote:
        """Return a price of the candle as a quote at its time."""
        return Quote(self.symbol, price, self.source, self.time)


def sound_candles(candles: Iterable[Candle]) -> list[Candle]:
    """Return the candles that are sound."""
    return [candle for candle in candles if candle.is_sound]


def aggregate(candles: Iterable[Candle], interval: Interval) -> list[Candle]:
    """Return candles of `interval`, made of shorter ones of one symbol, which are in order."""
    spans = groupby(candles, key=lambda candle: beginning_of(candle.time, interval))
    return [_joined(beginning, list(parts)) for beginning, parts in spans]


def _joined(beginning: datetime, parts: Sequence[Candle]) -> Candle:
    return Candle(
        symbol=parts[0].symbol,
        time=beginning,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        source=parts[0].source,
        volume=_total(part.volume for part in parts),
    )


def _total(volumes: Iterable[int | None]) -> int | None:
    known = [volume for volume in volumes if volume is not None]
    return sum(known) if known else None
