"""Responses of the transport itself have the headers of all others, in every async mode."""

from __future__ import annotations

import pytest

from tests.support.raw_http import RawConnection
from tests.support.server import ServerProcess

UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n",
        b"GET /socket.io/?EIO=3&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /market/status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_every_refusal_carries_the_security_headers_and_one_request_id(
    server: ServerProcess, request_bytes: bytes
) -> None:
    with RawConnection(server.port) as connection:
        answer = connection.send(request_bytes).answer()

    assert 400 <= answer.status < 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
