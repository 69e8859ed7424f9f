"""Firing alerts: a tick or a candle met a level, and their user is told, once.

Alerts fire in chunks, each one transaction that claims the alerts and writes their events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from app.alerts.events import price_alert
from app.database.batches import ClaimLost, write_claimed, write_in_batches
from app.database.patience import read_patiently
from app.database.transactions import TRANSACTION_SECONDS
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
MARK_SETTLES = timedelta(seconds=6 * TRANSACTION_SECONDS)


def fire_alerts(
    ticks: Sequence[Quote],
    meanwhile: Callable[[], object] = lambda: None,
    deciding: Collection[Quote] = (),
) -> int:
    """Fire every alert that one of `ticks` crosses; return how many.

    An alert fires at the first tick, in their order, that meets a level of it. Between two chunks
    of them `meanwhile` is called. Those of the ticks that are `deciding` are the first after a time
    without prices; what they fire says so. Raises PyMongoError where some could not be written: the
    same ticks can then be given again.
    """
    crossed = read_patiently(
        lambda: triggered_by(
            ticks, Alert.find_crossed, lambda alert, tick: alert.levels.crossed_by(tick)
        )
    )
    firings = [
        AlertTrigger(alert, replace(crossing, settled_from=SettledFrom.QUOTE))
        if crossing.quote in deciding
        else AlertTrigger(alert, crossing)
        for alert, crossing in crossed
    ]
    return fire(firings, meanwhile)


def fire_missed_alerts(symbols: Iterable[str], candles_after: CandlesAfter, since: datetime) -> int:
    """Fire every alert that was crossed after `since`; return how many.

    `candles_after` tells what a symbol did after a time, while nobody watched, in order. Raises
    PyMongoError where some could not be written.
    """
    crossed = triggered_in(
        symbols,
        candles_after,
        since,
        find=Alert.find_crossed,
        began=lambda alert: alert.levels.timestamp,
        react=lambda alert, candle: alert.levels.crossed_in(candle),
    )
    return fire([AlertTrigger(alert, crossing) for alert, crossing in crossed])


def fire(firings: Sequence[AlertTrigger], meanwhile: Callable[[], object] = lambda: None) -> int:
    """Fire those of the alerts that are still active; return how many.

    Raises PyMongoError where the database was away.
    """
    outcome = write_in_batches(
        firings, _fire_chunk, lambda firing: f"the event of alert {firing.alert.id}", meanwhile
    )
    if outcome.outage:
        raise outcome.outage
    for symbol in {each.alert.symbol for each in outcome.written}:
        stop_watching(symbol)
    return len(outcome.written)


def stop_watching(symbol: str) -> None:
    """Have a symbol polled for no alert, if nobody has one on it any longer."""
    if symbol in DEFAULT_INDICES:
        # They are polled in any case, and their alerts are the most to look through.
        return
    try:
        unused = not Alert.any_active(symbol)
        if unused and SymbolState.unmark_alerted(symbol, now() - MARK_SETTLES):
            services().watchlist.alerted.discard(symbol)
    except PyMongoError as error:
        # Whatever was done before is done; a symbol watched for nothing does no harm.
        logger.warning("%s stays watched for alerts: %s", symbol, type(error).__name__)


def _fire_chunk(firings: Sequence[AlertTrigger]) -> list[AlertTrigger]:
    def write(claimed: Sequence[AlertTrigger], session: ClientSession) -> list[Notification]:
        time = now()
        if Alert.trigger_many(claimed, time, session) < len(claimed):
            raise ClaimLost
        return record_events([price_alert(each) for each in claimed], time, session)

    owners = {each.alert.user_id for each in firings}
    claimed, events = write_claimed(
        firings, write, _still_active, already_committed=Notification.are_written, user_ids=owners
    )
    publish_events(events)
    return list(claimed)


def _still_active(firings: Sequence[AlertTrigger]) -> list[AlertTrigger]:
    active = Alert.find_still_active([each.alert.id for each in firings])
    return [each for each in firings if each.alert.id in active]
