"""The exit of a trade that its user asks for: all that is held, or a part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import ClaimLost
from app.domain.errors import NotFound, ResultUnconfirmed
from app.domain.fill import Exit
from app.domain.share import ALL, Share
from app.domain.trade import TradeStatus
from app.domain.trade_errors import ChangedMeanwhile, TradeNotActive
from app.models import IdempotencyKey, IdempotencyRecord, Trade, TradeChange
from app.services import services
from app.trades.execution import apply_batch
from app.trades.exit_prices import price_exit
from app.trades.queued_exits import may_queue, queue_exit, queued_exit
from app.trades.service import get_trade
from app.trades.state import trade_state

# Each try loses against another change of the same trade.
MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class Exited:
    """An exit, and the quantity that is held after it."""

    exit: Exit
    open_quantity: int


@dataclass(frozen=True, slots=True)
class Queued:
    """An exit of a quantity that waits for the first price of a session."""

    trade_id: str
    quantity: int
    session: date


def exit_trade(
    user_id: str,
    trade_id: str,
    key: IdempotencyKey | None = None,
    *,
    share: Share = ALL,
    at_last_price: bool = False,
) -> Exited | Queued:
    """Exit a share of the user's trade at the last traded price.

    Outside market hours it exits at the first price of the next session, unless the server refuses
    that. For a retry of `key`, return the same again. With `at_last_price`, a share without a price
    for a trading day exits at the last known one. Raises NotFound for an unknown trade or another
    user's, TradeNotActive for a closed one, QuantityOffLot, QuantityNotHeld, ChangedMeanwhile if
    something else changes the trade before a part of it is exited, Conflict for a key of another
    request, MarketClosed, MarketDataUnavailable, LastPriceTooEarly.
    """
    tried: Trade | None = None
    for _ in range(MAX_TRIES):
        trade = _find(user_id, trade_id, key)
        if exited := _exited_earlier(trade, key):
            return exited
        _require_exitable(trade, tried, share)
        change = (
            queue_exit(trade, share)
            if may_queue(trade.symbol)
            else _price(trade, share, at_last_price=at_last_price)
        )
        if exited := _write(change, key):
            return exited
        tried = trade
    raise ResultUnconfirmed


def _find(user_id: str, trade_id: str, key: IdempotencyKey | None) -> Trade:
    try:
        return get_trade(user_id, trade_id)
    except NotFound:
        # A reused key is reported first, as for a trade that exists.
        if key:
            IdempotencyRecord.find(key)
        raise


def _price(trade: Trade, share: Share, *, at_last_price: bool) -> TradeChange:
    quote = services().quotes.confirmed([trade.symbol]).get(trade.symbol)
    return price_exit(trade, quote, share, at_last_price=at_last_price)


def _require_exitable(trade: Trade, tried: Trade | None, share: Share) -> None:
    """Raise unless the trade can be exited, or tried again as it was not changed by this request.

    `tried` is the trade at the last try, which lost against another change. An exit of all is
    meant whatever is held; a part was chosen of what was held before.
    """
    if trade.status is not TradeStatus.ACTIVE:
        raise TradeNotActive(trade_state(trade))
    if tried is None:
        return
    if trade.version == tried.version:
        raise ResultUnconfirmed
    if not share.is_all:
        raise ChangedMeanwhile(trade_state(trade))


def _exited_earlier(trade: Trade, key: IdempotencyKey | None) -> Exited | Queued | None:
    """Return the exit that an earlier try of this request made."""
    record = IdempotencyRecord.find(key) if key else None
    if record is None:
        return None
    if queued := record.get("queued"):
        return Queued(str(trade.id), queued["quantity"], date.fromisoformat(queued["session"]))
    # A closed trade may be read before its record, and only then.
    current = get_trade(trade.user_id, str(trade.id))
    part = record.get("part")
    if part is None:
        return Exited(current.exit, 0) if current.exit else None
    parts = [exit for exit, _ in current.partial_exits[: part + 1]]
    # In the units of that exit: a split or a bonus may have changed them since.
    left = current.held_at(part).quantity - sum(exit.quantity for exit in parts)
    return Exited(parts[-1], left)


def _write(change: TradeChange, key: IdempotencyKey | None) -> Exited | Queued | None:
    """Write an exit, and record it under `key`; return None if the trade has changed."""
    trade, exit, queued = change.trade, change.exit, queued_exit(change)

    def record(time: datetime) -> None:
        result: Document = {"trade_id": trade.id}
        if queued:
            session = queued.session.isoformat()
            result["queued"] = {"quantity": queued.quantity, "session": session}
        elif not change.is_last_exit:
            result["part"] = len(trade.partial_exits)
        if key:
            IdempotencyRecord.save(key, result, time)

    try:
        apply_batch([change], record)
    except (ClaimLost, DuplicateKeyError):
        # A concurrent request changed it or used the key; the record of the key tells which.
        return None
    if queued:
        return Queued(str(trade.id), queued.quantity, queued.session)
    assert exit is not None
    return Exited(exit, trade.entered.open_quantity - exit.quantity)
