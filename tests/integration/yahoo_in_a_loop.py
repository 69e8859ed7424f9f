"""Requests prices from a Yahoo that hangs, in one async mode, as a process of test_yahoo.py.

It fails with an AssertionError if the loop was blocked, or if a module was loaded too early.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event

ROOT = Path(__file__).resolve().parents[2]
# Seconds: half the timeout of a request. Loading pandas alone holds the interpreter for 0.3 s.
MAX_PAUSE = 1.5


def patch(mode: str) -> None:
    """Make the standard library cooperative, as run.py does."""
    if mode == "eventlet":
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet

        eventlet.monkey_patch()
    elif mode == "gevent":
        from gevent import monkey

        monkey.patch_all()


def measure_pauses(pauses: list[float], ended: Event) -> None:
    """Add the length of each turn of the loop, in seconds, until the end."""
    import time

    last = time.monotonic()
    while not ended.is_set():
        time.sleep(0.01)
        pauses.append(time.monotonic() - last)
        last = time.monotonic()


def main(mode: str, url: str) -> None:
    import threading
    import time

    from flask import Flask

    from app.clock import SystemClock
    from app.concurrency import in_background, spawn
    from app.domain.candle import Interval
    from app.extensions import socketio
    from app.market_data.instruments.registry import load_instruments
    from app.market_data.providers.yahoo import YahooSource
    from config import load_settings

    socketio.init_app(Flask("test"), async_mode=mode)
    settings = load_settings(
        {"SECRET_KEY": "x" * 32, "JWT_SECRET_KEY": "y" * 32, "YAHOO_ROOT_URL": url}
    )
    source = YahooSource(settings, SystemClock())
    assert not {"yfinance", "pandas", "curl_cffi"} & set(sys.modules)

    pauses: list[float] = []
    ended = threading.Event()
    spawn(measure_pauses, pauses, ended)
    find = load_instruments().get
    batch = [find(name) for name in ("TCS.NS", "^NSEI", "M&M.NS")]
    began = time.monotonic()
    assert {quote.symbol for quote in source.fetch(batch)} == {"^NSEI", "M&M.NS"}
    assert time.monotonic() - began >= 3, "one request hangs"
    # Several calls at the same time contend for yfinance's locks.
    calls = [in_background(source.fetch, batch[1:]) for _ in range(4)]
    assert [len(call.result(10)) for call in calls] == [2] * 4
    now = SystemClock().now()
    source.candles(batch[1], Interval.DAY, now.replace(year=now.year - 1), now)
    ended.set()
    assert len(pauses) > 100, f"the loop ran {len(pauses)} times"
    assert max(pauses) < MAX_PAUSE, f"the loop was blocked for {max(pauses):.2f} s"
    print("done")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    patch(sys.argv[1])
    main(*sys.argv[1:])
