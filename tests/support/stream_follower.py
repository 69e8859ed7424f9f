"""Follows Angel One's stream in one async mode, as a process; prints its measurements as JSON.

Arguments: the mode, the address, and the number of ticks to wait for. The price of a tick is the
microsecond of the monotonic clock at which it was sent.
"""

from __future__ import annotations

import os
import sys

MODE, URL, EXPECTED = sys.argv[1], sys.argv[2], int(sys.argv[3])
if MODE == "eventlet":
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"
    import warnings

    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()
elif MODE == "gevent":
    from gevent import monkey

    monkey.patch_all()

import json  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from flask import Flask  # noqa: E402

from app.clock import SystemClock  # noqa: E402
from app.concurrency import spawn  # noqa: E402
from app.domain.quote import Quote  # noqa: E402
from app.extensions import socketio  # noqa: E402
from app.market_data.providers.angel_one.connection import Timing  # noqa: E402
from app.market_data.providers.angel_one.stream import AngelStream  # noqa: E402
from tests.support.stream import NIFTY, RELIANCE, Session, live_symbols  # noqa: E402

socketio.init_app(Flask("follower"), async_mode=MODE)
delays: list[float] = []
lateness: list[float] = []
done = threading.Event()


def on_ticks(quotes: list[Quote]) -> None:
    now = time.monotonic_ns() // 1_000
    delays.extend((now - int(quote.price * 100)) / 1_000 for quote in quotes)
    if len(delays) >= EXPECTED:
        done.set()


def measure_lateness() -> None:
    """Measure how late another task runs while the stream is busy."""
    while not done.is_set():
        began = time.monotonic()
        socketio.sleep(0.005)
        lateness.append((time.monotonic() - began - 0.005) * 1_000)


def main() -> None:
    stream = AngelStream(
        URL,
        Session(),
        SystemClock(),
        on_ticks=on_ticks,
        timing=Timing(first_retry=0.02, longest_retry=0.1),
    )
    spawn(measure_lateness)
    stream.follow([NIFTY, RELIANCE])
    assert done.wait(30), f"{len(delays)} ticks in 30 s"

    busy = time.process_time()
    socketio.sleep(1)
    idle = time.process_time() - busy
    live = live_symbols(stream, [NIFTY, RELIANCE])
    began = time.monotonic()
    stream.close()
    closing = time.monotonic() - began
    report = {
        "milliseconds": sorted(delays),
        "lateness": max(lateness),
        "idle_seconds": idle,
        "closing_seconds": closing,
        "live": live,
    }
    print(json.dumps(report), flush=True)


main()
