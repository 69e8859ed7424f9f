"""The HTTP server: accepts connections and serves each in a thread of the async mode."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from wsgiref.types import WSGIApplication

from app.logs import logger
from app.transport.connections import IN_FLIGHT, Connection, ConnectionTable, Phase
from app.transport.connections import REAP_INTERVAL_SECONDS as REAP_SECONDS
from app.transport.requests import RECEIVE_BYTES, RefusedRequest, Request, RequestReader
from app.transport.responses import ResponseWriter, environ_of, error_response, failure, refusal

ACCEPT_TIMEOUT_SECONDS = 0.5
DRAIN_SECONDS = 10.0
# For the requests that have arrived when the server begins to stop.
READ_SECONDS = 0.1
CLOSE_SECONDS = 1.0
# A proxy that has requests uses the connections that it keeps within this time.
IDLE_SECONDS = 2.0
# Maximum input discarded after a response to an unread request, so that the client can read it.
MAX_LINGER_BYTES = 32 * 1024 * 1024
SOCKET_PATH = "/socket.io"
# Errors of accept() if the listening socket is closed.
LISTENER_GONE = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


class HttpServer:
    """Serves a WSGI application on a listening socket."""

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        table: ConnectionTable,
        *,
        max_body: int,
        spawn: Callable[..., Any],
        sleep: Callable[[float], None],
        on_failure: Callable[[], None],
        behind_proxy: bool = False,
    ) -> None:
        self.table = table
        self._app = app
        self._listener = listener
        self._max_body = max_body
        self._spawn = spawn
        self._sleep = sleep
        self._on_failure = on_failure
        self._behind_proxy = behind_proxy
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to accept connections in the background."""
        # In some modes closing the socket does not wake accept().
        self._listener.settimeout(ACCEPT_TIMEOUT_SECONDS)
        self._spawn(self._accept_all)
        self._spawn(self._cut_overdue)

    def stop(self, close_sockets: Callable[[], None]) -> None:
        """Stop accepting, let requests finish, then close WebSockets and the other connections."""
        self.table.draining = True
        self._accept_waiting()
        self._listener.close()
        # A busy process has requests that it has not read yet: a proxy must not send them again.
        self._sleep(READ_SECONDS)
        if self._behind_proxy:
            # Each response now closes its connection. To close one that the proxy keeps would break
            # a request that it is just sending, which it may not send again.
            self._wait_until_none_in(IDLE_SECONDS, Phase.IDLE)
        # Otherwise a proxy would send further requests on connections that it keeps.
        for connection in self.table.in_phases(Phase.IDLE):
            connection.abort()
        self._wait_until_none_in(DRAIN_SECONDS, *IN_FLIGHT)
        close_sockets()
        self._wait_until_none_in(CLOSE_SECONDS, Phase.WEBSOCKET, Phase.POLL, Phase.LINGER)
        self._wait_until_none_in(CLOSE_SECONDS, *IN_FLIGHT)
        self._closed.set()
        for connection in self.table.in_phases(*Phase):
            connection.abort()

    def _accept_waiting(self) -> None:
        """Accept the connections that the kernel has accepted: closing would reset them."""
        self._listener.settimeout(0)
        with suppress(OSError):
            while True:
                self._admit(*self._listener.accept())

    def _wait_until_none_in(self, seconds: float, *phases: Phase) -> None:
        deadline = time.monotonic() + seconds
        while self.table.in_phases(*phases) and time.monotonic() < deadline:
            self._sleep(0.02)

    def _accept_all(self) -> None:
        try:
            while not self.table.draining:
                self._accept()
                # Let other greenlets run during a flood of connections.
                self._sleep(0)
        except Exception:
            if not self.table.draining:
                logger.exception("connections can no longer be accepted: the server ends")
                self._on_failure()

    def _accept(self) -> None:
        try:
            client, peer = self._listener.accept()
        except TimeoutError:
            return
        except OSError as error:
            if self.table.draining or error.errno in LISTENER_GONE:
                raise
            # Out of descriptors or memory, or the client has left already. The next may succeed.
            event = f"a connection could not be accepted ({error.strerror})"
            self.table.client_log.write(event, "-", warning=True)
            self.table.evict()
            self._sleep(0.05)
            return
        try:
            self._admit(client, peer)
        except Exception:
            logger.exception("a connection could not be served")
            client.close()

    def _admit(self, client: socket.socket, peer: tuple[Any, ...]) -> None:
        client.settimeout(None)
        connection = self.table.admit(client, str(peer[0]), int(peer[1]))
        if connection is None:
            event = "connection refused, too many"
            self.table.client_log.write(event, str(peer[0]), warning=True)
            _send_once(client, _too_many())
            client.close()
            return
        try:
            self._spawn(self._serve, connection)
        except Exception:
            # For example, no more threads can be started.
            self.table.remove(connection)
            raise

    def _serve(self, connection: Connection) -> None:
        try:
            if self._serve_requests(connection):
                self._linger(connection)
        except OSError:
            # The client left.
            pass
        except Exception:
            logger.exception("a connection failed")
        finally:
            self.table.remove(connection)
            connection.abort()
            connection.socket.close()

    def _serve_requests(self, connection: Connection) -> bool:
        """Serve until the connection ends; return whether the client may still send."""
        reader = RequestReader(connection, self._max_body)
        while True:
            try:
                request = reader.next()
            except RefusedRequest as error:
                connection.log(f"request refused, {error.code}")
                connection.send(refusal(error))
                return True
            if request is None:
                return False
            if not self._answer(connection, request):
                return True
            connection.enter(Phase.IDLE)

    def _answer(self, connection: Connection, request: Request) -> bool:
        """Answer a request; return whether the connection can serve the next."""
        environ = environ_of(request, connection)
        is_poll = environ["PATH_INFO"].startswith(SOCKET_PATH)
        connection.enter(Phase.POLL if is_poll else Phase.REQUEST)
        lasting = request.keep_alive and request.is_complete and not request.is_websocket
        # A polling client needs another request to learn that its session has ended.
        response = ResponseWriter(
            connection, request, lasting and (is_poll or not self.table.draining)
        )
        try:
            response.run(self._app, environ)
        except OSError:
            raise
        except Exception:
            error = failure()
            if not response.has_begun:
                connection.send(error)
            return False
        return response.keep_alive

    def _linger(self, connection: Connection) -> None:
        """Discard further input: closing at once could lose the response."""
        connection.finish_sending()
        left = MAX_LINGER_BYTES
        while left > 0 and (data := connection.receive(RECEIVE_BYTES)):
            left -= len(data)
            self._sleep(0)

    def _cut_overdue(self) -> None:
        while not self._closed.is_set():
            self.table.cut_overdue(_send_timeout)
            self._sleep(REAP_SECONDS)


def _send_timeout(connection: Connection) -> None:
    if connection.phase in (Phase.HEADER, Phase.BODY):
        _send_once(connection.socket, _too_slow())


def _too_many() -> bytes:
    message = "Too many connections. Try again shortly."
    return error_response("503 Service Unavailable", "server_busy", message, retry_after=5)


def _too_slow() -> bytes:
    message = "The request came too slowly."
    return error_response("408 Request Timeout", "request_timeout", message)


def _send_once(client: socket.socket, data: bytes) -> None:
    """Send a short response if that does not block."""
    try:
        client.setblocking(False)
        client.send(data)
    except OSError:
        pass
