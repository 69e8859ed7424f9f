"""Proxies that lose the reply to a commit, hold messages back, or let majority reads lag."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

import bson

# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol: every message begins with
# its whole length.
LENGTH = struct.Struct("<i")
SECONDS = 30


class LosingProxy:
    """A proxy between a client and a database that can drop replies and messages."""

    def __init__(self, port: int) -> None:
        """`port` is the port of the database."""
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._meanwhile: Callable[[], object] | None = None
        self._hold: tuple[bytes, list[bytes]] | None = None
        self._released = threading.Event()
        self._lost = threading.Event()
        # One request at a time on a connection: with `poll`, the server streams no states.
        port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.options = "directConnection=true&serverMonitoringMode=poll"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    @contextmanager
    def losing_a_commit(self, meanwhile: Callable[[], object]) -> Iterator[None]:
        """Drop the reply to the next commit; call `meanwhile` before the client notices."""
        self._lost.clear()
        self._meanwhile = meanwhile
        try:
            yield
        finally:
            self._meanwhile = None
        assert self._lost.is_set(), "nothing was committed"

    @contextmanager
    def holding(self, text: bytes) -> Iterator[list[bytes]]:
        """Hold each message that contains `text` until the end; yield these messages."""
        held: list[bytes] = []
        self._released.clear()
        self._hold = text, held
        try:
            yield held
        finally:
            self._hold = None
            self._released.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._upstream)) as database,
        ):
            while message := self._changed(_read(client)):
                if (hold := self._hold) is not None and hold[0] in message:
                    hold[1].append(message)
                    self._released.wait(SECONDS)
                meanwhile = self._take_callback() if b"commitTransaction" in message else None
                database.sendall(message)
                reply = _read(database)
                if meanwhile is not None:
                    meanwhile()
                    self._lost.set()
                    return
                client.sendall(reply)

    def _changed(self, message: bytes) -> bytes:
        """Return the message that the database gets instead."""
        return message

    def _take_callback(self) -> Callable[[], object] | None:
        meanwhile, self._meanwhile = self._meanwhile, None
        return meanwhile


class LaggingProxy(LosingProxy):
    """A proxy whose majority reads can miss the results of requests.

    So it is on a replica set whose secondaries have not received them.
    """

    _is_lagging = False

    @contextmanager
    def lagging(self) -> Iterator[None]:
        """Hide the results of requests from majority reads."""
        self._is_lagging = True
        try:
            yield
        finally:
            self._is_lagging = False

    def _changed(self, message: bytes) -> bytes:
        if not self._is_lagging or b"majority" not in message:
            return message
        # OP_MSG: a head of 16 bytes, flags, and sections; a find has one, which is a document.
        head, section = message[:21], message[21:]
        command = bson.decode(section[: LENGTH.unpack(section[: LENGTH.size])[0]])
        if command.get("find") not in ("answers", "trades"):
            return message
        command["filter"] = {"_id": "not yet replicated"}
        changed = bson.encode(command)
        return LENGTH.pack(len(head) + len(changed)) + head[4:] + changed


def _read(peer: socket.socket) -> bytes:
    """Return the next message, or nothing if the peer has closed the connection."""
    head = _read_exactly(peer, LENGTH.size)
    return head and head + _read_exactly(peer, LENGTH.unpack(head)[0] - LENGTH.size)


def _read_exactly(peer: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        if not (part := peer.recv(count - len(found))):
            return b""
        found += part
    return found
