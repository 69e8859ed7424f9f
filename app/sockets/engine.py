"""Engine.IO: its sessions, and how what waits for each is handed over.

python-engineio drops what it cannot read with a 200, takes the answer to a ping that never left
the server for a sign of life, and ends a session in whichever thread finds it dead, also one that
holds a lock which the end needs. Its classes are extended here, for polling and WebSocket alike.
How much a client may send is in `app.transport`.
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
from engineio.packet import CLOSE, MESSAGE, OPEN, PING, PONG, Packet

from app.logs.client_log import ClientLog
from app.sockets.waiting import bounded
from app.web.addresses import client_network

# While more than this waits for all clients together, a client for which more than the smaller
# amount waits is closed: so the slowest readers leave first.
MAX_TOTAL_WAITING_BYTES = 16 * 1024 * 1024
MAX_WAITING_BYTES_UNDER_PRESSURE = 64 * 1024
COUNT_INTERVAL_SECONDS = 0.25
# What is sent page by page goes on while no more than this waits for its client.
READ_AHEAD_BYTES = 128 * 1024
# The seconds in which a client that something waits for has to read at least a part of it.
READ_TIMEOUT_SECONDS = 20.0
READ_CHECK_SECONDS = 0.02
# What is handed over at a time. python-engineio's own client takes no more packets in one poll.
MAX_POLL_PACKETS = 16
MAX_POLL_BYTES = 64 * 1024
MAX_POLLING_SESSIONS_PER_ADDRESS = 500
# Each Engine.IO packet that a client of Socket.IO sends: a Socket.IO packet without attachments,
# an answer to a ping, a close, and the two of an upgrade to WebSocket.
CLIENT_PACKET = re.compile(r"4[0-3]|[135]\Z|2probe\Z")
SEPARATOR = "\x1e"


# The packages have no types, so their classes are Any to mypy.
class ProtocolError(exceptions.SocketIsClosedError):  # type: ignore[misc]
    """The client sent what no client of this protocol sends; its session has been closed."""


class Session(engineio.socket.Socket):  # type: ignore[misc]
    """One Engine.IO session, by polling, WebSocket, or first one and then the other."""

    def __init__(self, server: Engine, sid: str, address: str) -> None:
        super().__init__(server, sid)
        self.address = address
        # When the ping was sent that is not answered yet.
        self.last_ping: float | None
        # Whether that ping has left the server.
        self._is_pinged = False
        self._is_waited_for = False
        self._read_count = 0
        self._cut_off: Callable[[], None] | None = None

    def receive(self, pkt: Packet) -> None:
        """Handle one packet; raise ProtocolError if the session has ended, or ends by it."""
        # The next packet may be there already: without this its sender would be served alone.
        self.server.sleep(0)
        if self.closed:
            raise ProtocolError
        if pkt.packet_type == PONG:
            # The answer to a ping that still waits here is none: its client does not read.
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
        """Handle each packet of a polling request; raise an EngineIOError for a bad one."""
        body = environ["wsgi.input"].read(self.server.max_http_buffer_size + 1)
        if len(body) > self.server.max_http_buffer_size:
            raise exceptions.ContentTooLongError
        for text in body.decode("utf-8", "replace").split(SEPARATOR):
            if not is_client_packet(text):
                self.drop("a polling request that is not of the protocol")
                raise ProtocolError
            self.receive(Packet(encoded_packet=text))

    def _websocket_handler(self, ws: Any) -> Any:
        self._cut_off = ws.close
        return super()._websocket_handler(_TextFrames(ws, self))

    def send(self, pkt: Packet) -> None:
        """Queue a packet, if the client is there and reads."""
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
        """Return what to hand over next, waiting for it; an empty list at the end."""
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
                    # The end, for the next poll to find.
                    self.queue.put(None)
                break
            packets.append(pkt)
            size += len(pkt.encode())
        self._note_read(packets)
        return packets

    def wait_until_read(self) -> bool:
        """Wait until the client has read most of what it was sent.

        Return False if the session has ended, also because its client does not read.
        """
        self._is_waited_for = True
        read_count, deadline = self._read_count, time.monotonic() + READ_TIMEOUT_SECONDS
        try:
            while self.queue.waiting_bytes > READ_AHEAD_BYTES and not self.closed:
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
        # Its answers to pings are not looked at while it is waited for.
        if self._is_waited_for and self.last_ping:
            self.last_ping = time.time()
        if any(pkt.packet_type == PING for pkt in packets):
            self._is_pinged = True

    def drop(self, reason: str) -> None:
        """Close the session at once, and throw away what waits for its client."""
        if not self.closed and not self.closing:
            self.server.client_log.write(f"socket closed, {reason}", self.address)
            self.close(abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Close the session; with `abort`, or if its client is gone, without sending what waits."""
        if self.closed or self.closing:
            return
        # Waiting until all of it has been read could take forever.
        super().close(wait=False, abort=abort, reason=reason)
        if abort or reason == self.server.reason.PING_TIMEOUT:
            self._throw_away()
            if self._cut_off is not None:
                # A WebSocket may have to wait until its client takes the last frame.
                self.server.start_background_task(self._cut_off)

    def _throw_away(self) -> None:
        empty = self.server.get_queue_empty_exception()
        try:
            while True:
                self.queue.get(block=False)
                self.queue.task_done()
        except empty:
            self.queue.put(None)


