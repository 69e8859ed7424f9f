"""What a socket takes of the server's memory, against python-socketio's own."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.bare_socketio import bare_server
from benchmarks.support.books import seed_users
from benchmarks.support.sockets import Seat, audience
from benchmarks.support.usage import memory
from benchmarks.support.world import world

SOCKETS = 1_000
# Connected before, so that what a first socket loads is not on the others' account.
FIRST = 20


def measure() -> list[Result]:
    """Measure the memory of 1,000 sockets, each of its own user and in that user's room."""
    with world() as here:
        users = seed_users(here, FIRST + SOCKETS)
        seats = [
            Seat(user_id=user, token=token)
            for user, token in zip(users, here.tokens(users), strict=True)
        ]

        def ours() -> float:
            with here.server() as server:
                assert server.process is not None
                return _kilobytes_each(server.process.pid, server.port, seats)

        def bare() -> float:
            with bare_server() as (pid, port):
                return _kilobytes_each(pid, port, seats)

        return [
            ratio_of(
                "memory per socket, 1,000 sockets",
                "bare python-socketio",
                Goal(at_most=1.2),
                ours=ours,
                peer=bare,
                unit="KB",
                rounds=2,
            )
        ]


def _kilobytes_each(pid: int, port: int, seats: Sequence[Seat]) -> float:
    with audience() as sockets:
        sockets.connect(port, seats[:FIRST])
        before = memory(pid)
        sockets.connect(port, seats[FIRST:])
        return (memory(pid) - before) / (len(seats) - FIRST) * 1_000
