"""Requests and responses of API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from app.models import ApiKey
from app.web.schemas import ONE_LINE, RequestModel, ResponseModel, Timestamp

KeyScope = Literal["read", "trade"]


class CreateApiKeyRequest(RequestModel):
    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), *ONE_LINE
    ] = Field(description="What the key is for. 1 to 60 characters.", examples=["Breakout bot"])
    scopes: list[KeyScope] = Field(
        min_length=1,
        max_length=2,
        description="`read` reads your data, `trade` places and changes orders.",
        examples=[["read", "trade"]],
    )
    expires_at: AwareDatetime | None = Field(
        default=None,
        description="When the key stops working, with a time zone. If left out, never.",
        examples=["2027-03-31T00:00:00Z"],
    )


class ApiKeyView(ResponseModel):
    """A key without its secret part."""

    key_id: str = Field(description="The id of the key.", examples=["6744a1f0c2d5e8b7a9f01237"])
    name: str = Field(description="What the key is for.", examples=["Breakout bot"])
    scopes: list[KeyScope] = Field(description="What it may do.", examples=[["read", "trade"]])
    last4: str = Field(description="The last four characters of the key.", examples=["9f3c"])
    created_at: Timestamp = Field(description="When it was created, UTC.")
    expires_at: Timestamp | None = Field(
        description="When it stops working, UTC; null for never.",
        examples=["2027-03-31T00:00:00.000Z"],
    )
    last_used_at: Timestamp | None = Field(
        description="When it was last used, UTC, to about a minute; null before the first use."
    )

    @classmethod
    def of(cls, key: ApiKey) -> ApiKeyView:
        return cls.model_validate({"key_id": str(key.id), **_shown(key)})


class CreatedApiKey(ApiKeyView):
    """A new key. This response is the only one that ever has it."""

    api_key: str = Field(
        description="The key for the header `X-API-Key`. Keep it now: it is not shown again.",
        examples=["ptk_" + "0" * 60 + "9f3c"],
    )

    @classmethod
    def with_text(cls, key: ApiKey, text: str) -> CreatedApiKey:
        return cls.model_validate({"key_id": str(key.id), "api_key": text, **_shown(key)})


class ApiKeysResponse(ResponseModel):
    api_keys: list[ApiKeyView] = Field(description="Your keys, newest first.")


def _shown(key: ApiKey) -> dict[str, object]:
    names = ("name", "scopes", "last4", "created_at", "expires_at", "last_used_at")
    return {name: getattr(key, name) for name in names} | {"scopes": list(key.scopes)}
