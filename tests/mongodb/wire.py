"""MongoDB's wire protocol: messages on a socket, and the commands in them.

Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import bson

Document = dict[str, Any]

HEADER = struct.Struct("<iiii")
OP_REPLY = 1
OP_QUERY = 2004
OP_MSG = 2013
# Flags of OP_MSG: nothing is replied to the first, and the second allows several replies.
MORE_TO_COME = 1 << 1
EXHAUST_ALLOWED = 1 << 16


def read_message(connection: socket.socket) -> bytes:
    """Read one message; return nothing at the end of the stream."""
    header = _read(connection, HEADER.size)
    if not header:
        return b""
    (length, *_) = HEADER.unpack(header)
    body = _read(connection, length - HEADER.size)
    return header + body if body else b""


def _read(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = connection.recv(min(size - len(received), 1 << 20))
        if not part:
            return b""
        received += part
    return bytes(received)


def request_id(message: bytes) -> int:
    return int(HEADER.unpack_from(message)[1])


def response_to(message: bytes) -> int:
    return int(HEADER.unpack_from(message)[2])


def op_code(message: bytes) -> int:
    return int(HEADER.unpack_from(message)[3])


def flags(message: bytes) -> int:
    return int(struct.unpack_from("<I", message, HEADER.size)[0])


def without_exhaust(message: bytes) -> bytes:
    """Return the request without the permission to reply several times."""
    cleared = struct.pack("<I", flags(message) & ~EXHAUST_ALLOWED)
    return message[: HEADER.size] + cleared + message[HEADER.size + 4 :]


def decode(message: bytes) -> Document:
    """Return the command or reply in an OP_MSG or OP_QUERY."""
    if op_code(message) == OP_QUERY:
        begin = message.index(b"\0", HEADER.size + 4) + 1 + 8
        return bson.decode(message[begin:])
    position = HEADER.size + 4
    body: Document = {}
    sequences: Document = {}
    while position < len(message):
        kind = message[position]
        (size,) = struct.unpack_from("<i", message, position + 1)
        section = message[position + 1 : position + 1 + size]
        position += 1 + size
        if kind == 0:
            body = bson.decode(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            sequences[name.decode()] = bson.decode_all(documents)
    return body | sequences


def encode(document: Document, number: int = 1, response_to: int = 0) -> bytes:
    """Return an OP_MSG with one document."""
    payload = b"\0\0\0\0\0" + bson.encode(document)
    return HEADER.pack(HEADER.size + len(payload), number, response_to, OP_MSG) + payload
