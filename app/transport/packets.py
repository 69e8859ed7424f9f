"""Socket.IO packets, read strictly: what is no packet of a client is told from faults of ours."""

from __future__ import annotations

from typing import Any

from socketio import packet

# Nothing here is sent as bytes, so packets with attachments are refused altogether.
ACCEPTED = frozenset({packet.CONNECT, packet.DISCONNECT, packet.EVENT, packet.ACK})
MAX_ID = 2**53


class BadPacket(ValueError):
    """What a client sent is no Socket.IO packet that it may send."""


# python-socketio has no types, so its class is Any to mypy.
class StrictPacket(packet.Packet):  # type: ignore[misc]
    """A packet that raises BadPacket, and nothing else, when it cannot be decoded."""

    def decode(self, encoded_packet: Any) -> int:
        """Read a packet of a client."""
        if not isinstance(encoded_packet, str):
            raise BadPacket("not text")
        try:
            attachments = int(super().decode(encoded_packet))
        except Exception as error:
            raise BadPacket(type(error).__name__) from None
        if attachments or self.packet_type not in ACCEPTED:
            raise BadPacket("a type that is not accepted")
        if self.packet_type == packet.EVENT and not self._is_event():
            raise BadPacket("an event without a name")
        if self.packet_type == packet.ACK and not (isinstance(self.data, list) and self._has_id()):
            raise BadPacket("an acknowledgement without an id")
        return attachments

    def _is_event(self) -> bool:
        return isinstance(self.data, list) and bool(self.data) and isinstance(self.data[0], str)

    def _has_id(self) -> bool:
        return self.id is not None and self.id < MAX_ID
