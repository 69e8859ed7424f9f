"""The ticks of Angel One's stream: their binary form, and which of them are new.

A tick begins with 51 bytes, little-endian: mode B, exchange B, token 25 bytes ending at the
first NUL, sequence number q, exchange time in milliseconds q, last traded price in paise q.
Source: SmartApi/smartWebSocketV2.py of smartapi-python 1.5.5.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from app.clock import Clock
from app.domain.quote import Quote, QuoteDetails, Source
from app.market_data.providers.angel_one.snap_quote import read_snap_quote

EXCHANGE_TYPES = {"NSE": 1, "BSE": 3}
# The stream's identity of an instrument: exchange type and token.
Key = tuple[int, str]

_HEAD = struct.Struct("<BB25sqqq")
# LTP, quote and snap quote. The fourth mode, depth, begins with the same bytes but has no price.
_PRICED_MODES = frozenset({1, 2, 3})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# An unsynchronized clock drifts by minutes. A time further ahead is invalid.
_MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)


class TickError(StrEnum):
    """Why a tick is dropped."""

    MALFORMED = "malformed"
    UNKNOWN = "of an instrument never subscribed"
    NOT_A_PRICE = "without a price"
    NOT_A_TIME = "with an impossible time"
    REPEATED = "repeated"
    UNSUBSCRIBED = "of an unsubscribed instrument"


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick as received. `time` is milliseconds since 1970 UTC, `price` is paise."""

    exchange_type: int
    token: str
    sequence: int
    time: int
    price: int

    @property
    def key(self) -> Key:
        return self.exchange_type, self.token


def decode_tick(frame: bytes) -> Tick | None:
    """Return the tick in a binary message, None if there is none."""
    if len(frame) < _HEAD.size:
        return None
    mode, exchange_type, name, sequence, time, price = _HEAD.unpack_from(frame)
    token = name.partition(b"\0")[0]
    if mode not in _PRICED_MODES or not token.isalnum():
        return None
    return Tick(exchange_type, token.decode("ascii"), sequence, time, price)


class TickReader:
    """Converts the ticks of one connection to quotes, and drops invalid and repeated ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[Key, Tick] = {}
        self._unsubscribed: set[Key] = set()
        self.dropped: Counter[TickError] = Counter()
        # Instruments with at least one valid tick, new or repeated, on this connection.
        self.seen: set[Key] = set()

    def read(self, frames: Iterable[bytes], symbols: Mapping[Key, str]) -> list[Quote]:
        """Return the quotes in binary messages, in order; `symbols` are the subscribed ones."""
        latest = (self._clock.now() + _MAX_CLOCK_DIFFERENCE - _EPOCH) // _MILLISECOND
        quotes = []
        for frame in frames:
            tick = decode_tick(frame)
            error = self._check(tick, symbols, latest)
            if tick is None or error:
                self.dropped[error or TickError.MALFORMED] += 1
                continue
            self._last[tick.key] = tick
            symbol = symbols[tick.key]
            quotes.append(_quote(tick, symbol, read_snap_quote(frame, symbol)))
        return quotes

    def reset(self) -> None:
        """Begin with a new connection, on which no tick has arrived yet."""
        self.seen.clear()
        self._unsubscribed.clear()

    def forget(self, keys: Collection[Key]) -> None:
        """Forget instruments that are unsubscribed."""
        self._unsubscribed.update(keys)
        self.seen.difference_update(keys)
        for key in keys:
            self._last.pop(key, None)

    def _check(
        self, tick: Tick | None, symbols: Mapping[Key, str], latest: int
    ) -> TickError | None:
        if tick is None:
            return TickError.MALFORMED
        if tick.key not in symbols:
            return TickError.UNSUBSCRIBED if tick.key in self._unsubscribed else TickError.UNKNOWN
        if tick.price <= 0:
            return TickError.NOT_A_PRICE
        if not 0 < tick.time <= latest:
            return TickError.NOT_A_TIME
        self.seen.add(tick.key)
        return None if _is_new(tick, self._last.get(tick.key)) else TickError.REPEATED


def _is_new(tick: Tick, last: Tick | None) -> bool:
    """Return whether a tick is newer than the last one of its instrument.

    Either its sequence number or its time is higher: another server may count from the start.
    Without sequence numbers, another price at the same time is new as well.
    """
    if last is None or tick.sequence > last.sequence or tick.time > last.time:
        return True
    return tick.sequence == last.sequence == 0 and (
        tick.time == last.time and tick.price != last.price
    )


def _quote(tick: Tick, symbol: str, details: QuoteDetails) -> Quote:
    price = Decimal(tick.price).scaleb(-2)
    time = _EPOCH + tick.time * _MILLISECOND
    return Quote(symbol, price, Source.ANGEL_ONE, time, details=details)
