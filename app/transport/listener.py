"""The socket that the server listens on, opened before anything else is started."""

from __future__ import annotations

import contextlib
import socket

from config import ConfigurationError, Settings

BACKLOG = 1024


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on HOST and PORT; raise ConfigurationError."""
    return listen_on(settings.host, settings.port, "HOST, PORT")


def listen_on(host: str, port: int, variables: str) -> socket.socket:
    """Return a listening socket; raise ConfigurationError that names the `variables`."""
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it. Without it, gevent answers all but the first request of
        # a connection 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            # HOST=:: accepts IPv4 as well, on every system.
            with contextlib.suppress(OSError):
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not the name of a host"
        raise ConfigurationError(
            [f"{variables}: cannot listen on {location(host, port)}: {reason}"]
        ) from None
    return listener


def location(host: str, port: int) -> str:
    """Return host:port as in a URL, with an IPv6 address in brackets."""
    host = host.strip("[]")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
