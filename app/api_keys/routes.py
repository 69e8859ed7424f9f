"""Routes of API keys. A key cannot create, list or delete keys."""

from __future__ import annotations

from flask import Blueprint

from app.api_keys import service
from app.api_keys.schemas import ApiKeysResponse, ApiKeyView, CreateApiKeyRequest, CreatedApiKey
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.principal import Scope
from app.web.schemas import MessageResponse

blueprint = Blueprint("api_keys", __name__, url_prefix="/auth/api-keys")


@blueprint.post("", strict_slashes=False)
@endpoint(
    body=CreateApiKeyRequest,
    responses={201: CreatedApiKey},
    errors={400: ["invalid_expiry"], 401: ["account_gone"], 409: ["too_many_api_keys"]},
    scope=Scope.ACCOUNT,
)
def create_api_key(body: CreateApiKeyRequest) -> tuple[CreatedApiKey, int]:
    """Create a key for a bot, at most 20. The response alone shows it."""
    scopes = {Scope(scope) for scope in body.scopes}
    key, text = service.create_key(current_principal().user_id, body.name, scopes, body.expires_at)
    return CreatedApiKey.with_text(key, text), 201


@blueprint.get("", strict_slashes=False)
@endpoint(responses={200: ApiKeysResponse}, scope=Scope.ACCOUNT)
def list_api_keys() -> ApiKeysResponse:
    """List your keys, newest first. Keys that expired in the last 30 days are among them."""
    keys = service.list_keys(current_principal().user_id)
    return ApiKeysResponse(api_keys=[ApiKeyView.of(key) for key in keys])


@blueprint.delete("/<key_id>")
@endpoint(
    responses={200: MessageResponse}, errors={404: ["api_key_not_found"]}, scope=Scope.ACCOUNT
)
def delete_api_key(key_id: str) -> MessageResponse:
    """Delete a key. Every server refuses it within a second, and its sockets are disconnected."""
    service.delete_key(current_principal().user_id, key_id)
    return MessageResponse(message="API key deleted")
