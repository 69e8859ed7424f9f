"""A client that requests replay after replay without reading them."""

from __future__ import annotations

import contextlib
import json
import time

from tests.support.live import LiveTrader, eventually
from tests.support.memory import resident_bytes
from tests.support.raw_sockets import RawSocket
from tests.support.server import ServerProcess

EVENTS = 60
JOINS = 1_500
MAX_GROWTH = 50 * 1024 * 1024
# The server closes a client that reads nothing within 20 s; the rest allows for a busy machine.
SECONDS = 60


def memory_of(server: ServerProcess) -> int:
    """Return the resident memory of the server, in bytes."""
    assert server.process is not None
    return resident_bytes(server.process.pid)


def test_replays_that_are_not_read_take_little_memory_and_end_the_socket(
    server: ServerProcess,
) -> None:
    trader = LiveTrader(server)
    for _ in range(EVENTS):
        sent = trader.post("/notifications", event="note", message="x" * 2_000)
        assert sent.status_code == 200
    socket = RawSocket(server.url, trader.token)
    before = memory_of(server)
    join = f"42{json.dumps(['join', {'user_id': trader.client_id, 'since': 0}])}"
    highest = before
    begun = time.monotonic()
    slowest = 0.0

    with contextlib.suppress(OSError):
        for _ in range(JOINS):
            socket.send(join)
        while time.monotonic() - begun < SECONDS:
            # A sign of life, to pings that it has not read.
            socket.send("3")
            asked = time.monotonic()
            assert server.request("GET", "/health/live").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
            highest = max(highest, memory_of(server))
            time.sleep(0.2)

    assert time.monotonic() - begun < SECONDS, "it was never closed"
    assert highest - before < MAX_GROWTH
    assert slowest < 5
    socket.close()
    eventually(lambda: memory_of(server) - before < MAX_GROWTH / 2)
    assert LiveTrader(server).open_portfolio()
