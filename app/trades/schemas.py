"""The requests and responses of the trade routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from hashlib import sha256
from operator import eq, is_
from typing import Annotated

from bson import ObjectId
from pydantic import Field, ValidationInfo, field_validator

from app.domain.order import MAX_QUANTITY, Order, OrderType, TimeInForce
from app.domain.portfolio import DEFAULT_NAME
from app.domain.side import TradeType
from app.domain.trade import TradeStatus
from app.models import Trade
from app.portfolio.valuation import Performance
from app.trades.current_prices import CurrentPrices
from app.trades.trailing_schemas import TrailingRequest
from app.trades.views import TradeView
from app.web.schemas import (
    ONE_LINE,
    Level,
    Money,
    NextCursor,
    PageCursor,
    PageSize,
    PortfolioName,
    RequestModel,
    ResponseModel,
    SeasonQuery,
    SymbolFilter,
    SymbolName,
    Timestamp,
    choice,
    whole_number,
)

StatusFilter = Annotated[
    Annotated[TradeStatus, choice(TradeStatus)] | None,
    Field(
        description="Only trades of this status. No trade is SQUARED_OFF or LIQUIDATED yet.",
        examples=["ACTIVE"],
    ),
]


# The errors of a request that places an order, by status.
PLACING_ERRORS = {
    400: [
        *("freeze_quantity", "insufficient_margin", "price_off_tick"),
        *("price_outside_band", "quantity_off_lot"),
        *("unknown_symbol", "unlisted_symbol", "would_trigger_immediately"),
        "wrong_side_of_price",
    ],
    401: ["account_gone"],
    404: ["portfolio_not_found"],
    409: ["client_order_id_reused", "market_closed", "price_too_old", "too_many_pending"],
    503: ["market_data_unavailable"],
}


class OrderFields(RequestModel):
    symbol: SymbolName
    trade_type: Annotated[TradeType, choice(TradeType)] = Field(
        description="BUY earns when the price rises, SELL when it falls.", examples=["BUY"]
    )
    quantity: Annotated[int, *whole_number(1, MAX_QUANTITY)] = Field(
        description="The number of units.", examples=[2]
    )
    stop_loss: Level | None = Field(
        default=None,
        description="Rupees at which to close with a loss: below the price for BUY, else above.",
        examples=[23_968.45],
    )
    target_price: Level | None = Field(
        default=None,
        description="Rupees at which to close with a profit: above the price for BUY, else below.",
        examples=[24_452.66],
    )
    client_order_id: Annotated[str, Field(min_length=1, max_length=64), *ONE_LINE] | None = Field(
        default=None,
        description="The client's own name for the order. A retry with it returns the first trade.",
        examples=["morning-1"],
    )
    portfolio: PortfolioName = DEFAULT_NAME


class EntryFields(RequestModel):
    """The kind of an order, and the prices that belong to it.

    A field with its default is left out of a fingerprint, so that requests of clients that do not
    know it stay the same.
    """

    order_type: Annotated[OrderType, choice(OrderType)] = Field(
        default=OrderType.MARKET,
        description="MARKET is filled at once, LIMIT at its `limit_price` or better, STOP beyond "
        "its `stop_price`, and STOP_LIMIT becomes a LIMIT there.",
        examples=["LIMIT"],
        exclude_if=partial(eq, OrderType.MARKET),
    )
    limit_price: Level | None = Field(
        default=None,
        validate_default=True,
        description="The worst price in rupees at which a LIMIT or STOP_LIMIT order is filled.",
        examples=[24_100.0],
        exclude_if=partial(is_, None),
    )
    stop_price: Level | None = Field(
        default=None,
        validate_default=True,
        description="Rupees from which a STOP or STOP_LIMIT order counts: above the price for "
        "BUY, below it for SELL.",
        examples=[24_300.0],
        exclude_if=partial(is_, None),
    )
    time_in_force: Annotated[TimeInForce, choice(TimeInForce)] = Field(
        default=TimeInForce.GTC,
        description="How long the order waits: DAY to the end of the session, GTC for 365 days. "
        "IOC does not wait: an order that is not filled at once is CANCELLED.",
        examples=["DAY"],
        exclude_if=partial(eq, TimeInForce.GTC),
    )

    @field_validator("time_in_force")
    @classmethod
    def _waits_for_its_stop(cls, value: TimeInForce, info: ValidationInfo) -> TimeInForce:
        order_type: OrderType | None = info.data.get("order_type")
        if value is TimeInForce.IOC and order_type is not None and order_type.has_stop:
            raise ValueError(f"must be DAY or GTC for {order_type}, which waits for its stop price")
        return value

    @field_validator("limit_price", "stop_price")
    @classmethod
    def _belongs_to_order_type(cls, price: Decimal | None, info: ValidationInfo) -> Decimal | None:
        order_type: OrderType | None = info.data.get("order_type")
        if order_type is None:
            # Invalid itself.
            return price
        is_limit = info.field_name == "limit_price"
        belongs = order_type.has_limit if is_limit else order_type.has_stop
        if belongs and price is None:
            raise ValueError(f"is required for {order_type}")
        if not belongs and price is not None:
            raise ValueError(f"does not belong to {order_type}")
        return price


class CreateTradeRequest(TrailingRequest, EntryFields, OrderFields):
    def to_order(self) -> Order:
        """Return the order that this body describes."""
        fingerprint = sha256(self.model_dump_json().encode()).hexdigest()
        return Order(**dict(self), fingerprint=fingerprint)


class TradesQuery(SeasonQuery):
    status: StatusFilter = None
    symbol: SymbolFilter = None
    limit: PageSize = 50
    cursor: PageCursor = None


class TradesResponse(ResponseModel):
    trades: list[TradeView] = Field(description="The trades, newest first.")
    next_cursor: NextCursor

    @classmethod
    def of(
        cls,
        trades: Iterable[Trade],
        prices: Mapping[ObjectId, CurrentPrices],
        next_cursor: str | None,
    ) -> TradesResponse:
        """Return a page of trades, with the current `prices` of the open ones by id."""
        views = [TradeView.of(trade, prices.get(trade.id)) for trade in trades]
        return cls(trades=views, next_cursor=next_cursor)


class PerformanceResponse(ResponseModel):
    """The result of the user's trading, with open trades at their last known prices.

    The utilization is 100 per cent or more if open trades have used up the equity.
    """

    active_pnl: Money = Field(
        description="The profit of open trades at their last known prices, in rupees.",
        examples=[38.9],
    )
    total_pnl: Money = Field(
        description="Realized profit of all closed trades in rupees; a loss is negative.",
        examples=[484.3],
    )
    margin_utilization_pct: float = Field(
        description="The utilized part of the margin, in per cent.", examples=[9.68]
    )
    margin_utilization_abs: Money = Field(
        description="Rupees blocked by open trades.", examples=[9_684.22]
    )
    available_margin: Money = Field(description="Rupees free for new trades.", examples=[90_800.08])
    equity: Money = Field(
        description="Available and utilized margin plus `active_pnl`, in rupees.",
        examples=[100_523.2],
    )
    active_trades: int = Field(description="The number of open trades.", examples=[1])
    closed_trades: int = Field(description="The number of closed trades.", examples=[4])
    winning_trades: int = Field(
        description="The number of closed trades with a profit.", examples=[3]
    )
    win_rate_pct: float = Field(
        description="The winning part of the closed trades, in per cent.", examples=[75.0]
    )
    price_time: Timestamp | None = Field(
        description="When the oldest of the prices was made, UTC; null without open trades."
    )
    stale: bool = Field(description="Whether any of the prices is out of date.", examples=[False])
    stale_symbols: list[str] = Field(
        description="The symbols whose price is out of date.", examples=[[]]
    )
    unpriced_symbols: list[str] = Field(
        description="Symbols of open trades that never had a price; `active_pnl` omits them.",
        examples=[[]],
    )

    @classmethod
    def of(cls, performance: Performance) -> PerformanceResponse:
        portfolio = performance.portfolio
        return cls(
            active_pnl=performance.active_pnl,
            total_pnl=portfolio.total_pnl,
            margin_utilization_pct=round(float(performance.margin_utilization_pct), 2),
            margin_utilization_abs=portfolio.utilized_margin,
            available_margin=portfolio.available_margin,
            equity=performance.equity,
            active_trades=performance.active_trades,
            closed_trades=portfolio.closed_count,
            winning_trades=portfolio.winner_count,
            win_rate_pct=round(100 * portfolio.winner_count / (portfolio.closed_count or 1), 2),
            price_time=performance.price_time,
            stale=bool(performance.stale),
            stale_symbols=performance.stale,
            unpriced_symbols=performance.unpriced,
        )
