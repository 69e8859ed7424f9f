"""A trade in responses."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from app.domain.fill import ExitReason, QueuedExit
from app.domain.fill_profile import FillProfile
from app.domain.money import to_paisa
from app.domain.order import OrderType, TimeInForce
from app.domain.side import TradeType
from app.domain.trade import EndReason, TradeStatus
from app.domain.triggers import SettledFrom
from app.models import Trade
from app.trades.current_prices import CurrentPrices
from app.trades.trailing_schemas import PricePointView, trailing_fields
from app.web.schemas import (
    Money,
    ResponseModel,
    Symbol,
    Timestamp,
    UserId,
)

# Reserved for later kinds of order.
_RESERVED = {TradeStatus.SQUARED_OFF, TradeStatus.LIQUIDATED}
STATUSES = [status.value for status in TradeStatus if status not in _RESERVED]
SetStatus = Annotated[TradeStatus, WithJsonSchema({"type": "string", "enum": STATUSES})]


QueuedQuantity = Annotated[int, Field(description="The units that it exits.", examples=[2])]
QueuedFor = Annotated[date, Field(description="The day of the session.", examples=["2026-11-30"])]


class QueuedExitView(ResponseModel):
    """An exit that waits for the first price of a session."""

    quantity: QueuedQuantity
    queued_for: QueuedFor


class TradeView(ResponseModel):
    """A trade. An ACTIVE one has its last price, a closed one its exit, a PENDING one its order.

    `stale` is true if the last price, or the last response of its source, is older than three
    intervals of the monitor.
    """

    trade_id: str = Field(description="The id of the trade.", examples=["6744a1f0c2d5e8b7a9f01234"])
    user_id: UserId
    portfolio: str = Field(description="The name of its portfolio.", examples=["default"])
    client_order_id: str | None = Field(
        default=None,
        description="The client's own name for the order, if it had one.",
        examples=["morning-1"],
    )
    oco_id: str | None = Field(
        default=None,
        description="The trade of the other order of its pair, of which the first that is filled "
        "or rejected cancels the other; null without one.",
        examples=["6744a1f0c2d5e8b7a9f01235"],
    )

    rest_trade_id: str | None = Field(
        default=None,
        description="The trade of the rest of its order, if only a part was filled; else null.",
        examples=["6744a1f0c2d5e8b7a9f01236"],
    )
    split_from: str | None = Field(
        default=None,
        description="The trade of the part that was filled before, if it is the rest of an order; "
        "else null.",
        examples=["6744a1f0c2d5e8b7a9f01233"],
    )

    symbol: Symbol
    trade_type: TradeType = Field(
        description="BUY earns when the price rises, SELL when it falls.", examples=["BUY"]
    )
    quantity: int = Field(description="The number of units.", examples=[2])
    ordered_quantity: int = Field(
        description="The units of its order: more than it entered if only a part was filled. "
        "Splits and bonuses do not change it then.",
        examples=[2],
    )
    open_quantity: int = Field(description="The units that are held now.", examples=[2])

    status: SetStatus = Field(description="PENDING, ACTIVE, or how it ended.", examples=["ACTIVE"])
    end_reason: EndReason | None = Field(
        default=None,
        description="Why the entry ended unfilled; null if it waits or was filled.",
        examples=["user"],
    )
    exit_reason: ExitReason | None = Field(
        default=None,
        description="Why it closed; null while it is open, and if it ended unfilled.",
        examples=["target"],
    )
    settled_from: SettledFrom | None = Field(
        default=None,
        description="How an exit missed at its time was found later; else null.",
        examples=["gap"],
    )
    version: int = Field(
        description="Counts the changes of the trade. A PATCH may demand the version it has seen.",
        examples=[0],
    )

    order_type: OrderType = Field(
        description="How it is entered: at the market, or at a price that it waits for.",
        examples=["MARKET"],
    )
    limit_price: Money | None = Field(
        default=None,
        description="Rupees that the entry pays at most, or gets at least; null without a limit.",
        examples=[24_150.0],
    )
    stop_price: Money | None = Field(
        default=None,
        description="Rupees at which the entry is triggered; null without a stop.",
        examples=[24_300.0],
    )
    time_in_force: TimeInForce | None = Field(
        default=None,
        description="How long the entry waits; null if it was filled at once.",
        examples=["GTC"],
    )
    queued_for: date | None = Field(
        default=None,
        description="The session that the entry waits for; null if it was sent in one.",
        examples=["2026-11-30"],
    )
    expires_at: Timestamp | None = Field(
        default=None,
        description="When the entry ends unfilled, UTC; null if it never waited.",
        examples=["2027-11-27T05:30:00.000Z"],
    )
    stop_loss: Money | None = Field(
        description="Rupees at which it closes with a loss.", examples=[23_968.45]
    )
    target_price: Money | None = Field(
        description="Rupees at which it closes with a profit.", examples=[24_452.66]
    )

    trailing_offset: Money | None = Field(
        default=None,
        description="Rupees between the best price and the trailing stop; null without one.",
        examples=[120.0],
    )
    trailing_pct: float | None = Field(
        default=None,
        description="The distance in percent of the best price; null unless it is set so.",
        examples=[0.5],
    )
    trailing_step: Money | None = Field(
        default=None,
        description="The step in rupees: the best price counts in whole multiples of it; null "
        "without a trailing stop.",
        examples=[5.0],
    )
    exit_queued: QueuedExitView | None = Field(
        default=None,
        description="The exit that waits for the next session; null if none does.",
        examples=[{"quantity": 2, "queued_for": "2026-11-30"}],
    )

    entry_price: Money | None = Field(
        description="The price it was opened at, in rupees; null until its entry is filled.",
        examples=[24_210.55],
    )
    exit_price: Money | None = Field(
        default=None,
        description="The average price of its exits, in rupees; null before the first.",
        examples=[24_452.65],
    )
    last_price: Money | None = Field(
        default=None,
        description="The last known price in rupees; null once the trade is over, and in the "
        "response to a request that changes it.",
        examples=[24_230.0],
    )
    price_time: Timestamp | None = Field(
        default=None, description="When the last price was made, UTC; null without one."
    )
    stale: bool | None = Field(
        default=None,
        description="Whether the last price is out of date; null without one.",
        examples=[False],
    )
    best_price: PricePointView | None = Field(
        default=None,
        description="The best price that the trailing stop has followed; null without one, and "
        "where `last_price` is.",
        examples=[{"price": 24_330.55, "time": "2026-11-27T05:30:00.000Z"}],
    )
    trailing_stop: Money | None = Field(
        default=None,
        description="Rupees at which the trailing stop closes it now; null where `best_price` is. "
        "A tighter `stop_loss` comes first.",
        examples=[24_210.55],
    )

    fill_profile: FillProfile = Field(
        description="How it is filled: the profile of its portfolio when it was placed.",
        examples=["plain"],
    )
    margin_used: Money = Field(
        description="Rupees it blocked when it was opened.", examples=[9_684.22]
    )
    pnl: Money | None = Field(
        default=None,
        description="The realized profit in rupees; a loss is negative. Null before an exit.",
        examples=[484.3],
    )
    unrealized_pnl: Money | None = Field(
        default=None,
        description="The profit at the last price in rupees; null unless ACTIVE.",
        examples=[38.9],
    )

    created_at: Timestamp = Field(description="When it was opened, UTC.")
    triggered_at: Timestamp | None = Field(
        default=None, description="When its stop was reached, UTC; null before, or without one."
    )
    filled_at: Timestamp | None = Field(
        default=None, description="When the waiting entry was filled, UTC; null if it never waited."
    )
    closed_at: Timestamp | None = Field(
        default=None, description="When it closed or ended unfilled, UTC; null while it is open."
    )

    @classmethod
    def of(cls, trade: Trade, prices: CurrentPrices | None = None) -> TradeView:
        """Return the view of a trade, an open one with its current `prices` if given."""
        terms, bracket, exit = trade.terms, trade.bracket, trade.exit
        is_active = trade.status is TradeStatus.ACTIVE
        return cls(
            trade_id=str(trade.id),
            user_id=trade.user_id,
            portfolio=trade.portfolio,
            client_order_id=trade.client_order_id,
            oco_id=str(trade.oco_id) if trade.oco_id else None,
            rest_trade_id=str(trade.rest_id) if trade.rest_id else None,
            split_from=str(trade.split_from) if trade.split_from else None,
            symbol=trade.symbol,
            trade_type=terms.trade_type,
            quantity=terms.quantity,
            ordered_quantity=trade.ordered_quantity,
            open_quantity=bracket.open_quantity if bracket and is_active else 0,
            status=trade.status,
            end_reason=trade.end_reason,
            exit_reason=exit.reason if exit else None,
            settled_from=exit.settled_from if exit else None,
            version=trade.version,
            stop_loss=terms.stop_loss,
            target_price=terms.target_price,
            exit_queued=_queued_exit(bracket.exit_queued) if bracket and is_active else None,
            fill_profile=terms.model.profile if terms.model else FillProfile.PLAIN,
            margin_used=trade.margin_used,
            pnl=trade.pnl,
            created_at=trade.created_at,
            filled_at=trade.filled_at,
            closed_at=trade.closed_at,
            **_order_fields(trade),
            **trailing_fields(terms.trailing),
            **_price_fields(trade, prices),
        )


def _order_fields(trade: Trade) -> dict[str, Any]:
    order = trade.order
    return {
        "order_type": order.order_type if order else OrderType.MARKET,
        "limit_price": order.limit_price if order else None,
        "stop_price": order.stop_price if order else None,
        "time_in_force": order.time_in_force if order else None,
        "queued_for": order.queued_for if order else None,
        "expires_at": order.expires_at if order else None,
        "triggered_at": order.triggered_at if order else None,
    }


def _price_fields(trade: Trade, prices: CurrentPrices | None) -> dict[str, Any]:
    bracket, exit_price = trade.bracket, trade.exit_price
    known = prices.known if prices else None
    trailed = prices.trailed if prices else None
    quote = known.quote if known else None
    return {
        "entry_price": bracket.entry_price if bracket else None,
        "exit_price": to_paisa(exit_price) if exit_price is not None else None,
        "last_price": quote.price if quote else None,
        "price_time": quote.timestamp if quote else None,
        "stale": known.stale if known else None,
        "best_price": PricePointView.model_validate(trailed.best) if trailed else None,
        "trailing_stop": trailed.stop if trailed else None,
        "unrealized_pnl": bracket.pnl_at(quote.price) if quote and bracket else None,
    }


def _queued_exit(queued: QueuedExit | None) -> QueuedExitView | None:
    return QueuedExitView(quantity=queued.quantity, queued_for=queued.session) if queued else None
