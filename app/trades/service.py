"""Opening, exiting and listing trades."""

from __future__ import annotations

from decimal import Decimal

from bson import ObjectId
from bson.errors import InvalidId
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from app.database.transaction import run_transaction
from app.domain.bracket import Bracket, ExitReason, TradeStatus
from app.domain.errors import (
    InsufficientMargin,
    MarketDataUnavailable,
    NotFound,
    TradeNotActive,
)
from app.domain.exposure import Exposure
from app.domain.money import ZERO, required_margin
from app.domain.quote import Quote
from app.logs import logger
from app.models import Closure, Notification, Portfolio, SymbolState, Trade
from app.portfolio.service import get_portfolio
from app.runtime import now, runtime
from app.signals import announce
from app.trades.events import trade_created
from app.trades.schemas import CreateTradeRequest, TradesQuery
from app.trades.settlement import close_trades


def open_trade(user_id: str, order: CreateTradeRequest) -> Trade:
    """Open a trade at the latest quote.

    Raises NotFound for an unknown symbol or a missing portfolio, WrongSideOfPrice,
    InsufficientMargin, MarketDataUnavailable.
    """
    symbol = runtime().instruments.get(order.symbol).symbol
    quote = runtime().quotes.latest(symbol)
    bracket = Bracket.open(
        order.trade_type,
        order.quantity,
        quote,
        stop_loss=order.stop_loss,
        target_price=order.target_price,
    )
    margin = required_margin(quote.price, order.quantity, runtime().settings.margin_rate)
    _watch(symbol)

    def write(session: ClientSession) -> tuple[Trade, list[Notification]]:
        time = now()
        portfolio = Portfolio.update_margin(
            user_id, margin, symbol, Exposure.of(bracket), time, session
        )
        if portfolio is None:
            raise InsufficientMargin(margin, get_portfolio(user_id, session).available_margin)
        trade = Trade.create(
            user_id=user_id,
            number=portfolio.trade_count,
            symbol=symbol,
            bracket=bracket,
            margin_used=margin,
            created_at=time,
            session=session,
        )
        return trade, Notification.create([trade_created(trade)], time, session)

    trade, events = run_transaction(write, user_id=user_id)
    announce(events)
    fields = {"user": user_id, "trade_id": trade.id, "symbol": symbol}
    logger.info("trade_created", extra={"fields": fields})
    _settle_missed(trade, quote)
    return trade


def exit_trade(user_id: str, trade_id: str) -> Closure:
    """Close the user's trade at the latest quote.

    Raises NotFound for an unknown trade or another user's, TradeNotActive for one that was
    closed before, MarketDataUnavailable.
    """
    trade = _own_trade(user_id, trade_id)
    if trade.status is TradeStatus.ACTIVE:
        closure = _exit_now(trade)
        if close_trades([closure]):
            return closure
        trade = _own_trade(user_id, trade_id)
    raise TradeNotActive(trade.status.value, trade.exit.pnl if trade.exit else None)


def exit_all(user_id: str) -> tuple[int, Decimal]:
    """Close all the user's active trades; return how many and their P&L in rupees.

    Raises MarketDataUnavailable, before any is closed, where one of them has no price.
    """
    closures = [_exit_now(trade) for trade in Trade.find_active_by_user_id(user_id)]
    closed = close_trades(closures)
    return len(closed), sum((each.exit.pnl for each in closed), ZERO)


def list_trades(user_id: str, query: TradesQuery) -> tuple[list[Trade], str | None]:
    """Return a page of the user's trades, newest first, and the cursor of the next one."""
    symbol = runtime().instruments.get(query.symbol).symbol if query.symbol else None
    # No cursor of ours is above it, and a page is looked for downwards from where it begins.
    newest = _next_number(user_id)
    trades = Trade.find_by_user_id(
        user_id,
        status=query.status,
        symbol=symbol,
        below=min(query.cursor or newest, newest),
        limit=query.limit + 1,
    )
    page = trades[: query.limit]
    return page, str(page[-1].number) if len(trades) > query.limit else None


def _watch(symbol: str) -> None:
    # Before the trade is written: no crash in between can leave it without anyone watching.
    traded = runtime().watchlist.traded
    if symbol not in traded:
        SymbolState.mark_traded(symbol)
        traded.add(symbol)


def _settle_missed(trade: Trade, entry: Quote) -> None:
    """Close the trade if a tick reached it between its quote and its commit.

    The monitor may have looked for what that tick triggers before the trade was there.
    """
    exits = map(trade.bracket.triggered_by, runtime().quotes.posted_after(entry))
    exit = next((each for each in exits if each is not None), None)
    if exit is None:
        return
    try:
        close_trades([Closure(trade, exit)])
    except PyMongoError:
        # The trade itself is committed and must be answered so; its next tick closes it.
        logger.exception("trade %s could not be closed at the tick it missed", trade.id)


def _exit_now(trade: Trade) -> Closure:
    quote = runtime().quotes.latest(trade.symbol)
    if not trade.bracket.may_exit_at(quote):
        raise MarketDataUnavailable(
            f"{trade.symbol} has no live price right now, and a trade opened at a live price "
            "is not closed at a simulated one. Try again shortly."
        )
    return Closure(trade, trade.bracket.exit_at(quote, ExitReason.USER))


def _own_trade(user_id: str, trade_id: str) -> Trade:
    try:
        trade = Trade.find_by_id(ObjectId(trade_id))
    except InvalidId:
        trade = None
    if trade is None or trade.user_id != user_id:
        raise NotFound("You have no trade with this id.", code="trade_not_found")
    return trade


def _next_number(user_id: str) -> int:
    portfolio = Portfolio.find_by_user_id(user_id)
    return portfolio.trade_count + 1 if portfolio else 1
