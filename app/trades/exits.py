"""The exit of a trade that its user asks for: all that is held, or a part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.database.batches import ClaimLost
from app.domain.errors import ChangedMeanwhile, ResultUnconfirmed, TradeNotActive
from app.domain.fill import Exit
from app.domain.share import ALL, Share
from app.domain.trade import TradeStatus
from app.models import IdempotencyKey, IdempotencyRecord, Trade, TradeChange
from app.services import now, services
from app.trades.execution import apply_batch
from app.trades.exit_prices import price_exit
from app.trades.service import get_trade
from app.trades.state import trade_state

# Each try loses against another change of the same trade.
MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class Exited:
    """An exit, and the quantity that is held after it."""

    exit: Exit
    open_quantity: int


def exit_trade(
    user_id: str,
    trade_id: str,
    key: IdempotencyKey | None = None,
    *,
    share: Share = ALL,
    at_last_price: bool = False,
) -> Exited:
    """Exit a share of the user's trade at the last traded price.

    For a retry of `key`, return its exit again. With `at_last_price`, a share without a price for
    a trading day exits at the last known one. Raises NotFound for an unknown trade or another
    user's, TradeNotActive for a closed one, QuantityOffLot, QuantityNotHeld, ChangedMeanwhile if
    something else changes the trade before a part of it is exited, Conflict for a key of another
    request, MarketClosed outside market hours, MarketDataUnavailable, LastPriceTooEarly.
    """
    tried: Trade | None = None
    for _ in range(MAX_TRIES):
        trade = get_trade(user_id, trade_id)
        if exited := _exited_earlier(trade, key):
            return exited
        _require_exitable(trade, tried, share)
        services().calendar.require_trading(now())
        quote = services().quotes.confirmed([trade.symbol]).get(trade.symbol)
        change = price_exit(trade, quote, share, at_last_price=at_last_price)
        if exited := _write(change, key):
            return exited
        tried = trade
    raise ResultUnconfirmed


def _require_exitable(trade: Trade, tried: Trade | None, share: Share) -> None:
    """Raise unless the trade can be exited, or tried again as it was not changed by this request.

    `tried` is the trade at the last try, which lost against another change. An exit of all is
    meant whatever is held; a part was chosen of what was held before.
    """
    if trade.status is not TradeStatus.ACTIVE:
        raise TradeNotActive(trade.status.value, trade.pnl)
    if tried is None:
        return
    if trade.version == tried.version:
        raise ResultUnconfirmed
    if not share.is_all:
        raise ChangedMeanwhile(trade_state(trade))


def _exited_earlier(trade: Trade, key: IdempotencyKey | None) -> Exited | None:
    """Return the exit that an earlier try of this request made."""
    record = IdempotencyRecord.find(key) if key else None
    if record is None:
        return None
    # A closed trade may be read before its record, and only then.
    current = get_trade(trade.user_id, str(trade.id))
    part = record.get("part")
    if part is None:
        return Exited(current.exit, 0) if current.exit else None
    parts = [exit for exit, _ in current.partial_exits[: part + 1]]
    left = current.entered.quantity - sum(exit.quantity for exit in parts)
    return Exited(parts[-1], left)


def _write(change: TradeChange, key: IdempotencyKey | None) -> Exited | None:
    """Write an exit, and record it under `key`; return None if the trade has changed."""
    trade, exit = change.trade, change.exit
    assert exit is not None

    def record(time: datetime) -> None:
        if key:
            part = None if change.is_last_exit else len(trade.partial_exits)
            IdempotencyRecord.save(key, {"trade_id": trade.id, "part": part}, time)

    try:
        apply_batch([change], record)
    except (ClaimLost, DuplicateKeyError):
        # A concurrent request changed it or used the key; the record of the key tells which.
        return None
    return Exited(exit, trade.entered.open_quantity - exit.quantity)
