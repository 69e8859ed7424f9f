"""The socket that the server listens on, opened before anything else is started."""

from __future__ import annotations

import socket

from config import ConfigurationError, Settings

BACKLOG = 1024


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on HOST and PORT; ConfigurationError where it cannot."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it. Without it gevent's server answers each request but
        # the first of a connection 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            [f"HOST, PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}"]
        ) from None
    return listener
