"""How bytes come in: connections, HTTP requests and WebSockets, alike in every async mode.

The server of each mode had its own reading of HTTP and none of its limits. This one is plain
blocking code over sockets: eventlet and gevent patch those, so it serves in green threads there
and in real ones in `threading`. Parsing is left to libraries: httptools (llhttp) and wsproto.
"""

from __future__ import annotations

from app.transport.connections import CONNECTIONS_KEY, Bounds, Connection, ConnectionTable
from app.transport.server import HttpServer
from app.transport.sessions import SessionGuard

__all__ = [
    "CONNECTIONS_KEY",
    "Bounds",
    "Connection",
    "ConnectionTable",
    "HttpServer",
    "SessionGuard",
]
