"""Angel One as a source of prices: quotes of 50 instruments per request, and candles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from time import monotonic

from app.clock import Clock
from app.domain.candle import IST, Candle, Interval
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import DEFAULT_INDICES, Instrument, load_instruments
from app.market_data.providers.angel_one.responses import AngelFailure
from app.market_data.providers.angel_one.rows import read_candle, read_quote
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.base import (
    NO_DEADLINE,
    HistoryRefused,
    SourceUnavailable,
)
from config import Settings

EXCHANGES = frozenset({"NSE", "BSE"})
# The vendor's names, and the maximum span of one request:
# https://smartapi.angelbroking.com/docs/Historical
SPANS = {
    Interval.MINUTE: ("ONE_MINUTE", timedelta(days=30)),
    Interval.FIVE_MINUTES: ("FIVE_MINUTE", timedelta(days=100)),
    Interval.QUARTER_HOUR: ("FIFTEEN_MINUTE", timedelta(days=200)),
    Interval.HOUR: ("ONE_HOUR", timedelta(days=400)),
    Interval.DAY: ("ONE_DAY", timedelta(days=2000)),
}
MAX_CANDLE_REQUESTS = 30
MINUTE = timedelta(minutes=1)
REQUEST_TIME = "%Y-%m-%d %H:%M"


class AngelOneSource:
    """The REST side of SmartAPI. See `PriceSource` for its methods."""

    source = Source.ANGEL_ONE
    batch_size = 50

    def __init__(
        self, settings: Settings, clock: Clock, *, session: AngelSession | None = None
    ) -> None:
        """Use `session`, which a stream may share, or create one."""
        self.session = session or AngelSession(settings, clock)
        self._clock = clock

    def knows(self, instrument: Instrument) -> bool:
        return bool(instrument.angel_token) and instrument.exchange in EXCHANGES

    def fetch(
        self, instruments: Sequence[Instrument], *, deadline: float = NO_DEADLINE
    ) -> list[Quote]:
        known = [instrument for instrument in instruments if self.knows(instrument)]
        quotes: list[Quote] = []
        for start in range(0, len(known), self.batch_size):
            _check_deadline(deadline)
            quotes += self._fetch_batch(known[start : start + self.batch_size])
        return quotes

    def candles(
        self,
        instrument: Instrument,
        interval: Interval,
        since: datetime,
        until: datetime,
        *,
        deadline: float = NO_DEADLINE,
    ) -> list[Candle]:
        candles: dict[datetime, Candle] = {}
        for start, end in _spans(interval, since, min(until, self._clock.now())):
            _check_deadline(deadline)
            for candle in self._candles_of_span(instrument, interval, start, end):
                if since <= candle.time < until:
                    candles[candle.time] = candle
        return [candles[time] for time in sorted(candles)]

    def verify(self) -> str:
        index = load_instruments().get(DEFAULT_INDICES[0])
        quotes = self.fetch([index])
        if not quotes:
            raise SourceUnavailable(
                f"signed in, but Angel One has no price of {index.name}; the API key must be "
                "of an app for trading or market feeds (My Apps at smartapi.angelone.in)"
            )
        return f"signed in; {index.name} at {quotes[0].price}"

    def _fetch_batch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        requested = {
            (instrument.exchange, instrument.angel_token): instrument for instrument in instruments
        }
        tokens: dict[str, list[str]] = defaultdict(list)
        for exchange, token in requested:
            tokens[exchange].append(token)
        response = self.session.call(lambda client: client.getMarketData("FULL", dict(tokens)))
        data = response.get("data")
        rows = data.get("fetched") if isinstance(data, dict) else None
        if not isinstance(rows, list):
            raise SourceUnavailable("Angel One answered a request for quotes without quotes")
        quotes, now = {}, self._clock.now()
        for row in rows:
            if isinstance(row, dict):
                instrument = requested.get((str(row.get("exchange")), str(row.get("symbolToken"))))
                if instrument and (quote := read_quote(instrument.symbol, row, now)):
                    quotes[quote.symbol] = quote
        return list(quotes.values())

    def _candles_of_span(
        self, instrument: Instrument, interval: Interval, start: datetime, end: datetime
    ) -> Iterator[Candle]:
        parameters = {
            "exchange": instrument.exchange,
            "symboltoken": instrument.angel_token,
            "interval": SPANS[interval][0],
            "fromdate": start.strftime(REQUEST_TIME),
            # The vendor includes the minute of the end.
            "todate": (end - MINUTE).strftime(REQUEST_TIME),
        }
        try:
            response = self.session.call(lambda client: client.getCandleData(parameters))
        except AngelFailure as failure:
            if failure.is_refusal:
                raise HistoryRefused(str(failure)) from None
            raise
        # Null means no candles.
        rows = response.get("data") or []
        if not isinstance(rows, list):
            raise SourceUnavailable("Angel One answered a request for candles without candles")
        for row in rows:
            if candle := read_candle(instrument.symbol, row):
                yield candle


def _check_deadline(deadline: float) -> None:
    if monotonic() >= deadline:
        raise SourceUnavailable("Angel One took too long for the previous requests")


def _spans(interval: Interval, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Split a span into spans of whole minutes that the vendor accepts, in IST."""
    longest = SPANS[interval][1]
    if until - since > MAX_CANDLE_REQUESTS * longest:
        raise SourceUnavailable(
            f"Angel One gives at most {(MAX_CANDLE_REQUESTS * longest).days} days of "
            f"{interval.value} candles at a time"
        )
    start = since.astimezone(IST).replace(second=0, microsecond=0)
    if interval is Interval.DAY:
        # The time of a day's candle is midnight.
        start = start.replace(hour=0, minute=0)
    spans = []
    while start < until:
        end = min(start + longest, _next_minute(until.astimezone(IST)))
        spans.append((start, end))
        start = end
    return spans


def _next_minute(time: datetime) -> datetime:
    minute = time.replace(second=0, microsecond=0)
    return minute if minute == time else minute + MINUTE
