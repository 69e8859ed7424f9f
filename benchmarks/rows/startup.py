"""From the start of the process to the first price, with 100,000 trades in the data folder."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path

from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.crowd import TRADES
from benchmarks.support.existing import existing
from tests.support.server import ServerProcess

REQUEST = b"GET /market/live/%5ENSEI HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
TIMEOUT_SECONDS = 60.0


def measure() -> list[Result]:
    """Measure the seconds to the first price, in a folder that a server left in order."""
    with existing() as folders, folders.server(folders.quiet) as server:
        server.stop()
        new = (folders.here.folder / f"new{number}" for number in itertools.count())
        return [
            ratio_of(
                f"start to first price, {TRADES:,} trades",
                "the same in an empty folder",
                Goal(at_most=1.5),
                ours=lambda: _seconds_to_first_price(server, folders.crowded),
                peer=lambda: _seconds_to_first_price(server, next(new)),
                unit="s",
            )
        ]


def _seconds_to_first_price(server: ServerProcess, data_dir: Path) -> float:
    server.environment["DATA_DIR"] = str(data_dir)
    began = time.perf_counter()
    server.spawn()
    while not _has_price(server.port):
        if time.perf_counter() - began > TIMEOUT_SECONDS:
            raise TimeoutError(f"there was no price in time:\n{server.output()}")
        time.sleep(0.005)
    taken = time.perf_counter() - began
    server.stop()
    return taken


def _has_price(port: int) -> bool:
    """Ask once. The server listens before it serves: who came early is answered as it begins."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            connection.sendall(REQUEST)
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except (ConnectionRefusedError, ConnectionResetError):
        return False
