"""What the prices of a recording should have done, up to the time that is settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.support.audit import rules
from tests.support.audit.snapshot import Document, Snapshot
from tests.support.recording import Recording

# Within this time of the session's end an order may still be on its way, and a pass may end.
EXPIRY = timedelta(seconds=10)


def missed_changes(snapshot: Snapshot, recording: Recording, live_since: datetime) -> list[str]:
    """Return the open trades that the settled prices should have changed.

    Since `live_since`, a recorded time, the server has settled each price by itself. Earlier ones
    it may know from candles only, which do not tell the order of the prices in them.
    """
    settled_to = snapshot.settled_to
    if settled_to is None:
        return []
    find = {"PENDING": _missed_entry, "ACTIVE": _missed_exit}
    return [
        f"trade {trade['_id']} should have changed {hit}: {trade}"
        for trade in snapshot.trades
        if trade["status"] in find
        for hit in find[trade["status"]](trade, recording, settled_to, live_since)
    ]


def _missed_entry(
    trade: Document, recording: Recording, settled_to: datetime, live_since: datetime
) -> Iterator[str]:
    since: datetime = trade["placed_timestamp"]
    expires_at: datetime = trade["expires_at"]
    if trade["triggered_at"] is not None:
        since = max(since, trade["triggered_at"], live_since)
    level = rules.entry_level(trade)
    for at, price in recording.between(trade["symbol"], since, settled_to):
        if level.is_reached(price) and at < expires_at:
            yield f"at {price}, {at}"
            return
    if expires_at + EXPIRY <= settled_to:
        yield f"when it expired, {expires_at}"


def _missed_exit(
    trade: Document, recording: Recording, settled_to: datetime, live_since: datetime
) -> Iterator[str]:
    sign, symbol = rules.sign_of(trade), trade["symbol"]
    modified = trade.get("levels_since") or {}
    since = max(trade["entry_timestamp"], modified.get("timestamp", trade["entry_timestamp"]))
    if trade["entry_settled_from"] is not None:
        # Prices of the candle that filled it may have come before the entry.
        since = max(since, live_since)
    fixed = {**trade, **dict.fromkeys(rules.TRAILING)}
    levels = [each for each in (rules.stop_level(fixed), rules.target_level(trade)) if each]
    best = rules.trailing_start(trade)["price"]
    for at, price in recording.between(symbol, since, settled_to):
        hit = any(level.is_reached(price) for level in levels)
        if at > live_since:
            stop = rules.stop_level({**trade, "stop_loss": None}, best)
            hit = hit or (stop is not None and stop.is_reached(price))
            # At least this much was followed: a candle may have hidden a better price.
            best = max(best * sign, price * sign) * sign
        if hit:
            yield f"at {price}, {at}"
            return
