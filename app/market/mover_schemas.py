"""The request and the response of the route of movers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from app.domain.movers import Movers, turnover
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import Instruments
from app.market_data.movers import MAX_MOVERS
from app.web.schemas import (
    CountIfKnown,
    Money,
    MoneyIfKnown,
    RequestModel,
    ResponseModel,
    Symbol,
    TextIfKnown,
    Timestamp,
    choice,
)


class Measure(StrEnum):
    """What the most active shares have most of: rupees or units traded in the day."""

    TURNOVER = "turnover"
    VOLUME = "volume"


class MoversQuery(RequestModel):
    limit: Annotated[int, Field(ge=1, le=MAX_MOVERS)] = Field(
        default=10, description="The maximum number of shares in each list.", examples=[5]
    )
    by: Annotated[Measure, choice(Measure)] = Field(
        default=Measure.TURNOVER,
        description="What the most active shares have most of.",
        examples=["volume"],
    )


class MoverView(ResponseModel):
    """A share with its last price. Optional fields are absent if no source gave them."""

    symbol: Symbol
    name: str = Field(description="The name of the company.", examples=["Reliance Industries"])
    sector: TextIfKnown = Field(
        description="The sector of the company in the classification of NSE Indices.",
        examples=["Oil Gas & Consumable Fuels"],
    )
    price: Money = Field(description="The last traded price in rupees.", examples=[1_412.5])
    timestamp: Timestamp = Field(description="The time of the price, UTC.")
    source: Source = Field(
        description="The source of the price; `mock` is the simulated market.", examples=["mock"]
    )
    change: MoneyIfKnown = Field(description="Rupees since the previous close.", examples=[12.5])
    change_pct: MoneyIfKnown = Field(
        description="Per cent since the previous close.", examples=[0.89]
    )
    volume: CountIfKnown = Field(description="The units traded on the day.", examples=[1_204_350])
    turnover: MoneyIfKnown = Field(
        description="The volume at the last price, in rupees: about what was traded on the day.",
        examples=[1_701_144_375],
    )

    @classmethod
    def of(cls, quote: Quote, instruments: Instruments) -> MoverView:
        instrument = instruments.by_symbol(quote.symbol)
        company = instrument.company if instrument else None
        optional: dict[str, Any] = {
            "sector": company and company.sector,
            "change": quote.change,
            "change_pct": quote.change_pct,
            "volume": quote.details.volume,
            "turnover": turnover(quote),
        }
        return cls(
            symbol=quote.symbol,
            name=instrument.name if instrument else quote.symbol,
            price=quote.price,
            timestamp=quote.timestamp,
            source=quote.source,
            **optional,
        )


class MoversResponse(ResponseModel):
    """The shares that moved most on their last trading day, of those that this server watches.

    It watches what its users trade, have alerts on, or follow on a socket. No index is compared.
    """

    gainers: list[MoverView] = Field(description="Those that rose, the largest rise first.")
    losers: list[MoverView] = Field(description="Those that fell, the largest fall first.")
    most_active: list[MoverView] = Field(description="Those with the most `by`, the most first.")
    watched: int = Field(description="The number of shares that were compared.", examples=[50])

    @classmethod
    def of(cls, movers: Movers, query: MoversQuery, instruments: Instruments) -> MoversResponse:
        def views(quotes: Sequence[Quote]) -> list[MoverView]:
            return [MoverView.of(quote, instruments) for quote in quotes[: query.limit]]

        is_by_volume = query.by is Measure.VOLUME
        return cls(
            gainers=views(movers.gainers),
            losers=views(movers.losers),
            most_active=views(movers.by_volume if is_by_volume else movers.by_turnover),
            watched=movers.watched,
        )
