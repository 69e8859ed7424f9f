"""HTTP requests to Angel One over connections that are kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeout

from app.market_data.providers.base import SourceUnavailable

CONNECT_SECONDS = 3.0
RESPONSE_SECONDS = 4.0
# The largest response, 11,250 candles of a minute, is below 1 MB.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
CHUNK = 64 * 1024


class Transport:
    """The connections to one server, shared by all threads."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._session = requests.Session()
        # SmartConnect sends no cookies either.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: str | None,
        seconds: float = RESPONSE_SECONDS,
    ) -> tuple[int, bytes]:
        """Return status and body of the response; raise SourceUnavailable if there is none.

        The server may be silent for `seconds`, and the body must end in that time. TLS is
        verified, and redirects are not followed: the headers contain credentials.
        """
        try:
            with self._session.request(
                method,
                f"{self._root}/{path.lstrip('/')}",
                headers=dict(headers),
                data=body,
                # Without an `auth`, a .netrc file would replace the Authorization header.
                auth=lambda prepared: prepared,
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code, _read_body(response, time.monotonic() + seconds)
        except (OSError, ValueError, HTTPError, HTTPException) as error:
            # The error's own text may quote a header.
            raise SourceUnavailable(f"Angel One {_describe(error)}") from None


def _read_body(response: requests.Response, deadline: float) -> bytes:
    body = bytearray()
    # One read of the socket at a time: a server that sends a byte now and then must not
    # exceed the deadline.
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise SourceUnavailable(f"Angel One sent more than {MAX_RESPONSE_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise requests.Timeout
    return bytes(body)


def _describe(error: Exception) -> str:
    if isinstance(error, requests.Timeout | ReadTimeout):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "has no valid certificate for the host of ANGEL_ROOT_URL"
    if isinstance(error, requests.ConnectionError | HTTPError | HTTPException):
        return "cannot be reached, or broke the connection"
    return f"could not be reached ({type(error).__name__})"
