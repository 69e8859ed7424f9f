"""Entries that end unfilled: at the end of their time in force, or with their instrument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice

from app.database.batches import Fence, written_without_outage
from app.domain.trade import EndReason, end_entry
from app.models import Trade, TradeChange, share_of
from app.models.pending import find_expired, find_pending
from app.services import now, services
from app.trades.execution import apply_transitions

# Maximum entries that one pass ends, so that it delays no tick. The next pass ends the others.
MAX_ENDED = 1_000
# By then every server has loaded the list, and takes no orders of an unlisted share.
UNLISTED_SECONDS = 86_400


def expire_entries(settled_to: Mapping[int, datetime], fence: Fence) -> int:
    """End the entries whose time is over; return how many.

    `settled_to` is up to when prices are settled, by share, in the time of the feed: an entry that
    ends later may still be filled. Raises PyMongoError if the database is unavailable, and
    LeaseLost if the `fence` does.
    """

    def is_settled(trade: Trade) -> bool:
        until = settled_to.get(share_of(trade.symbol))
        ends_at = trade.order.ends_at if trade.order else None
        return until is not None and ends_at is not None and ends_at <= until

    if not settled_to:
        return 0
    expired = filter(is_settled, find_expired(max(settled_to.values())))
    return _end(islice(expired, MAX_ENDED), EndReason.EXPIRED, fence)


class UnlistedEntries:
    """Rejects the entries of shares that are no longer listed."""

    def __init__(self) -> None:
        # Symbols of which no order can come any more.
        self._done: set[str] = set()

    def reject(self) -> None:
        """Reject those of all users. Raises PyMongoError if the database is unavailable."""
        parts = services()
        for symbol in parts.polled_symbols.traded - self._done:
            instrument = parts.instruments.by_symbol(symbol)
            if instrument is None or instrument.unlisted_at is None:
                continue
            _end(find_pending(symbol), EndReason.UNLISTED)
            if now() - instrument.unlisted_at > timedelta(seconds=UNLISTED_SECONDS):
                self._done.add(symbol)


def _end(trades: Iterator[Trade], reason: EndReason, fence: Fence | None = None) -> int:
    """End entries; return how many. One that cannot be written is logged and left."""
    changes = [TradeChange(trade, end_entry(trade, reason)) for trade in trades]
    return len(written_without_outage(apply_transitions(changes, fence)))
