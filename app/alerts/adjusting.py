"""Adjusting alerts to a corporate action: each once, by an update that adds the action to it."""

from __future__ import annotations

from decimal import Decimal

from app.database.transactions import run_transaction
from app.domain.checks import tick_size_of
from app.domain.corporate_actions import CorporateAction, adjust_condition
from app.domain.money import PAISA
from app.models import Alert
from app.models.stored_action import find_unadjusted_alerts
from app.services import services


def adjust_alerts(action: CorporateAction) -> int:
    """Divide the levels of the active alerts of a symbol; return how many were.

    Raises PyMongoError if the database is unavailable.
    """
    if not action.kind.changes_units:
        return 0
    instrument = services().instruments.by_symbol(action.symbol)
    tick_size = tick_size_of(instrument, "limit_price") if instrument else PAISA
    alerts = list(find_unadjusted_alerts(action))
    return sum(_adjust(alert, action, tick_size) for alert in alerts)


def _adjust(alert: Alert, action: CorporateAction, tick_size: Decimal) -> bool:
    """Return whether the alert was adjusted: it may have fired meanwhile."""
    condition = adjust_condition(alert.condition, action, tick_size)
    widening = services().bounds.widen({alert.symbol: condition.levels})
    return run_transaction(
        lambda: Alert.adjust(alert, condition, action.id, widening), user_ids=[alert.user_id]
    )
