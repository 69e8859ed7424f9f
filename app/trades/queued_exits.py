"""Exits that wait: for the next session, or for the price of a closing auction."""

from __future__ import annotations

from dataclasses import replace

from app.domain.bracket import Bracket
from app.domain.fill import QueuedExit
from app.domain.share import Share
from app.domain.trade import Modified, modify
from app.models import Trade, TradeChange
from app.services import market_time, services
from app.trades.exit_prices import last_seen, quantity_of


def may_queue(symbol: str) -> bool:
    """Return whether an exit waits for a session or an auction; raise MarketClosed if it may not.

    Without enforced hours, none waits.
    """
    parts = services()
    time = market_time()
    if parts.auctions.collects(symbol, time):
        return True
    if parts.settings.orders_outside_hours != "queue":
        parts.calendar.require_trading(time)
    return not parts.calendar.trading_allowed(time)


def queue_exit(trade: Trade, share: Share) -> TradeChange:
    """Return the modification that has a share wait for the next session.

    Raises QuantityOffLot, or QuantityNotHeld for too many units.
    """
    parts, bracket = services(), trade.entered
    time = market_time()
    session = parts.calendar.session_of_order(time).day
    last = last_seen(trade).quote
    since = replace(last, timestamp=max(time, last.timestamp))
    queued = QueuedExit(quantity_of(trade, share), session, since)
    return TradeChange(trade, modify(trade, replace(bracket, exit_queued=queued)))


def queued_exit(change: TradeChange) -> QueuedExit | None:
    """Return the exit that a change queues, None for another change."""
    modified = change.transition.change
    terms = modified.terms if isinstance(modified, Modified) else None
    return terms.exit_queued if isinstance(terms, Bracket) else None
