"""Routes of notifications."""

from __future__ import annotations

from flask import Blueprint

from app.extensions import limiter
from app.notifications import service
from app.notifications.schemas import (
    MarkAllReadRequest,
    MarkAllReadResponse,
    NotificationsQuery,
    NotificationsResponse,
    NotificationView,
    PreferencesRequest,
    PreferencesResponse,
    SendRequest,
)
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.principal import Scope
from app.web.schemas import MessageResponse, NoBody

blueprint = Blueprint("notifications", __name__, url_prefix="/notifications")


@blueprint.post("", strict_slashes=False)
@limiter.limit("5 per minute", methods=["POST"], override_defaults=False)
@endpoint(body=SendRequest, responses={200: MessageResponse}, errors={401: ["account_gone"]})
def send_notification(body: SendRequest) -> MessageResponse:
    """Send yourself a notification by every channel, at most 5 a minute."""
    service.send(current_principal().user_id, body.event, body.message)
    return MessageResponse(message="Notification sent")


@blueprint.get("", strict_slashes=False)
@endpoint(query=NotificationsQuery, responses={200: NotificationsResponse})
def list_notifications(query: NotificationsQuery) -> NotificationsResponse:
    """List notifications, newest first."""
    page, unread_count, next_cursor = service.list_notifications(
        current_principal().user_id, unread=query.unread, cursor=query.cursor, limit=query.limit
    )
    return NotificationsResponse(
        notifications=[NotificationView.of(notification) for notification in page],
        unread_count=unread_count,
        next_cursor=next_cursor,
    )


@blueprint.get("/preferences")
@endpoint(responses={200: PreferencesResponse}, errors={401: ["account_gone"]})
def get_preferences() -> PreferencesResponse:
    """Show which events are sent by which channel."""
    return PreferencesResponse.of(service.get_preferences(current_principal().user_id))


@blueprint.put("/preferences")
@endpoint(
    body=PreferencesRequest,
    responses={200: PreferencesResponse},
    errors={401: ["account_gone"]},
    scope=Scope.ACCOUNT,
)
def replace_preferences(body: PreferencesRequest) -> PreferencesResponse:
    """Replace which events are sent by which channel. All events are recorded in any case."""
    preferences = body.to_preferences()
    service.replace_preferences(current_principal().user_id, preferences)
    return PreferencesResponse.of(preferences)


@blueprint.get("/unsubscribe/<token>")
@endpoint(responses={200: MessageResponse}, errors={404: ["link_unknown"]}, public=True)
def stop_emails(token: str) -> MessageResponse:
    """Stop the emails to the recipient of this link."""
    return MessageResponse(message=service.stop_emails(token))


@blueprint.post("/unsubscribe/<token>")
@endpoint(responses={200: MessageResponse}, errors={404: ["link_unknown"]}, public=True)
def stop_emails_by_mail_program(token: str) -> MessageResponse:
    """Stop the emails by the button of a mail program (RFC 8058). The body is ignored."""
    return MessageResponse(message=service.stop_emails(token))


@blueprint.put("/read")
@endpoint(
    body=MarkAllReadRequest, responses={200: MarkAllReadResponse}, errors={401: ["account_gone"]}
)
def mark_all_notifications_read(body: MarkAllReadRequest) -> MarkAllReadResponse:
    """Mark all notifications as read, or those up to one that the user has seen."""
    count, unread = service.mark_all_read(current_principal().user_id, body.up_to_seq)
    return MarkAllReadResponse(message="Notifications read", count=count, unread_count=unread)


@blueprint.put("/<notification_id>/read")
@endpoint(body=NoBody, responses={200: MessageResponse}, errors={404: ["notification_not_found"]})
def mark_notification_read(notification_id: str, body: NoBody) -> MessageResponse:
    """Mark a notification as read. Repeating it changes nothing."""
    service.mark_read(current_principal().user_id, notification_id)
    return MessageResponse(message="Notification read")
