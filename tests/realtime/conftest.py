"""Fixtures of the socket tests: a server on a real port, and sockets connected to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app.database import collection
from app.extensions import socketio
from app.realtime.connections import Connections
from app.realtime.handlers import KEY
from app.realtime.rooms import UserRooms
from app.server import serve
from app.transport.listener import listen
from config import Settings
from tests.support.raw_sockets import RawSocket
from tests.support.sockets import Socket


@pytest.fixture
def app(make_app: Callable[..., Flask], variables: dict[str, Any]) -> Flask:
    """An application of this test's own: sockets outlive the test that opened them."""
    return make_app(**variables)


@pytest.fixture
def live_server(app: Flask, make_settings: Callable[..., Settings]) -> Iterator[str]:
    """The address of the application, served on a free port."""
    # A polling client that leaves waits for the next ping, which is 25 s away by default.
    socketio.server.eio.ping_interval = 0.5
    listener = listen(make_settings(PORT=0))
    stop = serve(app, listener)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop()
    listener.close()
    # The embedded database drops a collection a document at a time, ten times slower than this.
    collection("notifications").delete_many({})


@pytest.fixture
def connect(live_server: str) -> Iterator[Callable[..., Socket]]:
    """Connect sockets, with a token or without; close them afterwards."""
    sockets: list[Socket] = []

    def make(token: str | None = None, **options: Any) -> Socket:
        if token is not None:
            options["auth"] = {"token": token}
        socket = Socket()
        sockets.append(socket)
        return socket.connect(live_server, **options)

    yield make
    for socket in sockets:
        socket.close()


@pytest.fixture
def raw(live_server: str) -> Iterator[Callable[..., RawSocket]]:
    """Connect sockets that send what no client library sends; close them afterwards."""
    sockets: list[RawSocket] = []

    def make(token: str | None = None) -> RawSocket:
        sockets.append(RawSocket(live_server, token))
        return sockets[-1]

    yield make
    for socket in sockets:
        socket.close()


@pytest.fixture
def connections(app: Flask) -> Connections:
    connections: Connections = app.extensions[KEY]
    return connections


@pytest.fixture
def rooms(connections: Connections) -> UserRooms:
    return connections.rooms
