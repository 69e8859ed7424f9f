"""A fake standalone mongod: it answers the handshake, and refuses what needs a replica set."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson

# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol: length, request id,
# response to, opcode.
HEADER = struct.Struct("<iiii")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HELLO: dict[str, Any] = {"isWritablePrimary": True, "ismaster": True, "helloOk": True}
HELLO |= {
    "maxBsonObjectSize": 2**24,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
}
HELLO |= {"minWireVersion": 0, "maxWireVersion": 25, "logicalSessionTimeoutMinutes": 30, "ok": 1.0}
# What mongod answers to the first statement of a transaction.
REFUSAL = {
    "ok": 0.0,
    "code": 20,
    "codeName": "IllegalOperation",
    "errmsg": "Transaction numbers are only allowed on a replica set member or mongos",
}
ANSWERS: dict[str, dict[str, Any]] = {
    "hello": HELLO,
    "ismaster": HELLO,
    "isMaster": HELLO,
    "buildInfo": {"version": "8.0.4", "ok": 1.0},
    "ping": {"ok": 1.0},
    "endSessions": {"ok": 1.0},
}


@contextmanager
def standalone_mongod(**hello: Any) -> Iterator[str]:
    """Run the fake; yield its URI. The keywords are added to its reply to `hello`."""
    answers = {**ANSWERS, "hello": {**HELLO, **hello}}

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.read(HEADER.size):
                length, number, _, opcode = HEADER.unpack(head)
                message = self.rfile.read(length - HEADER.size)
                self.wfile.write(_reply(number, opcode, answers, message))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # With `poll`, the client expects one reply to each message.
        options = "directConnection=true&serverMonitoringMode=poll"
        yield f"mongodb://127.0.0.1:{server.server_address[1]}/?{options}"
        server.shutdown()


def _reply(number: int, opcode: int, answers: dict[str, dict[str, Any]], message: bytes) -> bytes:
    # OP_QUERY: flags, the collection's name, two numbers, a document. OP_MSG: flags, the kind of a
    # section, a document.
    begin = message.index(0, 4) + 9 if opcode == OP_QUERY else 5
    (size,) = struct.unpack_from("<i", message, begin)
    command = next(iter(bson.decode(message[begin : begin + size])))
    answer = bson.encode(answers.get(command, REFUSAL))
    if opcode == OP_QUERY:
        body, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, OP_REPLY
    else:
        body, kind = bytes(5) + answer, OP_MSG
    return HEADER.pack(HEADER.size + len(body), 0, number, kind) + body
