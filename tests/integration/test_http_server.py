"""The HTTP server over real sockets: errors of accept, limits, and timeouts."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from app.transport.connections import Bounds, ConnectionTable, Phase
from app.transport.server import HttpServer
from tests.support.live import eventually
from tests.support.raw_http import RawConnection

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def spawn(target: Callable[..., Any], *args: Any) -> None:
    threading.Thread(target=target, args=args, daemon=True).start()


class FailingListener:
    """A listening socket whose accept() first raises errors of the system."""

    def __init__(self, listener: socket.socket, errors: list[int]) -> None:
        self._listener = listener
        self._errors = errors

    def accept(self) -> Any:
        if self._errors:
            number = self._errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self._listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


class Served:
    """A small application on a port."""

    def __init__(self, bounds: Bounds, errors: list[int], *, accepts: bool = True) -> None:
        self.table = ConnectionTable(bounds)
        self.has_failed = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        listener: Any = FailingListener(self._socket, errors)
        self._server = HttpServer(
            self._app,
            listener,
            self.table,
            max_body=1_000,
            spawn=spawn,
            sleep=time.sleep,
            on_failure=self.has_failed.set,
        )
        if accepts:
            self._server.start()

    def _app(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        self.release.wait(15)
        body = environ["wsgi.input"].read()
        start("200 OK", [("Content-Type", "text/plain")])
        return [body or b"none"]

    def stop(self) -> None:
        self.release.set()
        self._server.stop(lambda: None)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    servers: list[Served] = []

    def make(
        *, total: int = 10, per_address: int | None = None, errors: tuple[int, ...] = ()
    ) -> Served:
        servers.append(Served(Bounds(total, per_address), list(errors)))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def test_connections_are_accepted_after_every_error_of_accept(
    serve: Callable[..., Served],
) -> None:
    errors = (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ECONNRESET, errno.ENOBUFS)
    server = serve(errors=(*errors, errno.EPROTO, errno.EPERM, errno.EINTR))

    with RawConnection(server.port) as client:
        assert client.send(REQUEST).answer().status == 200
    assert not server.has_failed.is_set()


@pytest.mark.parametrize("error", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK])
def test_a_closed_listener_is_reported(serve: Callable[..., Served], error: int) -> None:
    assert serve(errors=(error,)).has_failed.wait(10)


def test_a_connection_beyond_the_limit_replaces_the_longest_idle_one(
    serve: Callable[..., Served],
) -> None:
    server = serve(total=3)
    with (
        RawConnection(server.port) as first,
        RawConnection(server.port) as second,
        RawConnection(server.port) as third,
    ):
        eventually(lambda: len(server.table) == 3)
        # Now it has the shortest idle time.
        first.send(REQUEST).answer()
        with RawConnection(server.port) as fourth:
            assert fourth.send(REQUEST).answer().status == 200
            assert second.is_closed()
            assert first.send(REQUEST).answer().status == 200
            assert third.send(REQUEST).answer().status == 200


def test_a_connection_is_refused_while_all_others_are_busy(
    serve: Callable[..., Served],
) -> None:
    server = serve(total=2)
    server.release.clear()
    with RawConnection(server.port) as first, RawConnection(server.port) as second:
        for client in (first, second):
            client.send(REQUEST)
        eventually(lambda: len(server.table.in_phases(Phase.REQUEST)) == 2)

        with RawConnection(server.port) as third:
            answer = third.answer()
            assert (answer.status, answer.json()["code"]) == (503, "server_busy")
            assert int(answer.headers["retry-after"]) > 0
        server.release.set()
        assert [first.answer().status, second.answer().status] == [200, 200]


def test_an_address_has_at_most_its_share_of_connections(serve: Callable[..., Served]) -> None:
    server = serve(total=10, per_address=2)
    with (
        RawConnection(server.port) as first,
        RawConnection(server.port),
        RawConnection(server.port),
    ):
        assert first.is_closed()
        with RawConnection(server.port, "127.0.0.2") as other:
            assert other.send(REQUEST).answer().status == 200
        assert len(server.table) <= 3


@pytest.mark.parametrize(
    ("sent", "phase", "status"),
    [
        (b"", Phase.NEW, None),
        (b"GET / HT", Phase.HEADER, 408),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", Phase.BODY, 408),
        (REQUEST, Phase.IDLE, None),
    ],
    ids=["silent", "half a header", "half a body", "idle"],
)
def test_a_connection_is_closed_after_its_timeout(
    serve: Callable[..., Served], sent: bytes, phase: Phase, status: int | None
) -> None:
    server = serve()
    with RawConnection(server.port) as client:
        client.send(sent)
        connection = eventually(lambda: server.table.in_phases(phase))[0]
        assert connection.deadline is not None
        assert phase.seconds is not None
        assert 0 < connection.deadline - time.monotonic() <= phase.seconds
        if phase is Phase.IDLE:
            client.answer()

        connection.deadline = time.monotonic()

        if status:
            answer = client.answer()
            assert (answer.status, answer.json()["code"]) == (status, "request_timeout")
        assert client.is_closed()


def test_occasional_bytes_do_not_extend_a_timeout(serve: Callable[..., Served]) -> None:
    server = serve()
    with RawConnection(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        connection = eventually(lambda: server.table.in_phases(Phase.HEADER))[0]
        deadline = connection.deadline
        client.send(*[b"X: a\r\n"] * 20)
        received = client.send(b"\r\n").answer()

    assert received.status == 200
    assert connection.deadline is None or connection.deadline != deadline


def test_a_client_that_does_not_read_its_response_is_disconnected(
    serve: Callable[..., Served],
) -> None:
    server = serve()
    with RawConnection(server.port) as client:
        client.send(REQUEST).answer()
        connection = server.table.in_phases(*Phase)[0]
        sending = threading.Thread(target=_send_until_cut, args=(connection,))
        sending.start()
        eventually(lambda: connection.is_sending)
        eventually(lambda: _hurry(connection) and not sending.is_alive())


def _send_until_cut(connection: Any) -> None:
    with pytest.raises(OSError, match=r"."):
        connection.send(bytes(64 * 1024 * 1024))


def _hurry(connection: Any) -> bool:
    """Let the timeout of the block that is being sent expire."""
    if connection.write_deadline is not None:
        connection.write_deadline = time.monotonic()
    return True


def test_a_request_that_waits_to_be_accepted_when_the_server_stops_is_answered() -> None:
    # As of a process without processor time: the kernel has accepted the connection.
    served = Served(Bounds(total=10, per_address=10), [], accepts=False)
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(REQUEST)

        served.stop()

        assert client.recv(1_000).startswith(b"HTTP/1.1 200")
