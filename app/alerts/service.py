"""Setting, listing and deleting alerts."""

from __future__ import annotations

from bson import ObjectId
from bson.errors import InvalidId
from pymongo.errors import DuplicateKeyError, PyMongoError

from app.alerts.execution import fire_alerts, stop_watching
from app.alerts.schemas import AlertsQuery, CreateAlertRequest
from app.database.batches import all_written
from app.database.transactions import run_transaction
from app.domain.alert import AlertCondition
from app.domain.errors import Conflict, NotFound, Unauthenticated
from app.domain.quote import Quote
from app.logs import logger
from app.models import Alert, AlertTrigger, IdempotencyKey, IdempotencyRecord, SymbolState, User
from app.services import now, services

MAX_ACTIVE = 100


def set_alert(
    user_id: str, request: CreateAlertRequest, key: IdempotencyKey | None = None
) -> Alert:
    """Set an alert from the latest quote on; for a retry of `key`, return it as it was set.

    Raises InvalidRequest for an unknown or unlisted symbol, AlreadyCrossed, Conflict for a key
    of another request or one alert too many, Unauthenticated for a user who is gone,
    MarketDataUnavailable.
    """
    if earlier := _set_earlier(key):
        return earlier
    symbol = services().instruments.get_tradable(request.symbol).symbol
    quote = services().quotes.last_traded(symbol)
    levels = AlertCondition.set_at(quote, above=request.above, below=request.below)
    # Asked again in the transaction; here it keeps a refused symbol from being watched.
    _refuse_too_many(user_id)
    _watch(symbol)
    try:
        alert = run_transaction(
            lambda: _write_alert(user_id, symbol, levels, key),
            already_committed=lambda alert: Alert.find_by_id(alert.id) is not None,
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # The same request, or its key for another, at the same time by way of another process.
        if earlier := _set_earlier(key):
            return earlier
        raise
    _fire_if_crossed(alert, quote)
    return alert


def list_alerts(user_id: str, query: AlertsQuery) -> tuple[list[Alert], str | None]:
    """Return a page of the user's alerts, newest first, and the cursor of the next one."""
    symbol = services().instruments.get_ordered(query.symbol).symbol if query.symbol else None
    # No cursor of ours is above it, and a page is looked for downwards from where it begins.
    newest = User.last_alert_number(user_id) + 1
    alerts = Alert.find_by_user_id(
        user_id,
        status=query.status,
        symbol=symbol,
        below=min(query.cursor or newest, newest),
        limit=query.limit + 1,
    )
    page = alerts[: query.limit]
    return page, str(page[-1].number) if len(alerts) > query.limit else None


def delete_alert(user_id: str, alert_id: str) -> None:
    """Delete an alert, fired or not; raise NotFound for an unknown one or another user's."""
    try:
        alert = run_transaction(
            lambda: Alert.delete(ObjectId(alert_id), user_id),
            already_committed=lambda alert: (
                alert is not None and Alert.find_by_id(alert.id) is None
            ),
            user_ids=[user_id],
        )
    except InvalidId:
        alert = None
    if alert is None:
        raise NotFound("You have no alert with this id.", code="alert_not_found")
    stop_watching(alert.symbol)


def _set_earlier(key: IdempotencyKey | None) -> Alert | None:
    """Return what this very request set before, as it was then, be it deleted by now."""
    answer = IdempotencyRecord.find(key) if key else None
    return Alert.from_document(answer["alert"]) if answer else None


def _write_alert(
    user_id: str,
    symbol: str,
    levels: AlertCondition,
    key: IdempotencyKey | None,
) -> Alert:
    if earlier := _set_earlier(key):
        return earlier
    number = User.count_alert(user_id)
    if number is None:
        raise Unauthenticated("This account no longer exists.", code="account_gone")
    _refuse_too_many(user_id)
    time = now()
    alert = Alert.create(
        user_id=user_id,
        number=number,
        symbol=symbol,
        levels=levels,
        created_at=time,
    )
    if key:
        IdempotencyRecord.save(key, {"alert": alert.as_set()}, time)
    return alert


def _refuse_too_many(user_id: str) -> None:
    if Alert.count_active(user_id) >= MAX_ACTIVE:
        raise Conflict(
            f"You have {MAX_ACTIVE} active alerts, the most there can be. Delete one first.",
            code="too_many_alerts",
            details={"limit": MAX_ACTIVE},
        )


def _watch(symbol: str) -> None:
    # Before the alert is written: no crash in between can leave it without anyone watching.
    # Each time, since the last alert on the symbol may take its mark away at any moment.
    SymbolState.mark_alerted(symbol, now())
    services().polled_symbols.mark_alerted(symbol)


def _fire_if_crossed(alert: Alert, quote: Quote) -> None:
    """Fire the alert if a tick crossed it between its quote and its commit.

    The monitor may have looked for what that tick crosses before the alert was there.
    """
    crossings = map(alert.levels.crossed_by, services().quotes.ticks_since(quote))
    crossing = next((each for each in crossings if each is not None), None)
    if crossing is None or not services().calendar.trading_allowed(now()):
        return
    try:
        all_written(fire_alerts([AlertTrigger(alert, crossing)]))
    except PyMongoError:
        # The alert itself is committed and must be answered so; its next tick fires it.
        logger.exception("alert %s could not be fired at the tick it missed", alert.id)
