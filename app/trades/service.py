"""Opening and listing trades."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from operator import attrgetter

from pymongo.errors import DuplicateKeyError, PyMongoError

from app.database import object_id
from app.database.transactions import run_transaction
from app.domain.bracket import Bracket
from app.domain.checks import Funds, insufficient_margin
from app.domain.errors import ClientOrderIdReused, NotFound, ResultUnconfirmed
from app.domain.instrument import Instrument
from app.domain.money import required_margin
from app.domain.order import Order
from app.domain.portfolio import DEFAULT_NAME
from app.domain.position import Position
from app.domain.quote import Quote
from app.domain.trade import TradeStatus, on_quote
from app.events import publish_events, record_events
from app.logs import logger
from app.models import (
    IdempotencyKey,
    IdempotencyRecord,
    Notification,
    Portfolio,
    Trade,
    TradeChange,
)
from app.models.paging import read_page
from app.portfolio.service import find_portfolio, get_portfolio, get_season
from app.portfolio.valuation import value
from app.services import now, services
from app.trades.events import trade_created
from app.trades.execution import apply_transitions
from app.trades.order_checks import check_order


def open_trade(user_id: str, order: Order, key: IdempotencyKey | None = None) -> Trade:
    """Open a trade at the last traded price; for a retry, return the trade as it was opened.

    A retry has the same `key` or client_order_id. Raises the first problem that the checks of
    app.domain.checks find, NotFound for a missing portfolio, Conflict for a key or
    client_order_id of another order.
    """
    try:
        if earlier := _opened_earlier(user_id, order, key):
            return earlier
        instrument, quote = check_order(order)
        symbol = instrument.symbol
        bracket = Bracket.open(
            order.trade_type,
            order.quantity,
            quote,
            stop_loss=order.stop_loss,
            target_price=order.target_price,
        )
        services().polled_symbols.mark_traded(symbol, now())
        trade, events = run_transaction(
            lambda: _write_trade(user_id, instrument, bracket, order, key),
            already_committed=lambda opened: Trade.find_by_id(user_id, opened[0].id) is not None,
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # Another process handled the same request, or one with the same key, at the same time.
        with suppress(DuplicateKeyError):
            if earlier := _opened_earlier(user_id, order, key):
                return earlier
        raise ResultUnconfirmed from None
    _renew_mark(symbol)
    publish_events(events)
    _close_if_reached(trade, quote)
    return trade


def list_trades(
    user_id: str,
    *,
    status: TradeStatus | None = None,
    symbol: str | None = None,
    portfolio: str = DEFAULT_NAME,
    season: int | None = None,
    cursor: int | None = None,
    limit: int,
) -> tuple[list[Trade], str | None]:
    """Return a page of a season's trades, newest first, and the cursor of the next one.

    Without `season` it is the current one. Raises NotFound for an unknown portfolio or season.
    """
    name = services().instruments.get_ordered(symbol).symbol if symbol else None
    owner = find_portfolio(user_id, portfolio)
    if owner is None:
        return [], None
    chosen = get_season(owner, season)
    first = chosen.first_number - 1
    find = partial(
        Trade.find_by_user_id, user_id, owner.id, status=status, symbol=name, above=first
    )
    return read_page(
        find, attrgetter("number"), cursor=cursor, newest=chosen.last_number, limit=limit
    )


def get_trade(user_id: str, trade_id: str) -> Trade:
    """Return the user's trade; raise NotFound for an unknown one or another user's."""
    id = object_id(trade_id)
    trade = Trade.find_by_id(user_id, id) if id else None
    if trade is None:
        raise NotFound("You have no trade with this id.", code="trade_not_found")
    return trade


def _opened_earlier(user_id: str, order: Order, key: IdempotencyKey | None) -> Trade | None:
    """Return the trade that an earlier try of this request opened, as it was opened."""
    trade = None
    if key and (record := IdempotencyRecord.find(key)):
        trade = Trade.find_by_id(user_id, record["trade_id"])
    elif order.client_order_id is not None:
        trade = Trade.find_by_client_order_id(user_id, order.client_order_id)
        if trade and trade.order_fingerprint != order.fingerprint:
            raise ClientOrderIdReused
        if trade and key:
            # A retry may send the key without the client_order_id.
            IdempotencyRecord.save(key, {"trade_id": trade.id}, now())
    return trade.as_opened() if trade else None


def _write_trade(
    user_id: str,
    instrument: Instrument,
    bracket: Bracket,
    order: Order,
    key: IdempotencyKey | None,
) -> tuple[Trade, list[Notification]]:
    if earlier := _opened_earlier(user_id, order, key):
        return earlier, []
    time = now()
    rate = services().settings.margin_rate
    margin = required_margin(bracket.entry_price, bracket.quantity, rate)
    symbol, opened = instrument.symbol, Position.of(bracket)
    portfolio = Portfolio.update_margin(user_id, margin, symbol, opened, time, order.portfolio)
    if portfolio is None:
        funds = Funds(get_portfolio(user_id, order.portfolio).available_margin, rate)
        raise insufficient_margin(order, instrument, bracket.entry_price, funds)
    if (equity := value(portfolio).equity) <= 0:
        funds = Funds(portfolio.available_margin + margin, rate, equity)
        raise insufficient_margin(order, instrument, bracket.entry_price, funds)
    trade = Trade.create(
        user_id=user_id,
        portfolio_id=portfolio.id,
        portfolio=portfolio.name,
        number=portfolio.trade_count,
        symbol=symbol,
        entry=bracket,
        margin_used=margin,
        created_at=time,
        client_order_id=order.client_order_id,
        order_fingerprint=order.fingerprint,
    )
    if key:
        IdempotencyRecord.save(key, {"trade_id": trade.id}, time)
    return trade, record_events([trade_created(trade, portfolio.available_margin)], time)


def _renew_mark(symbol: str) -> None:
    """Have the symbol polled again if writing the trade took longer than its mark is reused."""
    try:
        services().polled_symbols.mark_traded(symbol, now())
    except PyMongoError:
        # The trade is committed.
        logger.exception("%s could not be marked as traded again", symbol)


def _close_if_reached(trade: Trade, entry: Quote) -> None:
    """Close the trade if a tick reached it between its entry quote and its commit.

    The monitor may have settled that tick before the trade was in the database. A failure is
    logged by apply_transitions: the trade is committed, and its next tick closes it.
    """
    for tick in services().quotes.ticks_since(entry):
        if transition := on_quote(trade, tick):
            if services().calendar.trading_allowed(now()):
                deque(apply_transitions([TradeChange(trade, transition)]), maxlen=0)
            return
