"""SmartConnect's routes and call signatures over our own transport.

Importing this module imports smartapi-python, so it is imported only if Angel One is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import logzero
import requests

from app.market_data.providers.angel_one.responses import AngelFailure, read_response
from app.market_data.providers.angel_one.transport import RESPONSE_SECONDS, Transport

IP_SERVICE = "https://api.ipify.org"
LOGIN = "api.login"
# Candles come from an archive, which is slower.
SLOW_ROUTES = {"api.candle.data": 10.0}


@contextmanager
def _without_side_effects() -> Iterator[None]:
    """Let smartapi-python be imported without a call to its IP service, and without its log.

    The import calls the service by `requests.get` without a timeout, and then overwrites the
    result. Its logger, which nothing else uses, would log PINs and tokens.
    """
    get = requests.get

    def refuse_ip_service(url: str, *args: Any, **kwargs: Any) -> requests.Response:
        if url == IP_SERVICE:
            raise requests.ConnectionError("not called")
        return get(url, *args, **kwargs)

    logzero.logger.disabled = True
    # mypy wants every parameter of `get` by name; these pass on whatever they receive.
    requests.get = refuse_ip_service  # type: ignore[assignment]
    try:
        yield
    finally:
        requests.get = get


with _without_side_effects():
    from SmartApi.smartConnect import SmartConnect


# smartapi-python has no types, so its class is Any to mypy.
class SmartClient(SmartConnect):  # type: ignore[misc]
    """The calls of one session. Each returns the response of a success, or raises SourceError."""

    def __init__(self, transport: Transport, api_key: str) -> None:
        # SmartConnect's own would create a log folder and turn off TLS warnings.
        self._transport = transport
        self.api_key = self.privateKey = api_key
        self.access_token: str | None = None
        self.refresh_token: str | None = None
        self.feed_token: str | None = None

    def sign_in(self, client_code: str, password: str, totp: str) -> None:
        """Log in and keep the tokens.

        SmartConnect.generateSession would also request the profile, which may fail after the
        TOTP code is used up.
        """
        parameters = {"clientcode": client_code, "password": password, "totp": totp}
        tokens = self._request(LOGIN, "POST", parameters).get("data")
        names = ("jwtToken", "refreshToken", "feedToken")
        values = [tokens.get(name) if isinstance(tokens, dict) else None for name in names]
        if not all(isinstance(value, str) and value for value in values):
            raise AngelFailure("Angel One answered a login without tokens")
        self.access_token, self.refresh_token, self.feed_token = values

    def _request(
        self, route: str, method: str, parameters: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Override the one method that every call of SmartConnect goes through."""
        headers = self.requestHeaders()
        if self.access_token:
            headers["Authorization"] = f"Bearer {self.access_token}"
        # SmartConnect would put the parameters of a GET, among them a token, into the URL.
        body = json.dumps(parameters or {}) if method in ("POST", "PUT") else None
        status, response = self._transport.exchange(
            method, self._routes[route], headers, body, SLOW_ROUTES.get(route, RESPONSE_SECONDS)
        )
        return read_response(status, response, self._secrets(route, parameters))

    def _secrets(self, route: str, parameters: dict[str, Any] | None) -> list[str]:
        """Return what no message may contain."""
        credentials: list[Any] = list((parameters or {}).values()) if route == LOGIN else []
        tokens = [self.api_key, self.access_token, self.refresh_token, self.feed_token]
        return [secret for secret in [*credentials, *tokens] if isinstance(secret, str)]