class Engine(engineio.Server):  # type: ignore[misc]
    """The Engine.IO server: it makes sessions of our own class, and not too many."""

    def __init__(self, **options: Any) -> None:
        self.start_service_task: bool
        self._async: dict[str, Any]
        super().__init__(**options)
        self.client_log = ClientLog()
        # Here, not where they are served: under any web server sessions are bounded alike.
        self._async = {**self._async, "queue": bounded(self._async["queue"])}
        self._waiting_bytes = 0
        self._counted_at = 0.0

    def is_under_pressure(self) -> bool:
        """Return whether too much waits for all clients together."""
        now = time.monotonic()
        if now - self._counted_at > COUNT_INTERVAL_SECONDS:
            self._counted_at = now
            sessions = list(self.sockets.values())
            self._waiting_bytes = sum(each.queue.waiting_bytes for each in sessions)
        return self._waiting_bytes > MAX_TOTAL_WAITING_BYTES

    def _handle_connect(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        transport: str,
        jsonp_index: int | None = None,
    ) -> Any:
        """Begin a session, as python-engineio does, if its address has not too many."""
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
        polling = (each for each in list(self.sockets.values()) if not each.upgraded)
        count = sum(each.address == address and not each.closed for each in polling)
        if count >= MAX_POLLING_SESSIONS_PER_ADDRESS:
            self.client_log.write("socket refused, too many polling sessions", address)
            return True
        return False

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        if event == "disconnect":
            # Whoever closes a session may hold the lock of a room that the session has to leave.
            kwargs["run_async"] = True
        return super()._trigger_event(event, *args, **kwargs)


class _TextFrames:
    """A WebSocket that ends at the first frame that is not of the protocol."""

    def __init__(self, websocket: Any, session: Session) -> None:
        self._websocket = websocket
        self._session = session

    def wait(self) -> str | None:
        """Return the next frame; None at the end."""
        frame = self._websocket.wait()
        if frame is None:
            return None
        if not isinstance(frame, str) or not is_client_packet(frame):
            self._session.drop("a frame that is not of the protocol")
            return None
        return frame

    def send(self, frame: str) -> None:
        self._websocket.send(frame)

    def close(self) -> None:
        self._websocket.close()


def is_client_packet(text: str) -> bool:
    """Return whether a text may be an Engine.IO packet of a client of Socket.IO."""
    return CLIENT_PACKET.match(text) is not None


def _too_many_sessions() -> dict[str, Any]:
    return {
        "status": "429 TOO MANY REQUESTS",
        "headers": [("Retry-After", "5")],
        "response": b'"Too many polling sessions of this address. Close some, or use WebSocket."',
    }
