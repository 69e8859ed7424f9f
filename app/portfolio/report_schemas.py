"""The requests and responses of the reports on a portfolio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from app.domain.candle import Interval
from app.domain.equity import Period
from app.domain.money import to_paisa
from app.portfolio.history import EquityHistory
from app.portfolio.positions import ValuedPosition
from app.web.schemas import Money, ResponseModel, SeasonQuery, Symbol, Timestamp, choice


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
        description="The profit of the open trades since the previous close, or since their entry "
        "if that was later, in rupees. Null if no source gave that close.",
        examples=[61.2],
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
            day_pnl=position.day_pnl,
            weight_pct=None if weight is None else round(float(weight), 2),
        )


class PositionsResponse(ResponseModel):
    positions: list[PositionView] = Field(
        description="One for each symbol with open trades, in alphabetical order."
    )

    @classmethod
    def of(cls, positions: Iterable[ValuedPosition]) -> PositionsResponse:
        return cls(positions=[PositionView.of(position) for position in positions])


class EquityQuery(SeasonQuery):
    # Other APIs use 1m for a minute, and 1M for a month.
    period: Annotated[Period, choice(Period, as_written={"1m"})] = Field(
        default=Period.MONTH,
        description="How far back from now, or from the end of a past season: days, weeks, months "
        "or a year, or ALL. It begins no earlier than the season.",
        examples=["1M"],
    )
    interval: Annotated[Interval, choice(Interval, as_written={"1M"})] | None = Field(
        default=None,
        description="The time between two points. Default: the shortest that makes no more than "
        "1,000 points. 1d shows at most the last 1,000 days.",
        examples=["1d"],
    )


class EquityPointView(ResponseModel):
    """The portfolio at one time. `equity` is null if the books prove the `balance` only."""

    time: Timestamp = Field(description="The time of the point, UTC.")
    equity: Money | None = Field(
        description="The balance plus `unrealized_pnl`, in rupees; null without it.",
        examples=[100_523.2],
    )
    balance: Money = Field(
        description="The initial margin plus `net_deposits` and `realized_pnl`, in rupees: what "
        "the equity was without its open trades. Always exact.",
        examples=[100_484.3],
    )
    net_deposits: Money = Field(
        description="The deposits of the season until then minus its withdrawals, in rupees.",
        examples=[0.0],
    )
    realized_pnl: Money = Field(
        description="The realized profit of the season until then, in rupees.", examples=[484.3]
    )
    unrealized_pnl: Money | None = Field(
        description="The profit of the trades open then, in rupees, at the last candle that had "
        "ended; now at the last known prices. 0 without open trades. Null if a price is not known: "
        "only the simulated market keeps past ones.",
        examples=[38.9],
    )


class EquityResponse(ResponseModel):
    """The equity curve of a season."""

    period: Period = Field(description="The period that was asked for.", examples=["1M"])
    interval: Interval = Field(description="The time between two points.", examples=["1h"])
    points: list[EquityPointView] = Field(
        description="Oldest first: the beginning of the period, each full interval, and now or the "
        "end of the season."
    )

    @classmethod
    def of(cls, period: Period, history: EquityHistory) -> EquityResponse:
        points = [EquityPointView.model_validate(point) for point in history.points]
        return cls(period=period, interval=history.interval, points=points)
