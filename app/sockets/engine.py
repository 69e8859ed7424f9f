"""Engine.IO: sessions, and the delivery of their queues.

python-engineio answers unreadable input with 200, accepts a pong for a ping that was never sent,
and ends a dead session in the thread that finds it, even if that thread holds a lock that the end
needs. The subclasses here correct that for polling and WebSocket. `app.transport` limits what a
client may send.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import engineio
import engineio.socket
from engineio import exceptions
from engineio.packet import CLOSE, MESSAGE, NOOP, OPEN, PING, PONG, Packet

from app.logs.client_log import ClientLog
from app.sockets.waiting import bounded
from app.web.addresses import client_network

# If the queues of all clients together exceed the first limit, a client whose queue exceeds the
# second is closed: the slowest readers go first.
MAX_TOTAL_WAITING_BYTES = 16 * 1024 * 1024
MAX_WAITING_BYTES_UNDER_PRESSURE = 64 * 1024
COUNT_INTERVAL_SECONDS = 0.25
# Replays send the next page once the queue of their client is below this.
READ_AHEAD_BYTES = 128 * 1024
# A client with a queue must read a part of it within this time.
READ_TIMEOUT_SECONDS = 20.0
READ_CHECK_SECONDS = 0.02
# The maximum of one poll; python-engineio's client accepts no more packets.
MAX_POLL_PACKETS = 16
MAX_POLL_BYTES = 64 * 1024
MAX_POLLING_SESSIONS_PER_ADDRESS = 500
# The Engine.IO packets of a Socket.IO client: a Socket.IO packet without attachments, a pong, a
# close, and the two packets of an upgrade to WebSocket.
CLIENT_PACKET = re.compile(r"4[0-3]|[135]\Z|2probe\Z")
SEPARATOR = "\x1e"


# The packages have no types, so their classes are Any to mypy.
class ProtocolError(exceptions.SocketIsClosedError):  # type: ignore[misc]
    """The client violated the protocol, and its session has been closed."""


class Session(engineio.socket.Socket):  # type: ignore[misc]
    """One Engine.IO session, by polling, by WebSocket, or upgraded from one to the other."""

    def __init__(self, server: Engine, sid: str, address: str) -> None:
        super().__init__(server, sid)
        self.address = address
        # When the unanswered ping was queued.
        self.last_ping: float | None
        self.connected: bool
        # Whether that ping has been sent.
        self._is_pinged = False
        self._is_waited_for = False
        self._read_count = 0
        self._cut_off: Callable[[], None] | None = None

    def receive(self, pkt: Packet) -> None:
        """Handle one packet; raise ProtocolError if the session has ended or the packet ends it."""
        # Let others run: the next packet may have arrived already.
        self.server.sleep(0)
        if self.closed:
            raise ProtocolError
        if pkt.packet_type == PONG:
            # A pong before its ping was sent does not count: the client is not reading.
            if self._is_pinged:
                self._is_pinged = False
                self.schedule_ping()
        elif pkt.packet_type == CLOSE or (pkt.packet_type == MESSAGE and isinstance(pkt.data, str)):
            super().receive(pkt)
        else:
            self.drop("a packet that is not of the protocol")
        if self.closed and pkt.packet_type != CLOSE:
            raise ProtocolError

    def handle_post_request(self, environ: WSGIEnvironment) -> None:
        """Handle the packets of a polling request; raise an EngineIOError for an invalid one."""
        body = environ["wsgi.input"].read(self.server.max_http_buffer_size + 1)
        if len(body) > self.server.max_http_buffer_size:
            raise exceptions.ContentTooLongError
        for text in body.decode("utf-8", "replace").split(SEPARATOR):
            if not is_client_packet(text):
                self.drop("a polling request that is not of the protocol")
                raise ProtocolError
            self.receive(Packet(encoded_packet=text))

    def _websocket_handler(self, ws: Any) -> list[Any]:
        """Serve the session over a WebSocket until either side ends it.

        python-engineio sends each packet by itself. Here all that wait are sent at once: the
        prices of a pass, for one.
        """
        self._cut_off = ws.close
        if self.connected and not self._upgrade(ws):
            return []
        self.connected = True
        self.upgraded = True
        writer = self.server.start_background_task(self._write, ws)
        try:
            self._read(ws)
        finally:
            self.queue.put(None)
            writer.join()
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
        return []

    def _upgrade(self, ws: Any) -> bool:
        """Move a polling session to a WebSocket; return whether the client did its part."""
        self.upgrading = True
        try:
            if self._next_text(ws) != "2probe":
                return False
            ws.send_all([Packet(PONG, data="probe").encode()])
            # Ends the poll under way.
            self.queue.put(Packet(NOOP))
            return self._next_text(ws) == "5"
        finally:
            self.upgrading = False

    def _read(self, ws: Any) -> None:
        try:
            while (text := self._next_text(ws)) is not None:
                self.receive(Packet(encoded_packet=text))
        except (OSError, exceptions.SocketIsClosedError):
            # The connection broke, or the session has ended.
            return

    def _next_text(self, ws: Any) -> str | None:
        """Return the next frame; None at the end, or after a frame that violates the protocol."""
        text = ws.wait()
        if text is None:
            return None
        if not isinstance(text, str) or not is_client_packet(text):
            self.drop("a frame that is not of the protocol")
            return None
        return text

    def _write(self, ws: Any) -> None:
        try:
            while packets := self.poll():
                ws.send_all([pkt.encode() for pkt in packets])
        except (OSError, exceptions.QueueEmpty):
            # The connection broke, or not even a ping was sent.
            pass
        ws.close()

    def send(self, pkt: Packet) -> None:
        """Queue a packet, unless the session has ended or its client does not read."""
        if self.closed or not self.check_ping_timeout():
            return
        waiting = self.queue.waiting_bytes
        if waiting > MAX_WAITING_BYTES_UNDER_PRESSURE and self.server.is_under_pressure():
            self.drop("its client reads too slowly")
        else:
            self.queue.put(pkt)

    def check_ping_timeout(self) -> bool:
        """Return whether the session is open and its client answered the last ping in time."""
        return not self.closed and bool(super().check_ping_timeout())

    def poll(self) -> list[Packet]:
        """Wait for and return the next packets; an empty list at the end of the session."""
        empty = self.server.get_queue_empty_exception()
        wait = self.server.ping_interval + self.server.ping_timeout
        packets: list[Packet] = []
        size = 0
        while len(packets) < MAX_POLL_PACKETS and size < MAX_POLL_BYTES:
            try:
                pkt = self.queue.get(block=not packets, timeout=None if packets else wait)
            except empty:
                if not packets:
                    raise exceptions.QueueEmpty from None
                break
            self.queue.task_done()
            if pkt is None:
                if packets:
                    # The end of the session, for the next poll.
                    self.queue.put(None)
                break
            packets.append(pkt)
            size += len(pkt.encode())
        self._note_read(packets)
        return packets

    def wait_until_read(self) -> bool:
        """Wait until the client has read most of its queue.

        Returns False if the session has ended, perhaps because its client does not read.
        """
        self._is_waited_for = True
        read_count, deadline = self._read_count, time.monotonic() + READ_TIMEOUT_SECONDS
        try:
            while self.queue.waiting_bytes > self.server.read_ahead_bytes and not self.closed:
                self.server.sleep(READ_CHECK_SECONDS)
                if self._read_count != read_count:
                    read_count, deadline = self._read_count, time.monotonic() + READ_TIMEOUT_SECONDS
                elif time.monotonic() > deadline:
                    self.drop("its client does not read")
        finally:
            self._is_waited_for = False
        return not self.closed

    def _note_read(self, packets: list[Packet]) -> None:
        self._read_count += len(packets)
        # Its pongs are not handled during `wait_until_read`.
        if self._is_waited_for and self.last_ping:
            self.last_ping = time.time()
        if any(pkt.packet_type == PING for pkt in packets):
            self._is_pinged = True

    def drop(self, reason: str) -> None:
        """Close the session and discard its queue."""
        if not self.closed and not self.closing:
            self.server.client_log.write(f"socket closed, {reason}", self.address)
            self.close(abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Close the session; with `abort`, or if its client is gone, discard its queue."""
        if self.closed or self.closing:
            return
        # Never wait for the client to read: that could take forever.
        super().close(wait=False, abort=abort, reason=reason)
        if abort or reason == self.server.reason.PING_TIMEOUT:
            self._discard_queue()
            if self._cut_off is not None:
                # In the background, because closing a WebSocket may wait for its client.
                self.server.start_background_task(self._cut_off)

    def end_polling(self) -> None:
        """End a session by polling so that its client connects again, perhaps to another process.

        Some clients take a close packet as a request to stay away. So the pending poll is
        answered, with what is in the queue, and the next request finds no session.
        """
        if not self.closed and not self.closing:
            self.queue.put(Packet(NOOP))
            super().close(wait=False, abort=True, reason=self.server.reason.SERVER_DISCONNECT)

    def _discard_queue(self) -> None:
        empty = self.server.get_queue_empty_exception()
        try:
            while True:
                self.queue.get(block=False)
                self.queue.task_done()
        except empty:
            self.queue.put(None)


