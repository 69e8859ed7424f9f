"""Placing a pair of entries, of which the first to fill cancels the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.database.transactions import run_transaction
from app.domain.checks import fills_at_once
from app.domain.errors import (
    InvalidFields,
    PaperTradingError,
    ResultUnconfirmed,
    WrongSideOfPrice,
)
from app.domain.instrument import Instrument
from app.domain.order import Order
from app.domain.order_errors import ClientOrderIdReused
from app.domain.placement import Placement
from app.domain.side import TradeType
from app.events import publish_events, record_events
from app.models import IdempotencyKey, IdempotencyRecord, Notification, Trade
from app.models.widening import Widening
from app.services import now
from app.trades.opened import as_opened
from app.trades.order_checks import check_order
from app.trades.placing import place_order, write_placement
from app.trades.service import announce_levels, settle_ticks_since

Pair = tuple[Order, Order]
# An order, its instrument, and what becomes of it on arrival.
Leg = tuple[Order, Instrument, Placement]


def open_pair(user_id: str, orders: Pair, key: IdempotencyKey | None = None) -> list[Trade]:
    """Place two orders that wait; for a retry, return their trades as they were placed.

    A retry has the same `key` or client_order_ids. Raises what `open_trade` does, with the number
    of the `order` (1 or 2) in the details, InvalidFields for orders of two symbols, and
    WrongSideOfPrice for a limit that the price has reached.
    """
    try:
        if earlier := _placed_earlier(user_id, orders, key):
            return earlier
        legs = [_check(order, number) for number, order in enumerate(orders, 1)]
        symbols = {instrument.symbol for _, instrument, _ in legs}
        if len(symbols) > 1:
            raise InvalidFields({"orders": f"must be of one symbol, not {' and '.join(symbols)}"})
        (symbol,) = symbols
        first, second = (placement.levels for _, _, placement in legs)
        widening = announce_levels(symbol, first.joined(second))
        trades, events = run_transaction(
            lambda: _write_pair(user_id, orders, legs, key, widening),
            already_committed=lambda placed: _is_written(user_id, placed[0]),
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # The same request, or one with the same key, is handled at the same time.
        with suppress(DuplicateKeyError):
            if earlier := _placed_earlier(user_id, orders, key):
                return earlier
        raise ResultUnconfirmed from None
    publish_events(events)
    # The earlier quote of both.
    settle_ticks_since(legs[0][2].placed, *trades)
    return trades


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Have an error of the block name the order by its number."""
    try:
        yield
    except PaperTradingError as error:
        error.details["order"] = number
        raise


def _check(order: Order, number: int) -> Leg:
    with _naming(number):
        instrument, market = check_order(order)
        if fills_at_once(order, market.quote, is_queued=market.is_queueing):
            assert market.quote is not None
            assert order.limit_price is not None
            rule = "below" if order.trade_type is TradeType.BUY else "above"
            raise WrongSideOfPrice("limit_price", order.limit_price, rule, market.quote.price)
        return order, instrument, place_order(order, instrument, market)


def _placed_earlier(user_id: str, orders: Pair, key: IdempotencyKey | None) -> list[Trade]:
    """Return the trades that an earlier try of this request placed, as they were placed."""
    if key and (record := IdempotencyRecord.find(key)):
        return _find(user_id, record["trade_ids"])
    return _placed_by_id(user_id, orders, key)


def _placed_by_id(user_id: str, orders: Pair, key: IdempotencyKey | None) -> list[Trade]:
    """Return the trades that have the client_order_ids of the orders, as they were placed."""
    for number, order in enumerate(orders):
        if order.client_order_id is None:
            continue
        trade = Trade.find_by_client_order_id(user_id, order.client_order_id)
        if trade is None:
            continue
        if trade.order_fingerprint != order.fingerprint or trade.oco_id is None:
            raise ClientOrderIdReused
        ids = [trade.id, trade.oco_id] if number == 0 else [trade.oco_id, trade.id]
        if key:
            # A retry may send the key without the client_order_id.
            IdempotencyRecord.save(key, {"trade_ids": ids}, now())
        return _find(user_id, ids)
    return []


def _find(user_id: str, ids: Sequence[ObjectId]) -> list[Trade]:
    found = (Trade.find_by_id(user_id, id) for id in ids)
    return [as_opened(trade) for trade in found if trade]


def _write_pair(
    user_id: str,
    orders: Pair,
    legs: Sequence[Leg],
    key: IdempotencyKey | None,
    widening: Widening,
) -> tuple[list[Trade], list[Notification]]:
    if earlier := _placed_by_id(user_id, orders, key):
        return earlier, []
    time, ids = now(), [ObjectId(), ObjectId()]
    if key:
        # Before the margin is blocked: see app.trades.service.
        IdempotencyRecord.save(key, {"trade_ids": ids}, time)
    partners = ((ids[0], ids[1], 1), (ids[1], ids[0], -1))
    written = []
    for number, (leg, (id, other, offset)) in enumerate(zip(legs, partners, strict=True), 1):
        with _naming(number):
            placed = write_placement(
                user_id, *leg, time, widening, id=id, oco_id=other, pair_offset=offset
            )
        written.append(placed)
    events = record_events([event for _, event in written], time)
    return [trade for trade, _ in written], events


def _is_written(user_id: str, trades: Sequence[Trade]) -> bool:
    return Trade.find_by_id(user_id, trades[0].id) is not None
