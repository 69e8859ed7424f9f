"""Limits on Engine.IO: handshakes, polling requests, packets and sessions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import socketio
from wsproto.frame_protocol import CloseReason

from app.transport.budgets import HANDSHAKE_MESSAGES, AddressBudgets, SocketBudget
from app.transport.packets import BadPacket, StrictPacket
from app.transport.responses import error_body
from app.transport.websocket import WebSocket, connection_in, handshake_error
from app.web.addresses import client_network

# A session without a Socket.IO CONNECT packet is closed after this time.
CONNECT_SECONDS = 5.0
# Maximum WebSockets of one address without a CONNECT packet. Real clients send it immediately. In
# the threading mode each WebSocket takes two threads.
MAX_UNCONNECTED = 128
SWEEP_SECONDS = 0.5
SEPARATOR = b"\x1e"
STOPPING = "the server is stopping"

Headers = list[tuple[str, str]]


class SessionGuard:
    """Checks the requests and packets for an Engine.IO server, and watches its sessions."""

    def __init__(self, server: socketio.Server) -> None:
        self._server = server
        self._engine = server.eio
        self._addresses = AddressBudgets()
        self._budgets: dict[str, SocketBudget] = {}
        self._websockets: dict[str, WebSocket] = {}
        self._unconnected_since: dict[str, float] = {}
        # Address by session, for WebSockets without a CONNECT packet at the last sweep.
        self._opening: dict[str, str] = {}
        self._is_stopped = False

    def install(self) -> None:
        """Hook into the server, before it has clients."""
        engine = self._engine
        self._server.packet_class = StrictPacket
        self._handle_request = engine.handle_request
        self._handle_message = engine.handlers["message"]
        engine.handle_request = self.handle_request
        engine.handlers["message"] = self._on_message
        engine._async = {**engine._async, "websocket": self._transport}
        self._server.start_background_task(self._watch)

    def close_all(self) -> None:
        """Close every session because the server stops."""
        self._is_stopped = True
        for sid, session in list(self._engine.sockets.items()):
            websocket = self._websockets.get(sid)
            if websocket:
                websocket.close(CloseReason.GOING_AWAY, STOPPING)
            else:
                session.end_polling()

    def handle_request(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer an Engine.IO request, with errors in the format of the API."""
        key = client_network(environ.get("REMOTE_ADDR"))
        sid = parse_qs(environ.get("QUERY_STRING", "")).get("sid", [None])[0]
        error = self._refusal(environ, key, sid)
        if error:
            status, code, message = error
            headers = [("Content-Type", "application/json")]
            if status.startswith("429"):
                headers.append(("Retry-After", "5"))
            start_response(status, headers)
            return [error_body(code, message, environ.get("HTTP_X_REQUEST_ID"))]
        response = _ErrorFormat(start_response, environ.get("HTTP_X_REQUEST_ID"))
        result = self._handle_request(environ, response.start)
        if response.is_error:
            return [response.finish(result)]
        return result  # type: ignore[no-any-return]

    def _refusal(
        self, environ: WSGIEnvironment, key: str, sid: str | None
    ) -> tuple[str, str, str] | None:
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            fault = handshake_error(environ)
            if fault is None and connection_in(environ) is None:
                fault = "This server does not carry WebSockets."
            if fault:
                status = "400 Bad Request"
                return status, "bad_handshake", fault
        if sid is None:
            opening = list(self._opening.values()).count(key)
            if opening >= MAX_UNCONNECTED or not self._addresses.of(key).take_messages(
                HANDSHAKE_MESSAGES
            ):
                self._engine.client_log.write("handshake refused, too many of one address", key)
                return "429 Too Many Requests", "rate_limited", "Too many connections at once."
        elif environ["REQUEST_METHOD"] == "POST" and sid in self._engine.sockets:
            return self._refuse_post(environ, key, sid)
        return None

    def _refuse_post(
        self, environ: WSGIEnvironment, key: str, sid: str
    ) -> tuple[str, str, str] | None:
        """Charge a polling request to the budget of its client before it is handled."""
        limit = self._engine.max_http_buffer_size
        body = environ["wsgi.input"].read(limit + 1)
        if len(body) > limit or int(environ.get("CONTENT_LENGTH") or 0) > limit:
            self.refuse(sid, "a message longer than 64 KiB")
            return "413 Content Too Large", "body_too_large", "The body is larger than 64 KiB."
        environ["wsgi.input"] = BytesIO(body)
        budget = self._budget(sid, key)
        if budget.take_bytes(len(body)) and budget.take_messages(body.count(SEPARATOR) + 1):
            return None
        self.refuse(sid, "too many messages or bytes a second")
        return "429 Too Many Requests", "rate_limited", "Too many messages. Send fewer."

    def _budget(self, sid: str, key: str) -> SocketBudget:
        return self._budgets.setdefault(sid, SocketBudget(self._addresses.of(key)))

    def _transport(self, handler: Callable[[WebSocket], Any], _engine: Any) -> Callable[..., Any]:
        """Return the function that Engine.IO calls to upgrade a request."""
        # `handler` is a bound method of the session.
        session: Any = handler.__self__  # type: ignore[attr-defined]

        def upgrade(environ: WSGIEnvironment, _start: StartResponse) -> list[Any]:
            connection = connection_in(environ)
            assert connection is not None
            key = client_network(environ.get("REMOTE_ADDR"))
            websocket = WebSocket(connection, self._budget(session.sid, key), self._server.sleep)
            websocket.accept(environ["HTTP_SEC_WEBSOCKET_KEY"])
            self._websockets[session.sid] = websocket
            self._opening[session.sid] = key
            session.queue.on_overflow = lambda: websocket.refuse(
                CloseReason.POLICY_VIOLATION, "what it is sent is not read"
            )
            try:
                handler(websocket)
            finally:
                self._forget(session.sid)
            return []

        return upgrade

    def _on_message(self, sid: str, data: Any) -> None:
        session = self._engine.sockets.get(sid)
        if session is None or session.closed:
            return
        # Let others run: the next message may have arrived already.
        self._server.sleep(0)
        try:
            self._handle_message(sid, data)
        except BadPacket:
            self.refuse(sid, "a message that is not a Socket.IO packet")

    def refuse(self, sid: str, reason: str) -> None:
        """Close a session because its client broke a rule; log the reason."""
        websocket = self._websockets.get(sid)
        if websocket:
            websocket.refuse(CloseReason.POLICY_VIOLATION, reason)
            return
        session = self._engine.sockets.pop(sid, None)
        if session:
            self._engine.client_log.write(f"polling session closed, {reason}", sid[:6])
            session.close(wait=False, abort=True)

    def _forget(self, sid: str) -> None:
        self._websockets.pop(sid, None)
        self._budgets.pop(sid, None)
        self._unconnected_since.pop(sid, None)
        self._opening.pop(sid, None)

    def _watch(self) -> None:
        while not self._is_stopped:
            self._server.sleep(SWEEP_SECONDS)
            self._close_unconnected()
            self._close_overflowed()
            self._addresses.forget_idle()

    def _close_unconnected(self) -> None:
        now = time.monotonic()
        rooms = self._server.manager.rooms.values()
        connected = {
            eio_sid
            for namespaces in list(rooms)
            for eio_sid in list(namespaces.get(None, {}).values())
        }
        sessions = self._engine.sockets
        for sid in list(self._budgets):
            if sid not in sessions:
                self._forget(sid)
        for sid in list(self._unconnected_since):
            if sid in connected or sid not in sessions:
                self._unconnected_since.pop(sid, None)
        for sid in connected & self._opening.keys():
            self._opening.pop(sid, None)
        for sid in list(sessions):
            if sid not in connected:
                since = self._unconnected_since.setdefault(sid, now)
                if now - since > CONNECT_SECONDS:
                    self.refuse(sid, "no Socket.IO CONNECT packet in time")

    def _close_overflowed(self) -> None:
        for sid, session in list(self._engine.sockets.items()):
            if session.queue.has_overflowed:
                self.refuse(sid, "what it is sent is not read")


class _ErrorFormat:
    """Passes a response on, but holds an error back to give it the format of the API."""

    def __init__(self, start_response: StartResponse, request_id: str | None) -> None:
        self._start_response = start_response
        self._request_id = request_id
        self._status = ""
        self._headers: Headers = []
        self.is_error = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        if not status.startswith("4"):
            return self._start_response(status, headers)
        self.is_error = True
        self._status, self._headers = status, headers
        return None

    def finish(self, result: Iterable[bytes]) -> bytes:
        text = b"".join(result).decode("utf-8", "replace")
        try:
            message = str(json.loads(text))
        except ValueError:
            message = text
        kept = [(name, value) for name, value in self._headers if name.lower() != "content-type"]
        self._start_response(self._status, [*kept, ("Content-Type", "application/json")])
        return error_body("bad_request", f"{message[:200].rstrip('.')}.", self._request_id)
