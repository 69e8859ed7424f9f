"""Routes of webhooks. A key may read them; where events go is for people to decide."""

from __future__ import annotations

from flask import Blueprint

from app.extensions import limiter
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.principal import Scope
from app.web.schemas import MessageResponse, NoBody
from app.webhooks import service
from app.webhooks.schemas import (
    ChangeWebhookRequest,
    CreateWebhookRequest,
    DeliveriesQuery,
    DeliveriesResponse,
    DeliveryView,
    SecretWebhook,
    WebhooksResponse,
    WebhookView,
)

blueprint = Blueprint("webhooks", __name__, url_prefix="/notifications/webhooks")
UNKNOWN = {404: ["webhook_not_found"]}
# Each waits for the endpoint.
SENDING_LIMIT = "10 per minute"


@blueprint.post("", strict_slashes=False)
@endpoint(
    body=CreateWebhookRequest,
    responses={201: SecretWebhook},
    errors={
        400: ["webhook_url_refused"],
        401: ["account_gone"],
        409: ["too_many_webhooks"],
    },
    scope=Scope.ACCOUNT,
)
def create_webhook(body: CreateWebhookRequest) -> tuple[SecretWebhook, int]:
    """Create a webhook for the events from now on, at most 5. The response alone has its secret."""
    events = None if body.events is None else frozenset(body.events)
    webhook, secret = service.create_webhook(
        current_principal().user_id, body.url, events, body.description
    )
    return SecretWebhook.with_secret(webhook, secret), 201


@blueprint.get("", strict_slashes=False)
@endpoint(responses={200: WebhooksResponse})
def list_webhooks() -> WebhooksResponse:
    """List your webhooks, newest first."""
    webhooks = service.list_webhooks(current_principal().user_id)
    return WebhooksResponse(webhooks=[WebhookView.of(webhook) for webhook in webhooks])


@blueprint.get("/<webhook_id>")
@endpoint(responses={200: WebhookView}, errors=UNKNOWN)
def get_webhook(webhook_id: str) -> WebhookView:
    """Show a webhook and the state of its deliveries."""
    return WebhookView.of(service.get_webhook(current_principal().user_id, webhook_id))


@blueprint.patch("/<webhook_id>")
@endpoint(
    body=ChangeWebhookRequest,
    responses={200: WebhookView},
    errors={400: ["webhook_url_refused"], **UNKNOWN},
    scope=Scope.ACCOUNT,
)
def change_webhook(webhook_id: str, body: ChangeWebhookRequest) -> WebhookView:
    """Change, disable or enable a webhook, or have it continue after another event."""
    return WebhookView.of(
        service.change_webhook(current_principal().user_id, webhook_id, body.to_changes())
    )


@blueprint.delete("/<webhook_id>")
@endpoint(responses={200: MessageResponse}, errors=UNKNOWN, scope=Scope.ACCOUNT)
def delete_webhook(webhook_id: str) -> MessageResponse:
    """Delete a webhook with its log. A request that is under way may still arrive."""
    service.delete_webhook(current_principal().user_id, webhook_id)
    return MessageResponse(message="Webhook deleted")


@blueprint.post("/<webhook_id>/secret")
@endpoint(body=NoBody, responses={200: SecretWebhook}, errors=UNKNOWN, scope=Scope.ACCOUNT)
def rotate_webhook_secret(webhook_id: str, body: NoBody) -> SecretWebhook:
    """Replace the secret. For 24 hours messages are signed by the previous one as well."""
    webhook, secret = service.rotate_secret(current_principal().user_id, webhook_id)
    return SecretWebhook.with_secret(webhook, secret)


@blueprint.post("/<webhook_id>/test")
@limiter.limit(SENDING_LIMIT, methods=["POST"], override_defaults=False)
@endpoint(body=NoBody, responses={200: DeliveryView}, errors=UNKNOWN, scope=Scope.ACCOUNT)
def send_webhook_test(webhook_id: str, body: NoBody) -> DeliveryView:
    """Send a test message now, and return what the endpoint answered. 10 a minute."""
    return DeliveryView.of(service.send_test(current_principal().user_id, webhook_id))


@blueprint.get("/<webhook_id>/deliveries")
@endpoint(query=DeliveriesQuery, responses={200: DeliveriesResponse}, errors=UNKNOWN)
def list_webhook_deliveries(webhook_id: str, query: DeliveriesQuery) -> DeliveriesResponse:
    """List the deliveries of the last 30 days, newest first."""
    page, next_cursor = service.list_deliveries(
        current_principal().user_id,
        webhook_id,
        status=query.status,
        cursor=query.cursor,
        limit=query.limit,
    )
    deliveries = [DeliveryView.of(delivery) for delivery in page]
    return DeliveriesResponse(deliveries=deliveries, next_cursor=next_cursor)


@blueprint.post("/<webhook_id>/deliveries/<delivery_id>/replay")
@limiter.limit(SENDING_LIMIT, methods=["POST"], override_defaults=False)
@endpoint(
    body=NoBody,
    responses={200: DeliveryView},
    errors={404: ["delivery_not_found", "webhook_not_found"], 409: ["event_deleted"]},
    scope=Scope.ACCOUNT,
)
def replay_webhook_delivery(webhook_id: str, delivery_id: str, body: NoBody) -> DeliveryView:
    """Send the event of a delivery once more now, out of order. 10 a minute."""
    return DeliveryView.of(service.replay(current_principal().user_id, webhook_id, delivery_id))
