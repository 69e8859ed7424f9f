"""What the market routes take and answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.domain.quote import Quote, Source
from app.market_data.guard import Doubt, Suspicion
from app.market_data.instruments import Instrument
from app.schemas import Money, RequestModel, ResponseModel, Timestamp


class UnconfirmedQuote(ResponseModel):
    """A newer price that nothing is done at until it is confirmed, and why."""

    price: Money
    timestamp: Timestamp
    source: Source
    reason: Doubt

    @classmethod
    def of(cls, suspicion: Suspicion) -> UnconfirmedQuote:
        quote = suspicion.quote
        return cls(
            price=quote.price,
            timestamp=quote.timestamp,
            source=quote.source,
            reason=suspicion.doubt,
        )


class QuoteResponse(ResponseModel):
    symbol: str
    price: Money
    timestamp: Timestamp
    source: Source
    unconfirmed: UnconfirmedQuote | None = None

    @classmethod
    def of(cls, quote: Quote, suspicion: Suspicion | None = None) -> QuoteResponse:
        return cls(
            symbol=quote.symbol,
            price=quote.price,
            timestamp=quote.timestamp,
            source=quote.source,
            unconfirmed=UnconfirmedQuote.of(suspicion) if suspicion else None,
        )


class SymbolsQuery(RequestModel):
    q: Annotated[str, Field(max_length=100)] = ""


class SymbolView(ResponseModel):
    symbol: str
    name: str
    exchange: str
    tick_size: Money
    lot_size: int

    @classmethod
    def of(cls, instrument: Instrument) -> SymbolView:
        return cls(
            symbol=instrument.symbol,
            name=instrument.name,
            exchange=instrument.exchange,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
        )


class SymbolsResponse(ResponseModel):
    symbols: list[SymbolView]
