"""Firing alerts: a tick or a candle reached a level, and the user is notified, once.

Alerts fire in batches. One transaction claims the alerts of a batch and records their events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from pymongo.errors import PyMongoError

from app.alerts.events import price_alert
from app.database.batches import BatchResult, ClaimLost, Fence, write_in_batches
from app.database.transactions import TRANSACTION_TIMEOUT_SECONDS, run_transaction
from app.domain.alert import Trigger
from app.domain.candle import Candle
from app.domain.quote import Quote
from app.domain.triggers import CandlesAfter, SettledFrom, triggered_by, triggered_in
from app.events import publish_events, record_events
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.models import Alert, AlertTrigger, Notification, SymbolState
from app.services import now, services

# No alert is still being written behind a mark of this age, even if server clocks differ.
MARK_SETTLES = timedelta(seconds=6 * TRANSACTION_TIMEOUT_SECONDS)


def find_crossed(ticks: Sequence[Quote], deciding: Collection[Quote] = ()) -> list[AlertTrigger]:
    """Return every alert that one of `ticks` crosses, with the first tick that reaches a level.

    The `deciding` ticks are the first after a time without prices: the alerts that they fire are
    marked as settled from a quote.
    """

    def react(alert: Alert, tick: Quote) -> Trigger | None:
        return crossed_by(alert, tick, SettledFrom.QUOTE if tick in deciding else None)

    crossed = triggered_by(ticks, Alert.find_crossed, react)
    return [AlertTrigger(alert, trigger) for alert, trigger in crossed]


def find_missed_alerts(
    symbols: Iterable[str], candles_after: CandlesAfter, since: datetime
) -> list[AlertTrigger]:
    """Return every alert that was crossed after `since`."""
    crossed = triggered_in(
        symbols,
        candles_after,
        since,
        find=Alert.find_crossed,
        began=lambda alert: alert.condition.timestamp,
        react=crossed_in,
    )
    return [AlertTrigger(alert, trigger) for alert, trigger in crossed]


def crossed_by(
    alert: Alert, tick: Quote, settled_from: SettledFrom | None = None
) -> Trigger | None:
    """Return how a tick fires an alert; None if it does not, or is in other units."""
    if not services().actions.has_same_units(alert, tick.timestamp):
        return None
    return alert.condition.crossed_by(tick, settled_from)


def crossed_in(alert: Alert, candle: Candle) -> Trigger | None:
    """Return how a candle fires an alert; None if it does not, or is in other units."""
    if not services().actions.has_same_units(alert, candle.time):
        return None
    return alert.condition.crossed_in(candle)


def fire_alerts(
    triggers: Sequence[AlertTrigger], fence: Fence | None = None
) -> Iterator[BatchResult[AlertTrigger]]:
    """Fire those of the alerts that are still active, in batches; yield each result.

    Raises LeaseLost if the `fence` does.
    """
    for result in write_in_batches([triggers], partial(_fire_batch, fence=fence), _name):
        for symbol in {trigger.alert.symbol for trigger in result.written}:
            stop_polling(symbol)
        yield result


def stop_polling(symbol: str) -> None:
    """Remove the alert mark of a symbol that no longer has active alerts."""
    if symbol in DEFAULT_INDICES:
        # They are always polled, and have the most alerts to search.
        return
    try:
        unused = not Alert.any_active(symbol)
        if unused and SymbolState.unmark_alerted(symbol, now() - MARK_SETTLES):
            services().polled_symbols.alerted.discard(symbol)
    except PyMongoError as error:
        # The caller's work is committed, and a superfluous mark does no harm.
        logger.warning("%s stays polled for alerts: %s", symbol, type(error).__name__)


def _fire_batch(triggers: Sequence[AlertTrigger], fence: Fence | None) -> Sequence[AlertTrigger]:
    def write() -> list[Notification]:
        time = now()
        if Alert.trigger_many(triggers, time) < len(triggers):
            raise ClaimLost
        events = record_events([price_alert(trigger) for trigger in triggers], time)
        if fence is not None:
            fence({trigger.alert.symbol for trigger in triggers})
        return events

    user_ids = {trigger.alert.user_id for trigger in triggers}
    publish_events(
        run_transaction(write, already_committed=Notification.are_written, user_ids=user_ids)
    )
    return triggers


def _name(trigger: AlertTrigger) -> str:
    return f"the event of alert {trigger.alert.id}"
