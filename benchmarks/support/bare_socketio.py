"""The floor of the socket rows: the least that python-socketio can be under eventlet.

`python -m benchmarks.support.bare_socketio PORT [SYMBOL ...]`: a server whose clients join rooms
as those of the application do, and that emits a price of each symbol, if any, once a second.
No application, no database, no check of anything.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.support.floor import floor

INTERVAL_SECONDS = 1.0
# What `announce` sends to everyone: an event of the size of ours.
UPDATE = {
    "event": "trade_auto_closed",
    "seq": 7,
    "data": {
        "trade_id": "0" * 24,
        "symbol": "^NSEI",
        "trade_type": "BUY",
        "quantity": 1,
        "reason": "stop_loss",
        "exit_price": 24_950.0,
        "pnl": -50.0,
        "quote": {"price": 24_950.0, "source": "angel_one", "timestamp": "2026-11-23T03:45:00Z"},
    },
}


def bare_server(symbols: Sequence[str] = ()) -> AbstractContextManager[tuple[int, int]]:
    """Run one until the block ends; give its process id and its port."""
    return floor("benchmarks.support.bare_socketio", *symbols)


def _serve(port: int, symbols: Sequence[str]) -> None:
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()
    import eventlet.wsgi
    import socketio

    server = socketio.Server(async_mode="eventlet", cors_allowed_origins="*")

    @server.on("join")
    def join(sid: str, asked: dict[str, Any]) -> dict[str, bool]:
        server.enter_room(sid, f"user:{asked['user_id']}")
        return {"ok": True}

    @server.on("subscribe")
    def subscribe(sid: str, asked: dict[str, Any]) -> dict[str, bool]:
        for symbol in asked["symbols"]:
            server.enter_room(sid, f"price:{symbol}")
        return {"ok": True}

    @server.on("announce")
    def announce(sid: str) -> None:
        server.emit("trade_update", UPDATE)

    def emit_prices() -> None:
        due = time.monotonic()
        while True:
            for symbol in symbols:
                server.emit("live_price", _price(symbol), to=f"price:{symbol}")
            due += INTERVAL_SECONDS
            server.sleep(max(due - time.monotonic(), 0))

    if symbols:
        server.start_background_task(emit_prices)
    listener = eventlet.listen(("127.0.0.1", port), backlog=1024)
    eventlet.wsgi.server(listener, socketio.WSGIApp(server), log_output=False, max_size=10_000)


def _price(symbol: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "price": 25_000.05,
        "timestamp": "2026-11-23T03:45:00.000Z",
        "age": 0.312,
        "source": "replay",
        "delayed": False,
    }


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2:])
