"""Settles gaps for what other processes committed too late (app/market_data/late_writes.py)."""

from __future__ import annotations

from collections.abc import Collection

from app.alerts.service import fire_if_crossed
from app.models import Alert, LateWrite
from app.models.open_trades import find_open_of
from app.trades.service import settle_ticks_since


def settle_late_writes(shares: Collection[int]) -> None:
    """Settle what waits for it in these shares. Raises PyMongoError."""
    for late in LateWrite.find(shares):
        if late.trade_ids:
            trades = find_open_of(dict.fromkeys(late.trade_ids, late.user_id))
            settle_ticks_since(late.quote, *trades)
        if late.alert_id and (alert := Alert.find_by_id(late.user_id, late.alert_id)):
            fire_if_crossed(alert, late.quote)
        late.delete()
