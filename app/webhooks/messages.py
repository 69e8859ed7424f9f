"""Messages to webhooks: their body, and their signature by the Standard Webhooks scheme.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import standardwebhooks

from app.models import Notification, Webhook
from app.services import services
from app.web.schemas import format_time, to_json

SECRET_PREFIX = "whsec_"  # noqa: S105 - the beginning of each secret
# How long messages are signed by the previous secret as well.
ROTATION = timedelta(hours=24)
TEST_EVENT = "webhook_test"


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A message: the fields of `trade_update`, an id that stays the same, and a time.

    A test has no `seq`.
    """

    id: str
    event: str
    data: dict[str, Any]
    seq: int | None
    timestamp: datetime

    @classmethod
    def of(cls, event: Notification) -> WebhookMessage:
        return cls(str(event.id), event.type, event.data, event.seq, event.created_at)

    def to_json(self) -> str:
        content = {
            "id": self.id,
            "event": self.event,
            "data": to_json(self.data),
            "seq": self.seq,
            "timestamp": format_time(self.timestamp),
        }
        return json.dumps(content, separators=(",", ":"))


def sign(webhook: Webhook, message_id: str, body: str, now: datetime) -> dict[str, str]:
    """Return the headers that prove to the endpoint who sent `body`, and when."""
    secrets = [secret_of(webhook)]
    if webhook.rotated_at is not None and now - webhook.rotated_at < ROTATION:
        secrets.append(secret_of(webhook, webhook.secret_version - 1))
    signatures = [standardwebhooks.Webhook(each).sign(message_id, now, body) for each in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def secret_of(webhook: Webhook, version: int | None = None) -> str:
    """Return the secret of a webhook, by default the current one.

    It is derived from SECRET_KEY, so that the database has no secret of anyone.
    """
    key = services().settings.secret_key.get_secret_value().encode()
    name = f"webhook secret/{webhook.id}/{version or webhook.secret_version}"
    digest = hmac.digest(key, name.encode(), "sha256")
    return SECRET_PREFIX + base64.b64encode(digest).decode()
