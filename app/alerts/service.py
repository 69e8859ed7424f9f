"""Setting, listing and deleting alerts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from itertools import chain
from operator import attrgetter

from pymongo.errors import DuplicateKeyError

from app.alerts.execution import crossed_by, crossed_in, fire_alerts, stop_polling
from app.database import object_id
from app.database.transactions import run_transaction
from app.domain.alert import AlertCondition, AlertStatus
from app.domain.errors import AccountGone, Conflict, InvalidFields, NotFound, ResultUnconfirmed
from app.domain.quote import Quote
from app.market_data.late_writes import hand_over_if_late
from app.market_data.session_prices import mark_candles
from app.models import Alert, AlertTrigger, IdempotencyKey, IdempotencyRecord, LateWrite, User
from app.models.paging import read_page
from app.models.widening import Widening
from app.services import market_time, now, services

MAX_ACTIVE = 100


def set_alert(
    user_id: str,
    symbol: str,
    *,
    above: Decimal | None = None,
    below: Decimal | None = None,
    key: IdempotencyKey | None = None,
) -> Alert:
    """Set an alert at the last quote; for a retry of `key`, return the alert as it was set.

    Levels are rupees. Raises InvalidRequest for an unknown or unlisted symbol, AlreadyCrossed,
    Conflict for a key of another request or one alert too many, AccountGone,
    MarketDataUnavailable.
    """
    if earlier := _set_earlier(key):
        return earlier
    symbol = services().instruments.get_tradable(symbol).symbol
    quote = _current_quote(symbol)
    condition = AlertCondition.set_at(quote, above=above, below=below)
    # Checked again in the transaction; checked here, a refused alert does not mark its symbol.
    _refuse_too_many(user_id)
    services().polled_symbols.mark_alerted(symbol, now())
    widening = services().bounds.widen({symbol: condition.levels})
    try:
        alert = run_transaction(
            lambda: _write_alert(user_id, symbol, condition, key, widening),
            already_committed=lambda alert: Alert.find_by_id(user_id, alert.id) is not None,
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # Another process handled the same request, or one with the same key, at the same time.
        if earlier := _set_earlier(key):
            return earlier
        raise ResultUnconfirmed from None
    fire_if_crossed(alert, quote)
    return alert


def list_alerts(
    user_id: str,
    *,
    status: AlertStatus | None = None,
    symbol: str | None = None,
    cursor: int | None = None,
    limit: int,
) -> tuple[list[Alert], str | None]:
    """Return a page of the user's alerts, newest first, and the cursor of the next one."""
    name = services().instruments.get_ordered(symbol).symbol if symbol else None
    return read_page(
        partial(Alert.find_by_user_id, user_id, status=status, symbol=name),
        attrgetter("number"),
        cursor=cursor,
        newest=User.last_alert_number(user_id),
        limit=limit,
    )


def change_alert(user_id: str, alert_id: str, levels: Mapping[str, Decimal | None]) -> Alert:
    """Replace the given levels of an active alert, None for no such level; return the alert.

    `levels` has `above`, `below` or both, in rupees. Raises NotFound, Conflict if the alert has
    fired or changes meanwhile, InvalidFields if no level is left, AlreadyCrossed,
    MarketDataUnavailable.
    """
    id = object_id(alert_id)
    alert = Alert.find_by_id(user_id, id) if id else None
    if alert is None:
        raise _unknown()
    kept = {"above": alert.condition.above, "below": alert.condition.below, **levels}
    if not any(kept.values()):
        raise InvalidFields(dict.fromkeys(levels, "one level must stay; delete the alert instead"))
    quote = _current_quote(alert.symbol)
    services().actions.require_same_units(alert, quote)
    condition = AlertCondition.set_at(quote, above=kept["above"], below=kept["below"])
    services().polled_symbols.mark_alerted(alert.symbol, now())
    widening = services().bounds.widen({alert.symbol: condition.levels})
    changed = run_transaction(lambda: Alert.change(alert, condition, widening), user_ids=[user_id])
    if changed is None:
        raise Conflict(
            "The alert has fired, or another request changed it. Read it again.",
            code="alert_changed",
        )
    fire_if_crossed(changed, quote)
    return changed


def delete_alert(user_id: str, alert_id: str) -> None:
    """Delete an alert, fired or not; raise NotFound for an unknown one or another user's."""
    id = object_id(alert_id)
    alert = id and run_transaction(
        lambda: Alert.delete(id, user_id),
        already_committed=lambda alert: (
            alert is not None and Alert.find_by_id(user_id, alert.id) is None
        ),
        user_ids=[user_id],
    )
    if not alert:
        raise _unknown()
    stop_polling(alert.symbol)


def _current_quote(symbol: str) -> Quote:
    """Return the last quote; raise MarketDataUnavailable if it is of before a split of today."""
    quote = services().quotes.require(symbol)
    services().actions.require_current(quote, market_time())
    return quote


def _unknown() -> NotFound:
    return NotFound("You have no alert with this id.", code="alert_not_found")


def _set_earlier(key: IdempotencyKey | None) -> Alert | None:
    """Return the alert that an earlier try of this request set, as it was set."""
    record = IdempotencyRecord.find(key) if key else None
    return Alert.from_document(record["alert"]) if record else None


def _write_alert(
    user_id: str,
    symbol: str,
    condition: AlertCondition,
    key: IdempotencyKey | None,
    widening: Widening,
) -> Alert:
    if earlier := _set_earlier(key):
        return earlier
    number = User.count_alert(user_id)
    if number is None:
        raise AccountGone
    _refuse_too_many(user_id)
    time = now()
    alert = Alert.create(
        user_id=user_id,
        number=number,
        symbol=symbol,
        condition=condition,
        created_at=time,
        widening=widening,
    )
    if key:
        IdempotencyRecord.save(key, {"alert": alert.as_set()}, time)
    return alert


def _refuse_too_many(user_id: str) -> None:
    if Alert.count_active(user_id) >= MAX_ACTIVE:
        raise Conflict(
            f"You have {MAX_ACTIVE} active alerts, which is the maximum. Delete one first.",
            code="too_many_alerts",
            details={"limit": MAX_ACTIVE},
        )


def fire_if_crossed(alert: Alert, quote: Quote) -> None:
    """Fire the alert if a price crossed it between its quote and its commit.

    The monitor may have settled that price before the alert was in the database. A failure is
    logged by fire_alerts: the alert is committed, and its next tick fires it.
    """
    parts = services()
    late = LateWrite(alert.user_id, quote, alert_id=alert.id)
    hand_over_if_late(late, parts.feed, parts.quotes)
    unposted = parts.quotes.unposted_since(quote)
    candles = mark_candles(unposted, quote.timestamp, parts.calendar, parts.auctions)
    ticks = parts.quotes.ticks_since(quote)
    triggers = chain(
        (crossed_in(alert, candle) for candle in candles),
        (crossed_by(alert, tick) for tick in ticks),
    )
    trigger = next(filter(None, triggers), None)
    if trigger and parts.calendar.trading_allowed(market_time()):
        deque(fire_alerts([AlertTrigger(alert, trigger)]), maxlen=0)
