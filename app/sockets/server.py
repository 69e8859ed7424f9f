"""Socket.IO: only the packets that this application uses, handled in order.

python-socketio passes events that a client names `connect`, `disconnect` or `*` to the handlers of
those names, and lets a disconnect overtake a message that is still being handled.
`app.transport.packets` refuses invalid packets.
"""

from __future__ import annotations

import threading
from typing import Any
from wsgiref.types import WSGIEnvironment

import socketio
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from socketio import packet

from app.sockets.engine import Engine

# The handler of events without one. Clients cannot send it by this name.
UNKNOWN_EVENT = "unknown event"
MAX_EVENT_NAME = 64
# Names with a special meaning in python-socketio or a client library.
RESERVED_EVENTS = frozenset({"connect", "disconnect", "connect_error", "*", UNKNOWN_EVENT})


# The packages have no types, so their classes are Any to mypy.
class Server(socketio.Server):  # type: ignore[misc]
    """The Socket.IO server."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Held while a packet, or the end, of the session is handled.
        self._session_locks: dict[str, threading.Lock] = {}

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    def _handle_eio_connect(self, eio_sid: str, environ: WSGIEnvironment) -> None:
        self._session_locks[eio_sid] = threading.Lock()
        super()._handle_eio_connect(eio_sid, environ)

    def _handle_eio_message(self, eio_sid: str, data: str) -> None:
        lock = self._session_locks.get(eio_sid)
        if lock is None:
            return
        with lock:
            # The session may have ended meanwhile.
            if eio_sid in self.environ:
                self._handle_text(eio_sid, data)

    def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        lock = self._session_locks.pop(eio_sid, None)
        if lock is not None:
            with lock:
                super()._handle_eio_disconnect(eio_sid, reason)

    def expel(self, sid: str) -> None:
        """Disconnect a client once the packet of it that is being handled is done."""
        lock = self._session_locks.get(self.manager.eio_sid_from_sid(sid, "/"))
        if lock is not None:
            with lock:
                self.disconnect(sid)

    def wait_until_read(self, sid: str) -> bool:
        """Wait until a client has read most of its queue; return False if the session has ended."""
        session = self.eio.sockets.get(self.manager.eio_sid_from_sid(sid, "/"))
        return session is not None and bool(session.wait_until_read())

    def event_packet(self, name: str, payload: str) -> EnginePacket:
        """Return the packet of an event, for any number of clients; its payload is JSON already."""
        return EnginePacket(MESSAGE, f'{packet.EVENT}["{name}",{payload}]')

    def send_to(self, sid: str, event: EnginePacket) -> None:
        """Send a packet to a client of this process, if it is still connected."""
        eio_sid = self.manager.eio_sid_from_sid(sid, "/")
        if eio_sid is not None:
            self._send_eio_packet(eio_sid, event)

    def _handle_text(self, eio_sid: str, text: str) -> None:
        received = self.packet_class(encoded_packet=text)
        namespace = received.namespace
        if received.packet_type == packet.EVENT:
            self._handle_event(eio_sid, namespace, received.id, received.data)
            return
        if received.packet_type == packet.CONNECT:
            self._handle_connect(eio_sid, namespace, received.data)
        elif received.packet_type == packet.DISCONNECT:
            self._handle_disconnect(eio_sid, namespace, self.reason.CLIENT_DISCONNECT)
        # The server requests no acknowledgements, so it ignores them. The packet class has refused
        # other types and packets with attachments.

    def _handle_event(
        self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]
    ) -> None:
        super()._handle_event(eio_sid, namespace, id, self._known(data))

    def _known(self, data: list[Any]) -> list[Any]:
        """Return the event under the name of its handler, or the unknown event."""
        name = str(data[0])[:MAX_EVENT_NAME]
        known = name.strip().lower()
        if known in RESERVED_EVENTS or known not in self.handlers["/"]:
            return [UNKNOWN_EVENT, {"name": name}]
        # Each event has one argument; further ones are ignored.
        return [known, *data[1:2]]

    def _handle_event_internal(
        self,
        server: Server,
        sid: str,
        eio_sid: str,
        data: list[Any],
        namespace: str,
        id: int | None,
    ) -> None:
        """Call the handler and acknowledge; without acknowledgement, report a refusal by status."""
        reply = self._trigger_event(data[0], namespace, sid, *data[1:])
        is_refused = isinstance(reply, dict) and reply.get("ok") is False
        if is_refused and (id is None or data[0] == "join"):
            status = {"msg": reply["error"], "code": reply["code"]}
            self.emit("status", status, to=sid, ignore_queue=True)
        if id is not None:
            acknowledgement = self.packet_class(
                packet.ACK, namespace=namespace, id=id, data=[reply]
            )
            self._send_packet(eio_sid, acknowledgement)
