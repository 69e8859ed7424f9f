"""HTTP with an end: connections that are kept, and answers that come whole in time or not at all.

The read time-out of `requests` is for each piece of an answer, so an upstream that sends a byte
now and then would hold its caller for ever. Here it is for the whole answer, headers included.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeout

from app.market_data.providers.base import SourceUnavailable

# The longest answer, 11,250 candles of a minute, is below 1 MB.
MAX_ANSWER = 4 * 1024 * 1024
PIECE = 64 * 1024
POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds to connect in, and for a whole answer."""

    connect: float = 3.0
    answer: float = 4.0


class Transport:
    """The connections to one server, shared by all threads."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._session = requests.Session()
        # As SmartConnect does, which starts each request without cookies.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _BoundedAdapter(pool_maxsize=POOL_SIZE))

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: str | None,
        limits: TimeLimits,
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer; raise SourceUnavailable for none.

        TLS is verified and no redirect is followed: the headers hold credentials.
        """
        try:
            with self._session.request(
                method,
                f"{self._root}/{path.lstrip('/')}",
                headers=dict(headers),
                data=body,
                auth=_as_it_is,
                timeout=(limits.connect, limits.answer),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code, _whole_body(response)
        except (OSError, ValueError, HTTPError, HTTPException) as error:
            # Nothing of the error itself: it may quote a header.
            raise SourceUnavailable(f"Angel One {_what_failed(error)}") from None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Without this, a .netrc file would replace the Authorization header.
    return request


def _whole_body(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_content(PIECE):
        body += piece
        if len(body) > MAX_ANSWER:
            raise SourceUnavailable(f"Angel One sent more than {MAX_ANSWER:,} bytes")
    return bytes(body)


def _what_failed(error: Exception) -> str:
    causes = [error, *error.args]
    if any(isinstance(each, requests.Timeout | PoolTimeout) for each in causes):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "could not prove by its certificate that it is the server of ANGEL_ROOT_URL"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached, or broke the connection off"
    return f"could not be asked ({type(error).__name__})"


class _BoundedReader(io.RawIOBase):
    """What is read of a socket, whose time-out is for all of it."""

    def __init__(self, connection: socket.socket, raw: Any) -> None:
        self._connection = connection
        self._raw = raw
        self._deadline = time.monotonic() + (connection.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._connection.settimeout(left)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _BoundedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _BoundedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _bound(super().proxy_manager_for(*args, **kwargs))


def _bound(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager
