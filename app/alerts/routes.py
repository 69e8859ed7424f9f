"""The routes of price alerts. The market blueprint serves them under its own address."""

from __future__ import annotations

from flask import Blueprint

from app.alerts import service
from app.alerts.schemas import (
    AlertsQuery,
    AlertsResponse,
    AlertView,
    ChangeAlertRequest,
    CreateAlertRequest,
)
from app.models import IdempotencyKey
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.schemas import MessageResponse

blueprint = Blueprint("alerts", __name__, url_prefix="/alerts")


@blueprint.post("", strict_slashes=False)
@endpoint(
    body=CreateAlertRequest,
    responses={201: AlertView},
    errors={
        400: ["already_crossed", "unknown_symbol", "unlisted_symbol"],
        401: ["account_gone"],
        409: ["too_many_alerts"],
        503: ["market_data_unavailable"],
    },
    idempotent=True,
)
def create_alert(body: CreateAlertRequest, key: IdempotencyKey | None) -> tuple[AlertView, int]:
    """Set an alert: one notification when the price first reaches a level."""
    alert = service.set_alert(
        current_principal().user_id, body.symbol, above=body.above, below=body.below, key=key
    )
    return AlertView.of(alert), 201


@blueprint.get("", strict_slashes=False)
@endpoint(query=AlertsQuery, responses={200: AlertsResponse}, errors={400: ["unknown_symbol"]})
def list_alerts(query: AlertsQuery) -> AlertsResponse:
    """List alerts, newest first."""
    page, next_cursor = service.list_alerts(
        current_principal().user_id,
        status=query.status,
        symbol=query.symbol,
        cursor=query.cursor,
        limit=query.limit,
    )
    return AlertsResponse(alerts=[AlertView.of(alert) for alert in page], next_cursor=next_cursor)


@blueprint.patch("/<alert_id>")
@endpoint(
    body=ChangeAlertRequest,
    responses={200: AlertView},
    errors={
        400: ["already_crossed"],
        404: ["alert_not_found"],
        409: ["alert_changed"],
        503: ["market_data_unavailable"],
    },
)
def change_alert(alert_id: str, body: ChangeAlertRequest) -> AlertView:
    """Move the levels of an alert that has not fired."""
    return AlertView.of(service.change_alert(current_principal().user_id, alert_id, body.levels))


@blueprint.delete("/<alert_id>")
@endpoint(responses={200: MessageResponse}, errors={404: ["alert_not_found"]})
def delete_alert(alert_id: str) -> MessageResponse:
    """Delete an alert; an active one never fires after that."""
    service.delete_alert(current_principal().user_id, alert_id)
    return MessageResponse(message="Alert deleted")
