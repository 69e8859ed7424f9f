"""What the trade routes take and answer."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Annotated

from pydantic import Field, Strict

from app.domain.bracket import ExitReason, SettledFrom, TradeStatus, TradeType
from app.domain.quote import Source
from app.market_data.quotes import KnownQuote
from app.models import Trade
from app.portfolio.valuation import Performance
from app.trades.exits import ExitedAll
from app.web.schemas import (
    Cursor,
    Level,
    Money,
    PageSize,
    RequestModel,
    ResponseModel,
    SymbolName,
    Timestamp,
    choice,
    whole_number,
)

MAXIMUM_QUANTITY = 10_000_000


class CreateTradeRequest(RequestModel):
    symbol: SymbolName
    trade_type: Annotated[TradeType, choice(TradeType)]
    quantity: Annotated[int, *whole_number(1, MAXIMUM_QUANTITY)]
    stop_loss: Level | None = None
    target_price: Level | None = None
    client_order_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @property
    def fingerprint(self) -> str:
        """What tells this order from any other: two of the same content share it."""
        return sha256(self.model_dump_json().encode()).hexdigest()


class ExitRequest(RequestModel):
    """{} or nothing at all, or the wish to exit at the last known price.

    That is for a share that no source has had a price of for a trading day.
    """

    # Left out of what names a request: one without it is the same as before there was one.
    at_last_price: Annotated[bool | None, Strict(), Field(exclude_if=operator.not_)] = None


class TradeView(ResponseModel):
    """A trade. The last price, and what is worked out from it, are for an ACTIVE one.

    The exit is for others. `price_time` is when the last price was made. `stale` is true if that,
    or the last answer of its source, is longer ago than three intervals of the monitor.
    """

    trade_id: str
    user_id: str
    symbol: str
    trade_type: TradeType
    quantity: int
    entry_price: Money
    stop_loss: Money | None
    target_price: Money | None
    status: TradeStatus
    created_at: Timestamp
    margin_used: Money
    client_order_id: str | None = None
    exit_price: Money | None = None
    pnl: Money | None = None
    closed_at: Timestamp | None = None
    exit_reason: ExitReason | None = None
    settled_from: SettledFrom | None = None
    last_price: Money | None = None
    price_time: Timestamp | None = None
    stale: bool | None = None
    unrealized_pnl: Money | None = None

    @classmethod
    def of(cls, trade: Trade, known: KnownQuote | None = None) -> TradeView:
        """Return the view of a trade, an active one valued at the `known` quote if given."""
        bracket, exit = trade.bracket, trade.exit
        quote = known.quote if known and trade.status is TradeStatus.ACTIVE else None
        return cls(
            trade_id=str(trade.id),
            user_id=trade.user_id,
            symbol=trade.symbol,
            trade_type=bracket.trade_type,
            quantity=bracket.quantity,
            entry_price=bracket.entry_price,
            stop_loss=bracket.stop_loss,
            target_price=bracket.target_price,
            status=trade.status,
            created_at=trade.created_at,
            margin_used=trade.margin_used,
            client_order_id=trade.client_order_id,
            exit_price=exit.price if exit else None,
            pnl=exit.pnl if exit else None,
            closed_at=trade.closed_at,
            exit_reason=exit.reason if exit else None,
            settled_from=exit.settled_from if exit else None,
            last_price=quote.price if quote else None,
            price_time=quote.timestamp if quote else None,
            stale=known.stale if quote and known else None,
            unrealized_pnl=bracket.pnl_at(quote.price) if quote else None,
        )


class QuoteView(ResponseModel):
    """The price that opened or closed a trade, whose it was, and when it was made."""

    price: Money
    source: Source
    timestamp: Timestamp


class TradeDetail(TradeView):
    """A trade and its evidence: the quotes that opened and closed it."""

    entry_quote: QuoteView
    exit_quote: QuoteView | None

    @classmethod
    def of_one(cls, trade: Trade, known: KnownQuote | None) -> TradeDetail:
        bracket = trade.bracket
        entry = QuoteView(
            price=bracket.entry_price,
            source=bracket.entry_source,
            timestamp=bracket.entry_timestamp,
        )
        return cls(
            **TradeView.of(trade, known).model_dump(mode="python"),
            entry_quote=entry,
            exit_quote=QuoteView.model_validate(trade.exit.quote) if trade.exit else None,
        )


class TradesQuery(RequestModel):
    status: Annotated[TradeStatus, choice(TradeStatus)] | None = None
    symbol: SymbolName | None = None
    limit: PageSize = 50
    cursor: Cursor | None = None


class TradesResponse(ResponseModel):
    trades: list[TradeView]
    next_cursor: str | None

    @classmethod
    def of(
        cls, trades: Iterable[Trade], known: Mapping[str, KnownQuote], next_cursor: str | None
    ) -> TradesResponse:
        """Return a page of trades, valued at the quotes `known` by symbol."""
        views = [TradeView.of(each, known.get(each.symbol)) for each in trades]
        return cls(trades=views, next_cursor=next_cursor)


class ExitResponse(ResponseModel):
    message: str
    pnl: Money
    exit_price: Money


class NotExitedView(ResponseModel):
    """A trade that stays open, and the code of the reason: that of the error of a single exit."""

    trade_id: str
    symbol: str
    code: str


class ExitAllResponse(ResponseModel):
    message: str
    total_pnl: Money
    count: int
    not_exited: list[NotExitedView]

    @classmethod
    def of(cls, exited: ExitedAll) -> ExitAllResponse:
        left = len(exited.not_exited)
        message = f"{exited.count} of {exited.count + left} trades exited"
        return cls(
            message=message if left else "All trades exited",
            total_pnl=exited.total_pnl,
            count=exited.count,
            not_exited=[NotExitedView(**each) for each in exited.not_exited],
        )


class PerformanceResponse(ResponseModel):
    """What the user's trading comes to. Amounts are rupees, `..._pct` are per cent.

    `equity` is available and utilized margin and `active_pnl` together. The utilization is that of
    available and utilized margin; it is 100 or more if open trades have used up the equity.
    `active_pnl` is worked out from last known prices: `price_time` is that of the oldest,
    `stale_symbols` names those that are not current, `stale` says if there are any.
    """

    active_pnl: Money
    total_pnl: Money
    margin_utilization_pct: float
    margin_utilization_abs: Money
    available_margin: Money
    equity: Money
    active_trades: int
    closed_trades: int
    winning_trades: int
    win_rate_pct: float
    price_time: Timestamp | None
    stale: bool
    stale_symbols: list[str]
    # Symbols with open trades that never had a price; active_pnl leaves them out.
    unpriced_symbols: list[str]

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
            win_rate_pct=_percentage(portfolio.winner_count, portfolio.closed_count),
            price_time=performance.price_time,
            stale=bool(performance.stale),
            stale_symbols=performance.stale,
            unpriced_symbols=performance.unpriced,
        )


def _percentage(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
