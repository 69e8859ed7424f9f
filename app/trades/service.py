"""Opening and listing trades."""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError, PyMongoError

from app.database.batches import all_written
from app.database.transactions import run_transaction
from app.domain.bracket import Bracket
from app.domain.errors import Conflict, InsufficientMargin, MarketDataUnavailable, PriceTooOld
from app.domain.money import required_margin
from app.domain.position import Position
from app.domain.quote import Quote
from app.events import publish_events, record_events
from app.logs import logger
from app.models import (
    IdempotencyKey,
    IdempotencyRecord,
    Notification,
    Portfolio,
    Trade,
    TradeExit,
)
from app.portfolio.service import get_portfolio
from app.portfolio.valuation import value
from app.services import now, services
from app.trades.events import trade_created
from app.trades.execution import close_trades
from app.trades.polling import mark_traded, renew_mark
from app.trades.schemas import CreateTradeRequest, TradesQuery


def open_trade(user_id: str, order: CreateTradeRequest, key: IdempotencyKey | None = None) -> Trade:
    """Open a trade at the last traded price; for a retry, return the trade as it was opened.

    A retry is known by its `key` or by the order's client_order_id. Raises InvalidRequest for
    an unknown or unlisted symbol, WrongSideOfPrice, InsufficientMargin, NotFound for a missing
    portfolio, Conflict for a key or client_order_id of another order, MarketClosed outside
    market hours, PriceTooOld, MarketDataUnavailable.
    """
    try:
        if earlier := _opened_earlier(user_id, order, key):
            return earlier
        services().calendar.require_trading(now())
        symbol = services().instruments.get_tradable(order.symbol).symbol
        quote = _price_to_trade_at(symbol)
        bracket = Bracket.open(
            order.trade_type,
            order.quantity,
            quote,
            stop_loss=order.stop_loss,
            target_price=order.target_price,
        )
        mark_traded(symbol)
        trade, events = run_transaction(
            lambda: _write_trade(user_id, symbol, bracket, order, key),
            already_committed=lambda opened: Trade.find_by_id(opened[0].id) is not None,
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # The same request, or its key for another, at the same time by way of another process.
        if earlier := _opened_earlier(user_id, order, key):
            return earlier
        raise
    renew_mark(symbol)
    publish_events(events)
    _close_if_reached(trade, quote)
    return trade


def list_trades(user_id: str, query: TradesQuery) -> tuple[list[Trade], str | None]:
    """Return a page of the user's trades, newest first, and the cursor of the next one."""
    symbol = services().instruments.get_ordered(query.symbol).symbol if query.symbol else None
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


def _price_to_trade_at(symbol: str) -> Quote:
    """Return the last traded price if an order is taken at it; it may wait for a source, once."""
    price = services().quotes.ask(symbol)
    if not price.is_confirmed:
        raise MarketDataUnavailable(
            f"There is no price for {symbol} right now. Try again in a few seconds."
        )
    if price.is_too_old:
        quote = price.quote
        raise PriceTooOld(symbol, quote.price, quote.timestamp, price.age, price.oldest)
    return price.quote


def _opened_earlier(
    user_id: str,
    order: CreateTradeRequest,
    key: IdempotencyKey | None,
) -> Trade | None:
    """Return what this very request opened before, as it was then."""
    trade = None
    if key and (answer := IdempotencyRecord.find(key)):
        trade = Trade.find_by_id(answer["trade_id"])
    elif order.client_order_id is not None:
        trade = Trade.find_by_client_order_id(user_id, order.client_order_id)
        if trade and trade.order_fingerprint != order.fingerprint:
            raise Conflict(
                "This client_order_id was used for another order. Use a new one.",
                code="client_order_id_reused",
            )
        if trade and key:
            # From now on the key stands for this request as well.
            IdempotencyRecord.save(key, {"trade_id": trade.id}, now())
    return trade.as_opened() if trade else None


def _write_trade(
    user_id: str,
    symbol: str,
    bracket: Bracket,
    order: CreateTradeRequest,
    key: IdempotencyKey | None,
) -> tuple[Trade, list[Notification]]:
    if earlier := _opened_earlier(user_id, order, key):
        return earlier, []
    time = now()
    rate = services().settings.margin_rate
    margin = required_margin(bracket.entry_price, bracket.quantity, rate)
    opened = Position.of(bracket)
    portfolio = Portfolio.update_margin(user_id, margin, symbol, opened, time)
    if portfolio is None:
        raise InsufficientMargin(margin, get_portfolio(user_id).available_margin)
    if (equity := value(portfolio).equity) <= 0:
        raise InsufficientMargin(margin, portfolio.available_margin + margin, equity)
    trade = Trade.create(
        user_id=user_id,
        number=portfolio.trade_count,
        symbol=symbol,
        bracket=bracket,
        margin_used=margin,
        created_at=time,
        client_order_id=order.client_order_id,
        order_fingerprint=order.fingerprint,
    )
    if key:
        IdempotencyRecord.save(key, {"trade_id": trade.id}, time)
    return trade, record_events([trade_created(trade, portfolio.available_margin)], time)


def _close_if_reached(trade: Trade, entry: Quote) -> None:
    """Close the trade if a tick reached it between its quote and its commit.

    The monitor may have looked for what that tick triggers before the trade was there.
    """
    exits = map(trade.bracket.triggered_by, services().quotes.ticks_since(entry))
    exit = next((each for each in exits if each is not None), None)
    if exit is None or not services().calendar.trading_allowed(now()):
        return
    try:
        all_written(close_trades([TradeExit(trade, exit)]))
    except PyMongoError:
        # The trade itself is committed and must be answered so; its next tick closes it.
        logger.exception("trade %s could not be closed at the tick it missed", trade.id)


def _next_number(user_id: str) -> int:
    portfolio = Portfolio.find_by_user_id(user_id)
    return portfolio.trade_count + 1 if portfolio else 1
