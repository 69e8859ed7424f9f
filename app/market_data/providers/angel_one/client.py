"""SmartConnect with its routes and call shapes, and nothing else of its own.

Importing this module imports smartapi-python, so it is imported only where Angel One is used.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import logzero
import requests

from app.market_data.providers.angel_one.responses import AngelFailure, read_answer
from app.market_data.providers.angel_one.transport import TimeLimits, Transport

IP_SERVICE = "https://api.ipify.org"
LOGIN = "api.login"
# Candles are read from an archive, which takes its time.
SLOW_ROUTES = {"api.candle.data": TimeLimits(answer=10.0)}
_importing = threading.Lock()


@contextmanager
def _kept_to_itself() -> Iterator[None]:
    """Let smartapi-python be imported without a call to its IP service, and without its log.

    It asks the service with `requests.get`, and no time-out, while it is imported; what comes
    back it overwrites. Its logger, which nothing else here uses, is handed PINs and tokens.
    """
    get = requests.get

    def get_elsewhere(url: str, *args: Any, **kwargs: Any) -> requests.Response:
        if url == IP_SERVICE:
            raise requests.ConnectionError("not asked")
        return get(url, *args, **kwargs)

    logzero.logger.disabled = True
    with _importing:
        # mypy wants the parameters of `get` one by one; these are whatever it is given.
        requests.get = get_elsewhere  # type: ignore[assignment]
        try:
            yield
        finally:
            requests.get = get


with _kept_to_itself():
    from SmartApi.smartConnect import SmartConnect


# smartapi-python has no types, so its class is Any to mypy.
class SmartClient(SmartConnect):  # type: ignore[misc]
    """One session's calls. Each raises SourceError, and returns the answer of a success."""

    def __init__(self, transport: Transport, api_key: str) -> None:
        # Without SmartConnect's own, which makes a log folder and turns warnings of TLS off.
        self._transport = transport
        self.api_key = self.privateKey = api_key
        self.access_token: str | None = None
        self.refresh_token: str | None = None
        self.feed_token: str | None = None

    def sign_in(self, client_code: str, password: str, totp: str) -> None:
        """Log in and keep the tokens.

        SmartConnect.generateSession would ask for the profile as well: one request more that
        may fail after the code was used up.
        """
        parameters = {"clientcode": client_code, "password": password, "totp": totp}
        tokens = self._postRequest(LOGIN, parameters).get("data")
        names = ("jwtToken", "refreshToken", "feedToken")
        found = [tokens.get(name) if isinstance(tokens, dict) else None for name in names]
        if not all(isinstance(each, str) and each for each in found):
            raise AngelFailure("Angel One answered a login without tokens")
        self.access_token, self.refresh_token, self.feed_token = found

    def _request(
        self, route: str, method: str, parameters: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = self.requestHeaders()
        if self.access_token:
            headers["Authorization"] = f"Bearer {self.access_token}"
        # SmartConnect would put the parameters of a GET, a token among them, into its address.
        body = json.dumps(parameters or {}) if method in ("POST", "PUT") else None
        status, answer = self._transport.exchange(
            method, self._routes[route], headers, body, SLOW_ROUTES.get(route, TimeLimits())
        )
        return read_answer(status, answer, self._secrets(route, parameters))

    def _secrets(self, route: str, parameters: dict[str, Any] | None) -> list[str]:
        """Return what no message may hold."""
        given: list[Any] = list((parameters or {}).values()) if route == LOGIN else []
        tokens = [self.api_key, self.access_token, self.refresh_token, self.feed_token]
        return [each for each in [*given, *tokens] if isinstance(each, str)]