class Engine(engineio.Server):  # type: ignore[misc]
    """The Engine.IO server: it creates our Sessions and limits their number."""

    def __init__(
        self,
        *,
        max_polling_sessions: int = MAX_POLLING_SESSIONS_PER_ADDRESS,
        read_ahead_bytes: int = READ_AHEAD_BYTES,
        route: str = "",
        **options: Any,
    ) -> None:
        """Allow an address `max_polling_sessions`; replays fill a queue to `read_ahead_bytes`.

        Session ids begin with `route` and a dot, so that a proxy finds the process of a session.
        """
        self.start_service_task: bool
        self._async: dict[str, Any]
        super().__init__(**options)
        self.max_polling_sessions = max_polling_sessions
        self.read_ahead_bytes = read_ahead_bytes
        self._id_prefix = f"{route}." if route else ""
        self.client_log = ClientLog()
        # Set here to bound the queues under every web server.
        self._async = {**self._async, "queue": bounded(self._async["queue"])}
        self._waiting_bytes = 0
        self._counted_at = 0.0

    def generate_id(self) -> str:
        """Return the id of a new session."""
        return f"{self._id_prefix}{super().generate_id()}"

    def is_under_pressure(self) -> bool:
        """Return whether the queues of all clients together are too large."""
        now = time.monotonic()
        if now - self._counted_at > COUNT_INTERVAL_SECONDS:
            self._counted_at = now
            sessions = list(self.sockets.values())
            self._waiting_bytes = sum(session.queue.waiting_bytes for session in sessions)
        return self._waiting_bytes > MAX_TOTAL_WAITING_BYTES

    def _handle_connect(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        transport: str,
        jsonp_index: int | None = None,
    ) -> Any:
        """Begin a session as python-engineio does, unless its address has too many."""
        address = client_network(environ.get("REMOTE_ADDR", ""))
        if transport == "polling" and self._has_too_many(address):
            return _too_many_sessions()
        if self.start_service_task:
            self.start_service_task = False
            self.service_task_handle = self.start_background_task(self._service_task)
        session = Session(self, self.generate_id(), address)
        self.sockets[session.sid] = session
        session.send(Packet(OPEN, self._opening(session.sid, transport)))
        self._trigger_event("connect", session.sid, environ, run_async=False)
        session.schedule_ping()
        if transport == "websocket":
            response = session.handle_get_request(environ, start_response)
            if session.closed:
                self.sockets.pop(session.sid, None)
            return response
        session.connected = True
        return self._ok(session.poll(), jsonp_index=jsonp_index)

    def _opening(self, sid: str, transport: str) -> dict[str, Any]:
        return {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.max_http_buffer_size,
        }

    def _has_too_many(self, address: str) -> bool:
        polling = (session for session in list(self.sockets.values()) if not session.upgraded)
        count = sum(session.address == address and not session.closed for session in polling)
        if count >= self.max_polling_sessions:
            self.client_log.write("socket refused, too many polling sessions", address)
            return True
        return False

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        if event == "disconnect":
            # The current thread may hold the lock of a room that the session has to leave.
            kwargs["run_async"] = True
        return super()._trigger_event(event, *args, **kwargs)


def is_client_packet(text: str) -> bool:
    """Return whether a text may be an Engine.IO packet of a Socket.IO client."""
    return CLIENT_PACKET.match(text) is not None


def _too_many_sessions() -> dict[str, Any]:
    return {
        "status": "429 TOO MANY REQUESTS",
        "headers": [("Retry-After", "5")],
        "response": b'"Too many polling sessions of this address. Close some, or use WebSocket."',
    }
