"""Opening and listing trades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter

from bson import ObjectId
from pymongo.errors import DuplicateKeyError, PyMongoError

from app.database import object_id
from app.database.transactions import name_error, run_transaction
from app.domain.bounds import Bounds
from app.domain.errors import NotFound, ResultUnconfirmed
from app.domain.instrument import Instrument
from app.domain.order import Order
from app.domain.order_errors import ClientOrderIdReused
from app.domain.placement import Placement
from app.domain.portfolio import DEFAULT_NAME
from app.domain.quote import Quote
from app.domain.trade import TradeStatus
from app.events import publish_events, record_events
from app.logs import logger
from app.market_data.late_writes import hand_over_if_late
from app.market_data.session_prices import SessionPrices, mark_candles
from app.models import IdempotencyKey, IdempotencyRecord, LateWrite, Notification, Trade
from app.models.open_trades import find_open_of
from app.models.paging import read_page
from app.models.widening import Widening
from app.portfolio.service import find_portfolio, get_season
from app.services import now, services
from app.trades.execution import apply_transitions
from app.trades.opened import as_opened
from app.trades.order_checks import check_order
from app.trades.placing import place_order, write_placement
from app.trades.rests import find_rests
from app.trades.triggers import find_triggered_since


def open_trade(user_id: str, order: Order, key: IdempotencyKey | None = None) -> Trade:
    """Open a trade, or have its order wait; for a retry, return the trade as it was opened.

    A retry has the same `key` or client_order_id. Raises the first problem that the checks of
    app.domain.checks find, NotFound for a missing portfolio, Conflict for a key or
    client_order_id of another order.
    """
    try:
        if earlier := _opened_earlier(user_id, order, key):
            return earlier
        instrument, market = check_order(order)
        placement = place_order(order, instrument, market)
        widening = announce_levels(instrument.symbol, placement.levels)
        trade, events = run_transaction(
            lambda: _write_trade(user_id, instrument, placement, order, key, widening),
            already_committed=lambda opened: Trade.find_by_id(user_id, opened[0].id) is not None,
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # Another process handled the same request, or one with the same key, at the same time.
        with suppress(DuplicateKeyError):
            if earlier := _opened_earlier(user_id, order, key):
                return earlier
        raise ResultUnconfirmed from None
    publish_events(events)
    settle_ticks_since(placement.placed, trade)
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
    if key and (record := IdempotencyRecord.find(key)):
        trade = Trade.find_by_id(user_id, record["trade_id"])
        return as_opened(trade) if trade else None
    return _opened_by_id(user_id, order, key)


def _opened_by_id(user_id: str, order: Order, key: IdempotencyKey | None) -> Trade | None:
    """Return the trade that has the client_order_id of the order, as it was opened."""
    if order.client_order_id is None:
        return None
    trade = Trade.find_by_client_order_id(user_id, order.client_order_id)
    if trade is None:
        return None
    if trade.order_fingerprint != order.fingerprint:
        raise ClientOrderIdReused
    if key:
        # A retry may send the key without the client_order_id.
        IdempotencyRecord.save(key, {"trade_id": trade.id}, now())
    return as_opened(trade)


def _write_trade(
    user_id: str,
    instrument: Instrument,
    placement: Placement,
    order: Order,
    key: IdempotencyKey | None,
    widening: Widening,
) -> tuple[Trade, list[Notification]]:
    if earlier := _opened_by_id(user_id, order, key):
        return earlier, []
    time, trade_id = now(), ObjectId()
    if key:
        # Before the margin is blocked: a retry at the same time ends here, whatever margin is left.
        IdempotencyRecord.save(key, {"trade_id": trade_id}, time)
    trade, event = write_placement(
        user_id, order, instrument, placement, time, widening, id=trade_id
    )
    return trade, record_events([event], time)


def announce_levels(symbol: str, levels: Bounds) -> Widening:
    """Have the symbol polled, and its ticks that reach these levels looked at; call it first.

    The bounds are widened before the symbol is marked: a trade that would be written so late that
    the mark may be gone is refused by its widening.
    """
    widening = services().bounds.widen({symbol: levels})
    services().polled_symbols.mark_traded(symbol, now())
    return widening


def settle_ticks_since(placed: Quote, *trades: Trade) -> None:
    """Settle the prices that came between the quote of new trades and their commit.

    The monitor may have settled them before the trades were in the database. A failure is logged:
    the trades are committed, and their next tick decides.
    """
    if not trades:
        return
    parts = services()
    late = LateWrite(trades[0].user_id, placed, tuple(trade.id for trade in trades))
    hand_over_if_late(late, parts.feed, parts.quotes)
    unposted, arrived = parts.quotes.unposted_since(placed), parts.quotes.ticks_since(placed)
    if not unposted and not arrived:
        return
    candles = mark_candles(unposted, placed.timestamp, parts.calendar, parts.auctions)
    prices = SessionPrices(parts.calendar, parts.auctions, placed.timestamp, [placed])
    waiting: Sequence[Trade] = trades
    while waiting and (candles or arrived):
        ticks = prices.mark(arrived, now(), parts.feed.now())
        changes = find_triggered_since(placed, waiting, candles, ticks)
        written = [item for result in apply_transitions(changes) for item in result.written]
        if not written:
            return
        settle_rests(written)
        # What arrived meanwhile was settled for the trades as they were before.
        waiting = _find_open(waiting)
        candles, arrived = [], parts.quotes.ticks_since(arrived[-1] if arrived else placed)


def settle_rests(written: Iterable[object]) -> None:
    """Settle the prices since the fills of parts for the rests that they left."""
    try:
        rests = find_rests(written)
    except PyMongoError as error:
        _log_missing(error)
        return
    for rest in rests:
        assert rest.order is not None
        settle_ticks_since(rest.order.placed, rest)


def _find_open(trades: Sequence[Trade]) -> list[Trade]:
    """Return those that are open, as they are now; none if the database is unavailable."""
    try:
        return find_open_of({trade.id: trade.user_id for trade in trades})
    except PyMongoError as error:
        _log_missing(error)
        return []


def _log_missing(error: PyMongoError) -> None:
    logger.warning("prices since the last change may be missing: %s", name_error(error))
