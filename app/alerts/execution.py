"""Firing alerts: a tick or a candle met a level, and the user is notified, once.

Alerts fire in batches. One transaction claims the alerts of a batch and records their events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pymongo.errors import PyMongoError

from app.alerts.events import price_alert
from app.database.batches import BatchResult, ClaimLost, write_in_batches
from app.database.transactions import TRANSACTION_TIMEOUT_SECONDS, run_transaction
from app.domain.bracket import SettledFrom
from app.domain.quote import Quote
from app.domain.triggers import CandlesAfter, triggered_by, triggered_in
from app.events import publish_events, record_events
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.models import Alert, AlertTrigger, Notification, SymbolState
from app.services import now, services

# A mark this old has no alert behind it that is still being written, whatever the clocks of
# several servers say.
MARK_SETTLES = timedelta(seconds=6 * TRANSACTION_TIMEOUT_SECONDS)


def find_crossed(ticks: Sequence[Quote], deciding: Collection[Quote] = ()) -> list[AlertTrigger]:
    """Return every alert that one of `ticks` crosses, with the first tick that meets a level.

    The `deciding` ticks are the first after a time without prices: what they fire says so.
    """
    crossed = triggered_by(
        ticks, Alert.find_crossed, lambda alert, tick: alert.levels.crossed_by(tick)
    )
    return [
        AlertTrigger(alert, replace(crossing, settled_from=SettledFrom.QUOTE))
        if crossing.quote in deciding
        else AlertTrigger(alert, crossing)
        for alert, crossing in crossed
    ]


def find_missed_alerts(
    symbols: Iterable[str], candles_after: CandlesAfter, since: datetime
) -> list[AlertTrigger]:
    """Return every alert that was crossed after `since`.

    `candles_after` returns the candles of a symbol after a time, in order.
    """
    crossed = triggered_in(
        symbols,
        candles_after,
        since,
        find=Alert.find_crossed,
        began=lambda alert: alert.levels.timestamp,
        react=lambda alert, candle: alert.levels.crossed_in(candle),
    )
    return [AlertTrigger(alert, crossing) for alert, crossing in crossed]


def fire_alerts(triggers: Sequence[AlertTrigger]) -> Iterator[BatchResult[AlertTrigger]]:
    """Fire those of the alerts that are still active, in batches; yield each result."""
    for result in write_in_batches(triggers, _fire_batch, _name):
        for symbol in {each.alert.symbol for each in result.written}:
            stop_watching(symbol)
        yield result


def stop_watching(symbol: str) -> None:
    """Have a symbol polled for no alert, if nobody has one on it any longer."""
    if symbol in DEFAULT_INDICES:
        # They are polled in any case, and their alerts are the most to look through.
        return
    try:
        unused = not Alert.any_active(symbol)
        if unused and SymbolState.unmark_alerted(symbol, now() - MARK_SETTLES):
            services().polled_symbols.alerted.discard(symbol)
    except PyMongoError as error:
        # Whatever was done before is done; a symbol watched for nothing does no harm.
        logger.warning("%s stays watched for alerts: %s", symbol, type(error).__name__)


def _fire_batch(triggers: Sequence[AlertTrigger]) -> None:
    events = run_transaction(
        lambda: _write_triggers(triggers),
        already_committed=Notification.are_written,
        user_ids={each.alert.user_id for each in triggers},
    )
    publish_events(events)


def _write_triggers(triggers: Sequence[AlertTrigger]) -> list[Notification]:
    time = now()
    if Alert.trigger_many(triggers, time) < len(triggers):
        raise ClaimLost
    return record_events([price_alert(each) for each in triggers], time)


def _name(trigger: AlertTrigger) -> str:
    return f"the event of alert {trigger.alert.id}"
