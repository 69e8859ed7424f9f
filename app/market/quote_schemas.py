"""The responses of the routes of quotes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from app.domain.quote import Quote, Source
from app.market.service import FoundQuotes
from app.market_data.tick_filter import PendingTick, RejectReason, TickFilter
from app.web.schemas import (
    CountIfKnown,
    Duration,
    Money,
    MoneyIfKnown,
    RequestModel,
    ResponseModel,
    Symbol,
    SymbolName,
    Timestamp,
)

MAX_SYMBOLS = 100
# Names of printable ASCII, as all symbols and aliases are; further ones may be empty.
_NAMES = r"^[!-+\--~][ -+\--~]{0,39}(,[ -+\--~]{0,40}){0,99}$"


def _split(text: str) -> list[str]:
    if not re.fullmatch(_NAMES, text):
        raise ValueError(f"must be up to {MAX_SYMBOLS} symbols with commas between them")
    return [name for each in text.split(",") if (name := each.strip())]


class QuotesQuery(RequestModel):
    symbols: Annotated[
        list[SymbolName],
        BeforeValidator(_split),
        Field(
            description=f"At most {MAX_SYMBOLS} symbols or aliases in any case, with commas "
            "between them.",
            examples=["NIFTY,RELIANCE,TCS"],
        ),
        WithJsonSchema({"type": "string", "pattern": _NAMES}),
    ]


class UnconfirmedQuote(ResponseModel):
    """A newer price that needs confirmation, and why."""

    price: Money = Field(description="The unconfirmed price in rupees.", examples=[30_120.0])
    timestamp: Timestamp = Field(description="The time of the price, UTC.")
    source: Source = Field(description="The source of the price.", examples=["angel_one"])
    reason: RejectReason = Field(
        description="Why it needs confirmation.", examples=["moved_too_far"]
    )

    @classmethod
    def of(cls, pending: PendingTick) -> UnconfirmedQuote:
        quote = pending.quote
        return cls(
            price=quote.price, timestamp=quote.timestamp, source=quote.source, reason=pending.reason
        )


class QuoteResponse(ResponseModel):
    """The last traded price, however old. Optional fields are absent if no source gave them."""

    symbol: Symbol
    price: Money = Field(description="The last traded price in rupees.", examples=[24_210.55])
    timestamp: Timestamp = Field(description="The time of the price, UTC.")
    age: Duration = Field(description="Seconds since `timestamp`.", examples=[1.25])
    source: Source = Field(
        description="The source of the price; `mock` is the simulated market.", examples=["mock"]
    )
    delayed: bool = Field(
        description="Whether the price may be minutes behind the exchange.", examples=[False]
    )
    change: MoneyIfKnown = Field(description="Rupees since the previous close.", examples=[60.55])
    change_pct: MoneyIfKnown = Field(
        description="Per cent since the previous close.", examples=[0.25]
    )
    bid: MoneyIfKnown = Field(
        description="The best price at which someone buys, in rupees.", examples=[24_210.5]
    )
    ask: MoneyIfKnown = Field(
        description="The best price at which someone sells, in rupees.", examples=[24_210.95]
    )
    previous_close: MoneyIfKnown = Field(
        description="The close of the trading day before, in rupees.", examples=[24_150]
    )
    open: MoneyIfKnown = Field(
        description="The first price of the day in rupees.", examples=[24_180.2]
    )
    high: MoneyIfKnown = Field(
        description="The highest price of the day in rupees.", examples=[24_231.4]
    )
    low: MoneyIfKnown = Field(
        description="The lowest price of the day in rupees.", examples=[24_144.75]
    )
    volume: CountIfKnown = Field(description="The units traded on the day.", examples=[1_204_350])
    lower_band: MoneyIfKnown = Field(
        description="The lowest price that the exchange allows on the day, in rupees.",
        examples=[21_735],
    )
    upper_band: MoneyIfKnown = Field(
        description="The highest price that the exchange allows on the day, in rupees.",
        examples=[26_565],
    )
    unconfirmed: UnconfirmedQuote | None = Field(
        default=None, description="A newer price that no trade closes at until it is confirmed."
    )

    @classmethod
    def of(cls, quote: Quote, now: datetime, pending: PendingTick | None) -> QuoteResponse:
        details: dict[str, Any] = quote.known_details()
        return cls(
            symbol=quote.symbol,
            price=quote.price,
            timestamp=quote.timestamp,
            age=quote.age(now),
            source=quote.source,
            delayed=quote.source.is_delayed,
            **details,
            unconfirmed=UnconfirmedQuote.of(pending) if pending else None,
        )


class QuoteErrorView(ResponseModel):
    """Why a symbol of the request has no quote."""

    symbol: str = Field(description="The name in the request.", examples=["NO-SUCH"])
    error: str = Field(
        description="One sentence for a person.", examples=["There is no symbol 'NO-SUCH'."]
    )
    code: str = Field(
        description="`unknown_symbol`, or `market_data_unavailable` if there is no price yet.",
        examples=["unknown_symbol"],
    )


class QuotesResponse(ResponseModel):
    """The last known quotes, however old, and what is wrong with the other names."""

    quotes: list[QuoteResponse] = Field(
        description="One for each symbol with a price, in the order of the request."
    )
    errors: list[QuoteErrorView] = Field(description="One for each other name.")

    @classmethod
    def of(cls, found: FoundQuotes, now: datetime, tick_filter: TickFilter) -> QuotesResponse:
        return cls(
            quotes=[
                QuoteResponse.of(seen.quote, now, tick_filter.pending_after(seen.quote))
                for seen in found.quotes
            ],
            errors=[
                QuoteErrorView(symbol=name, error=error.message, code=error.code)
                for name, error in found.errors.items()
            ],
        )
