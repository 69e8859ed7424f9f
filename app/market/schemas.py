"""What the market routes take and answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from app.domain.candle import Candle, Interval
from app.domain.quote import Source
from app.market.moment import Moment
from app.market_data.instruments.registry import Instrument
from app.market_data.quotes import LastPrice
from app.market_data.tick_filter import PendingTick, RejectReason
from app.market_data.timetable import EXCHANGES, MarketStatus, SessionKind
from app.web.schemas import (
    Duration,
    Money,
    PageSize,
    RequestModel,
    ResponseModel,
    Timestamp,
    choice,
)


class UnconfirmedQuote(ResponseModel):
    """A newer price that nothing is done at until it is confirmed, and why."""

    price: Money
    timestamp: Timestamp
    source: Source
    reason: RejectReason

    @classmethod
    def of(cls, suspicion: PendingTick) -> UnconfirmedQuote:
        quote = suspicion.quote
        return cls(
            price=quote.price,
            timestamp=quote.timestamp,
            source=quote.source,
            reason=suspicion.doubt,
        )


class QuoteResponse(ResponseModel):
    """The last traded price, however old. `age` is seconds since `timestamp`.

    `delayed` prices may be minutes behind the exchange.
    """

    symbol: str
    price: Money
    timestamp: Timestamp
    age: Duration
    source: Source
    delayed: bool
    unconfirmed: UnconfirmedQuote | None = None

    @classmethod
    def of(cls, price: LastPrice, now: datetime, suspicion: PendingTick | None) -> QuoteResponse:
        quote = price.quote
        return cls(
            symbol=quote.symbol,
            price=quote.price,
            timestamp=quote.timestamp,
            age=quote.age(now),
            source=quote.source,
            delayed=quote.source.is_delayed,
            unconfirmed=UnconfirmedQuote.of(suspicion) if suspicion else None,
        )


class SymbolsQuery(RequestModel):
    q: Annotated[str, Field(max_length=100)] = ""
    limit: PageSize | None = None


class SymbolView(ResponseModel):
    symbol: str
    name: str
    exchange: str
    tick_size: Money
    lot_size: int


class SymbolsResponse(ResponseModel):
    symbols: list[SymbolView]

    @classmethod
    def of(cls, instruments: Iterable[Instrument]) -> SymbolsResponse:
        return cls(symbols=[SymbolView.model_validate(each) for each in instruments])


class MarketStatusResponse(ResponseModel):
    """`open` is the exchanges' own state; trades are refused by it only where `enforced`.

    `session_date` and `occasion` (such as Muhurat trading) are of the session under way, if any.
    After `holidays_known_until` every weekday is taken for a session.
    """

    open: bool
    session: SessionKind
    session_date: date | None
    occasion: str | None
    next_open: Timestamp
    next_close: Timestamp
    enforced: bool
    exchanges: list[str]
    timezone: str
    holidays_known_until: date

    @classmethod
    def of(cls, status: MarketStatus, enforced: bool) -> MarketStatusResponse:
        return cls(
            open=status.open,
            session=status.session,
            session_date=status.day,
            occasion=status.occasion,
            next_open=status.next_open,
            next_close=status.next_close,
            enforced=enforced,
            exchanges=list(EXCHANGES),
            timezone=status.timezone,
            holidays_known_until=status.holidays_known_until,
        )


class HistoryQuery(RequestModel):
    # 1M is a month to many.
    interval: Annotated[Interval, choice(Interval, as_written={"1M"})] = Interval.FIVE_MINUTES
    since: Annotated[
        Moment | None,
        Field(
            alias="from",
            description="The first candle begins at this time or after it. "
            "ISO 8601, UTC where it names no zone; a date is its beginning in India; "
            "digits are seconds since 1970. Left out: 500 candles before the end.",
        ),
    ] = None
    until: Annotated[
        Moment | None,
        Field(
            alias="to",
            description="The last candle begins before this time, written as `from` is. "
            "Left out: now, with a recording the time it has reached.",
        ),
    ] = None


class CandleView(ResponseModel):
    """`time` is when the candle begins. The last candle may still be forming."""

    time: Timestamp
    open: Money
    high: Money
    low: Money
    close: Money


class HistoryResponse(ResponseModel):
    """Candles, oldest first. `source` is theirs, and null where there are none."""

    symbol: str
    interval: Interval
    source: Source | None
    candles: list[CandleView]

    @classmethod
    def of(cls, symbol: str, interval: Interval, candles: Sequence[Candle]) -> HistoryResponse:
        return cls(
            symbol=symbol,
            interval=interval,
            source=candles[-1].source if candles else None,
            candles=[CandleView.model_validate(each) for each in candles],
        )
