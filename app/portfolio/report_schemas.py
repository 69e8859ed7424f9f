"""The requests and responses of the reports on a portfolio."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from app.domain.money import to_paisa
from app.portfolio.positions import ValuedPosition
from app.web.schemas import Money, ResponseModel, Symbol, Timestamp


class PositionView(ResponseModel):
    """The open trades of one symbol together. What needs a price is null before the first one."""

    symbol: Symbol
    quantity: int = Field(
        description="The units bought minus those sold; negative is short.", examples=[4]
    )
    trades: int = Field(description="The number of open trades.", examples=[2])
    average_entry: Money | None = Field(
        description="The price at which the trades together break even, to the paisa: of one side "
        "the average of their entry prices. Null if as much was sold as bought.",
        examples=[24_210.55],
    )
    last_price: Money | None = Field(
        description="The last known price in rupees.", examples=[24_230.0]
    )
    price_time: Timestamp | None = Field(description="When the last price was made, UTC.")
    stale: bool | None = Field(
        description="Whether the last price is out of date.", examples=[False]
    )
    market_value: Money | None = Field(
        description="The quantity at the last price, in rupees; negative is short.",
        examples=[96_920.0],
    )
    unrealized_pnl: Money | None = Field(
        description="The profit of the open trades at the last price, in rupees.", examples=[77.8]
    )
    day_pnl: Money | None = Field(
        description="The profit since the previous close, in rupees. Null if no source gave that "
        "close.",
        examples=[None],
    )
    weight_pct: float | None = Field(
        description="The market value in per cent of the portfolio's equity; null without equity.",
        examples=[96.84],
    )

    @classmethod
    def of(cls, position: ValuedPosition) -> PositionView:
        quote = position.known.quote if position.known else None
        average, weight = position.average_entry, position.weight_pct
        return cls(
            symbol=position.symbol,
            quantity=position.sums.quantity,
            trades=position.sums.trades,
            average_entry=None if average is None else to_paisa(average),
            last_price=quote.price if quote else None,
            price_time=quote.timestamp if quote else None,
            stale=position.known.stale if position.known else None,
            market_value=position.market_value,
            unrealized_pnl=position.unrealized_pnl,
            day_pnl=None,
            weight_pct=None if weight is None else round(float(weight), 2),
        )


class PositionsResponse(ResponseModel):
    positions: list[PositionView] = Field(
        description="One for each symbol with open trades, in alphabetical order."
    )

    @classmethod
    def of(cls, positions: Iterable[ValuedPosition]) -> PositionsResponse:
        return cls(positions=[PositionView.of(position) for position in positions])
