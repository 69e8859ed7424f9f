"""The open connections: limits on their number, and a timeout for each phase."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from app.logs.client_log import ClientLog
from app.transport.budgets import AddressBudgets
from app.web.addresses import client_network

# Bytes that a client must read within WRITE_TIMEOUT_SECONDS, or it is disconnected.
WRITE_BLOCK = 64 * 1024
WRITE_TIMEOUT_SECONDS = 20.0
REAP_INTERVAL_SECONDS = 0.5
# Keys in the environ of a request and in `app.extensions`.
CONNECTION_KEY = "paper_trading.connection"
CONNECTIONS_KEY = "connections"


class Phase(Enum):
    """What a connection is doing, and its timeout in seconds; None is no timeout."""

    # Connected; nothing received yet.
    NEW = ("nothing sent", 10.0)
    # Kept alive after a response.
    IDLE = ("idle", 60.0)
    HEADER = ("header too slow", 10.0)
    BODY = ("body too slow", 20.0)
    REQUEST = ("request", None)
    POLL = ("poll", None)
    WEBSOCKET = ("websocket", None)
    # Answered and closing; further input is discarded.
    LINGER = ("closing", 5.0)

    def __init__(self, label: str, seconds: float | None) -> None:
        self.label = label
        self.seconds = seconds


# Without a request under way, a connection can be closed to make room.
EVICTABLE = frozenset({Phase.NEW, Phase.IDLE, Phase.HEADER, Phase.BODY, Phase.LINGER})
IN_FLIGHT = frozenset({Phase.HEADER, Phase.BODY, Phase.REQUEST})


@dataclass(frozen=True, slots=True)
class Bounds:
    """The maximum number of connections, in total and per address; None is no maximum."""

    total: int
    per_address: int | None


@dataclass(eq=False, slots=True)
class Connection:
    """One client's TCP connection."""

    socket: socket.socket
    address: str
    port: int
    table: ConnectionTable
    key: str
    phase: Phase = Phase.NEW
    deadline: float | None = None
    write_deadline: float | None = None
    # Bytes received after the head of an upgrade request.
    unread: bytes = b""
    # The WebSocket that has taken over the connection.
    websocket: Any = None
    _sending: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, phase: Phase) -> None:
        """Begin a phase and its timeout."""
        self.table.move(self, phase)

    def receive(self, size: int) -> bytes:
        """Return the next bytes; b"" at the end or after an error."""
        try:
            return self.socket.recv(size)
        except OSError:
            return b""

    def send(self, data: bytes | bytearray) -> None:
        """Send all data; raise OSError. A client that does not read is disconnected."""
        with self._sending:
            view = memoryview(data)
            try:
                while view:
                    self.write_deadline = time.monotonic() + WRITE_TIMEOUT_SECONDS
                    block, view = view[:WRITE_BLOCK], view[WRITE_BLOCK:]
                    self.socket.sendall(block)
            finally:
                self.write_deadline = None

    def take_piece(self) -> bool:
        """Return whether the address may send another piece of an incomplete request."""
        if self.table.bounds.per_address is None:
            # A proxy's address stands for all its clients.
            return True
        return self.table.pieces.of(self.key).take_messages()

    def log(self, event: str, *, warning: bool = False) -> None:
        self.table.client_log.write(event, self.address, warning=warning)

    @property
    def is_sending(self) -> bool:
        return self.write_deadline is not None

    def finish_sending(self) -> None:
        """Close the sending side, and give the client a moment to close the other."""
        self.enter(Phase.LINGER)
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Shut the connection down; pending reads and writes end."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def is_overdue(self, now: float) -> bool:
        limits = (self.deadline, self.write_deadline)
        return any(limit is not None and now > limit for limit in limits)


class ConnectionTable:
    """Every connection of the server."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        # The server still accepts connections, but stops soon.
        self.ending = False
        self.draining = False
        self.client_log = ClientLog()
        # Limits requests that arrive in small pieces: a thousand connections that send single
        # bytes would keep the server busy.
        self.pieces = AddressBudgets()
        # Ordered by their last change of phase.
        self._connections: dict[Connection, None] = {}
        self._evictable: dict[str, dict[Connection, None]] = {}
        self._by_address: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, client: socket.socket, address: str, port: int) -> Connection | None:
        """Add a connection; close the longest idle one if there are too many.

        Returns None if none is idle.
        """
        key = client_network(address)
        connection = Connection(client, address, port, self, key)
        with self._lock:
            victims = self._make_room(key)
            if victims is None:
                return None
            self._connections[connection] = None
            self._by_address[key] += 1
        for victim in victims:
            victim.log("connection limit reached, closed an idle one", warning=True)
            victim.abort()
        self.move(connection, Phase.NEW)
        return connection

    def evict(self) -> None:
        """Close the longest idle connection, if any, to free a descriptor."""
        with self._lock:
            victim = self._pop_idle(self._heaviest())
        if victim:
            victim.abort()

    def remove(self, connection: Connection) -> None:
        with self._lock:
            self._forget(connection)

    def move(self, connection: Connection, phase: Phase) -> None:
        """Set the phase of a connection, and its deadline."""
        connection.phase = phase
        connection.deadline = time.monotonic() + phase.seconds if phase.seconds else None
        with self._lock:
            waiting = self._evictable.setdefault(connection.key, {})
            waiting.pop(connection, None)
            if phase in EVICTABLE and connection in self._connections:
                waiting[connection] = None
            elif not waiting:
                del self._evictable[connection.key]

    def cut_overdue(self, on_cut: Callable[[Connection], None]) -> None:
        """Close each connection whose deadline has passed, after calling `on_cut` with it."""
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.is_overdue(now):
                slow = connection.write_deadline is not None
                label = "response read too slowly" if slow else connection.phase.label
                if connection.phase not in (Phase.IDLE, Phase.LINGER) or slow:
                    connection.log(f"connection closed, {label}")
                on_cut(connection)
                connection.abort()
        self.pieces.forget_idle()

    def in_phases(self, *phases: Phase) -> list[Connection]:
        return [connection for connection in list(self._connections) if connection.phase in phases]

    def _make_room(self, key: str) -> list[Connection] | None:
        victims = []
        limit = self.bounds.per_address
        if limit is not None and self._by_address[key] >= limit:
            victims.append(self._pop_idle(key))
        elif len(self._connections) >= self.bounds.total:
            victims.append(self._pop_idle(self._heaviest()))
        idle = [victim for victim in victims if victim]
        return idle if len(idle) == len(victims) else None

    def _heaviest(self) -> str | None:
        idle = self._evictable
        return max(idle, key=lambda key: len(idle[key]), default=None)

    def _pop_idle(self, key: str | None) -> Connection | None:
        waiting = self._evictable.get(key) if key is not None else None
        if not waiting:
            return None
        victim = next(iter(waiting))
        self._forget(victim)
        return victim

    def _forget(self, connection: Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._by_address[connection.key] -= 1
            if not self._by_address[connection.key]:
                del self._by_address[connection.key]
        waiting = self._evictable.get(connection.key)
        if waiting is not None:
            waiting.pop(connection, None)
            if not waiting:
                del self._evictable[connection.key]
