"""Angel One as a source of prices: quotes of 50 instruments a request, and candles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.clock import Clock
from app.domain.candle import IST, Candle, Interval
from app.domain.money import parse_price
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import DEFAULT_INDICES, Instrument, load_instruments
from app.market_data.providers.angel_one.responses import AngelFailure
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.base import HistoryRefused, SourceUnavailable
from config import Settings

EXCHANGES = frozenset({"NSE", "BSE"})
# The vendor's names, and the most days it answers a request for:
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
EXCHANGE_TIME = "%d-%b-%Y %H:%M:%S"


class AngelOneSource:
    """SmartAPI's REST side. See `PriceSource` for what each method promises."""

    source = Source.ANGEL_ONE
    batch_size = 50

    def __init__(
        self, settings: Settings, clock: Clock, *, session: AngelSession | None = None
    ) -> None:
        """Ask over `session`, which a stream may share, else over one of its own."""
        self.session = session or AngelSession(settings, clock)
        self._clock = clock

    def knows(self, instrument: Instrument) -> bool:
        return bool(instrument.angel_token) and instrument.exchange in EXCHANGES

    def fetch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        known = [each for each in instruments if self.knows(each)]
        quotes: list[Quote] = []
        for start in range(0, len(known), self.batch_size):
            quotes += self._fetch_batch(known[start : start + self.batch_size])
        return quotes

    def candles(
        self, instrument: Instrument, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        found: dict[datetime, Candle] = {}
        for start, end in _spans(interval, since, min(until, self._clock.now())):
            for candle in self._candles_of_span(instrument, interval, start, end):
                if since <= candle.time < until:
                    found[candle.time] = candle
        return [found[time] for time in sorted(found)]

    def verify(self) -> str:
        index = load_instruments().get(DEFAULT_INDICES[0])
        quotes = self.fetch([index])
        if not quotes:
            raise SourceUnavailable(
                f"signed in, but Angel One has no price of {index.name}; the API key must be "
                "one of an app for trading or market feeds (My Apps at smartapi.angelone.in)"
            )
        return f"signed in; {index.name} at {quotes[0].price}"

    def _fetch_batch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        asked = {(each.exchange, each.angel_token): each for each in instruments}
        tokens: dict[str, list[str]] = defaultdict(list)
        for exchange, token in asked:
            tokens[exchange].append(token)
        answer = self.session.ask(lambda client: client.getMarketData("LTP", dict(tokens)))
        found = answer.get("data")
        rows = found.get("fetched") if isinstance(found, dict) else None
        if not isinstance(rows, list):
            raise SourceUnavailable("Angel One answered a request for quotes without any")
        quotes = {}
        for row in rows:
            if isinstance(row, dict):
                instrument = asked.get((str(row.get("exchange")), str(row.get("symbolToken"))))
                price = parse_price(row.get("ltp"))
                if instrument and price:
                    time = _exchange_time(row.get("exchFeedTime")) or self._clock.now()
                    quotes[instrument.symbol] = Quote(instrument.symbol, price, self.source, time)
        return list(quotes.values())

    def _candles_of_span(
        self, instrument: Instrument, interval: Interval, start: datetime, end: datetime
    ) -> Iterator[Candle]:
        parameters = {
            "exchange": instrument.exchange,
            "symboltoken": instrument.angel_token,
            "interval": SPANS[interval][0],
            "fromdate": start.strftime(REQUEST_TIME),
            # The vendor's end is a minute that counts.
            "todate": (end - MINUTE).strftime(REQUEST_TIME),
        }
        try:
            answer = self.session.ask(lambda client: client.getCandleData(parameters))
        except AngelFailure as failure:
            if failure.is_refusal:
                raise HistoryRefused(str(failure)) from None
            raise
        # Null where there are none.
        rows = answer.get("data") or []
        if not isinstance(rows, list):
            raise SourceUnavailable("Angel One answered a request for candles with something else")
        for row in rows:
            if candle := _candle(instrument.symbol, row):
                yield candle


def _spans(interval: Interval, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Split a time into spans of whole minutes that the vendor answers, in the vendor's time."""
    longest = SPANS[interval][1]
    if until - since > MAX_CANDLE_REQUESTS * longest:
        raise SourceUnavailable(
            f"Angel One is asked for at most {(MAX_CANDLE_REQUESTS * longest).days} days of "
            f"{interval.value} candles"
        )
    start = since.astimezone(IST).replace(second=0, microsecond=0)
    if interval is Interval.DAY:
        # A day's candle bears the midnight that it began with.
        start = start.replace(hour=0, minute=0)
    spans = []
    while start < until:
        end = min(start + longest, _next_minute(until.astimezone(IST)))
        spans.append((start, end))
        start = end
    return spans


def _next_minute(time: datetime) -> datetime:
    whole = time.replace(second=0, microsecond=0)
    return whole if whole == time else whole + MINUTE


def _exchange_time(value: Any) -> datetime | None:
    """Return the exchange's time of a quote, UTC; None where the answer has none."""
    try:
        time = datetime.strptime(str(value), EXCHANGE_TIME)  # noqa: DTZ007 - it is the vendor's
    except ValueError:
        return None
    return time.replace(tzinfo=IST).astimezone(UTC)


def _candle(symbol: str, row: Any) -> Candle | None:
    """Return the candle of [time, open, high, low, close, volume], or None for anything else."""
    if not isinstance(row, list) or len(row) < 5:
        return None
    try:
        time = datetime.fromisoformat(str(row[0]))
    except ValueError:
        return None
    opened, high, low, close = (parse_price(each) for each in row[1:5])
    if not (opened and high and low and close) or time.tzinfo is None:
        return None
    candle = Candle(symbol, time.astimezone(UTC), opened, high, low, close, Source.ANGEL_ONE)
    return candle if candle.is_sound else None
