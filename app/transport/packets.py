"""Strict parsing of Socket.IO packets, so that bad packets do not look like bugs of the server."""

from __future__ import annotations

from typing import Any

from socketio import packet

# The API has no binary data, so packets with attachments are refused.
ACCEPTED = frozenset({packet.CONNECT, packet.DISCONNECT, packet.EVENT, packet.ACK})
MAX_ID = 2**53


class BadPacket(ValueError):
    """A client sent something other than an allowed Socket.IO packet."""


# python-socketio has no types, so its class is Any to mypy.
class StrictPacket(packet.Packet):  # type: ignore[misc]
    """A packet that raises only BadPacket if it cannot be decoded."""

    def decode(self, encoded_packet: Any) -> int:
        """Decode a packet of a client; raise BadPacket."""
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
