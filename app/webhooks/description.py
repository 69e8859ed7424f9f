"""Webhooks in the OpenAPI document: what an endpoint receives, and what it should answer."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.web.schemas import ResponseModel, Timestamp


class WebhookBody(ResponseModel):
    """The body of a message: `event`, `data` and `seq` are those of `trade_update`."""

    id: str = Field(
        description="The id of the event, the same in every attempt.",
        examples=["6744a1f0c2d5e8b7a9f01236"],
    )
    event: str = Field(description="The type of the event.", examples=["trade_exited"])
    data: dict[str, Any] = Field(
        description="The event as data; docs/events.md lists the fields of each type.",
        examples=[{"trade_id": "6744a1f0c2d5e8b7a9f01234", "pnl": 483.1}],
    )
    seq: int | None = Field(
        description="The number of the event among the user's; null for a test.", examples=[41]
    )
    timestamp: Timestamp = Field(description="When the event was written, UTC.")


_HEADERS = {
    "webhook-id": ("The `id` of the body.", "6744a1f0c2d5e8b7a9f01236"),
    "webhook-timestamp": ("The time of the attempt, in Unix seconds.", "1795757400"),
    "webhook-signature": (
        "One or two signatures: `v1,` and the base64 of an HMAC-SHA-256 of id, timestamp and body.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}


def describe_webhooks() -> dict[str, Any]:
    """Return the `webhooks` of the OpenAPI document, without references."""
    schema = WebhookBody.model_json_schema(mode="serialization")
    for described in schema["properties"].values():
        described.pop("title", None)
    parameters = [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": description,
            "schema": {"type": "string"},
            "example": example,
        }
        for name, (description, example) in _HEADERS.items()
    ]
    operation = {
        "summary": "An event of the user, posted to the URL of a webhook.",
        "description": "Signed by the Standard Webhooks scheme. Verify it over the exact bytes of "
        "the body, and ignore a `seq` that you have seen.",
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "2XX": {"description": "Accepted; the next event follows."},
            "410": {"description": "The endpoint is gone: the webhook is disabled."},
            "default": {"description": "Not accepted: the event is sent again later."},
        },
    }
    return {"event": {"post": operation}}
