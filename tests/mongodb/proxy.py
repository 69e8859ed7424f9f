"""The strict proxy: between PyMongo and the embedded server, as strict as MongoDB.

To the application the server is MongoDB, so hints arrive: they are judged, and not forwarded.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from tests.mongodb import wire
from tests.mongodb.command import Command
from tests.mongodb.counts import find_counted
from tests.mongodb.refusals import Tier, find_refusal
from tests.mongodb.report import Finding, Report, refusal
from tests.mongodb.state import LIFETIME_SECONDS, State

HANDSHAKE = frozenset({"hello", "isMaster", "ismaster"})
# Only the application's clients give this name; clients of tests are not judged.
APP_NAME = "paper-trading"


class StrictProxy:
    """Listens on a port of its own; `report` has what the application did against the rules."""

    def __init__(
        self,
        upstream_port: int,
        *,
        tier: Tier = Tier.REPLICA_SET,
        lifetime_seconds: float = LIFETIME_SECONDS,
    ) -> None:
        self.tier = tier
        self.report = Report()
        self.state = State(lifetime_seconds)
        self.upstream = ("127.0.0.1", upstream_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self.address[1]

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet=secantus"

    def close(self) -> None:
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connections.add(client)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with socket.create_connection(self.upstream) as upstream:
                upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Connection(self, client, upstream).run()
        self._connections.discard(client)


class _Connection:
    def __init__(self, proxy: StrictProxy, client: socket.socket, upstream: socket.socket) -> None:
        self._proxy = proxy
        self._state = proxy.state
        self._client = client
        self._upstream = upstream
        self._is_judged = False

    def run(self) -> None:
        while request := wire.read_message(self._client):
            reply = self._reply(request)
            if reply:
                self._client.sendall(reply)

    def _reply(self, request: bytes) -> bytes:
        command = Command(wire.decode(request), len(request))
        if command.name in HANDSHAKE:
            return self._greet(request, command)
        refused = self._refusal(command)
        if refused is not None:
            self._report(refused)
            self._abort(command)
            return wire.encode(refused.reply or {}, response_to=wire.request_id(request))
        self._state.begin(command)
        for finding in find_counted(command, self._state):
            self._report(finding)
        if wire.flags(request) & wire.MORE_TO_COME:
            self._upstream.sendall(request)
            return b""
        if any(command.hints()):
            request = wire.encode(command.without_hints(), wire.request_id(request))
        reply = self._forward(request)
        self._state.end(command, wire.decode(reply))
        return self._as_mongodb(reply) if command.name == "buildInfo" else reply

    def _as_mongodb(self, reply: bytes) -> bytes:
        body = wire.decode(reply)
        if self._is_judged:
            body.pop("secantusVersion", None)
        return wire.encode(body, response_to=wire.response_to(reply))

    def _greet(self, request: bytes, command: Command) -> bytes:
        """Forward a handshake; in the reply the proxy has the place of the server."""
        client: dict[str, Any] = command.body.get("client", {})
        if client:
            self._is_judged = client.get("application", {}).get("name") == APP_NAME
        if wire.op_code(request) == wire.OP_MSG:
            request = wire.without_exhaust(request)
        server, proxy = (
            f"{host}:{port}".encode() for host, port in (self._proxy.upstream, self._proxy.address)
        )
        assert len(server) == len(proxy), "the lengths in the reply stay true"
        return self._forward(request).replace(server, proxy)

    def _refusal(self, command: Command) -> Finding | None:
        """Return why MongoDB refuses the command; wait for the lock that it needs."""
        refused = find_refusal(command, self._state, self._proxy.tier) if self._is_judged else None
        if refused is not None:
            return refused
        if self._state.needs_exclusive_lock(command) and not self._state.wait_for_lock(command):
            reply = refusal(50, "MaxTimeMSExpired", "operation exceeded time limit")
            return Finding("lock", f"{command.shape} behind a transaction", reply)
        return None

    def _report(self, finding: Finding) -> None:
        if self._is_judged:
            self._proxy.report.add(finding)

    def _forward(self, request: bytes) -> bytes:
        self._upstream.sendall(request)
        reply = wire.read_message(self._upstream)
        if not reply:
            raise ConnectionError("the server closed the connection")
        return reply

    def _abort(self, command: Command) -> None:
        """Abort the transaction of a refused command, as MongoDB does."""
        if self._state.transaction(command) is not None:
            self._forward(wire.encode(command.abort()))
            self._state.forget(command)
