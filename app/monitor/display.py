"""Prices on their way to the sockets: shown when it is known what they trigger, or soon anyway.

A price of an index goes to every socket, which keeps this process busy for longer than asking what
it triggers does. Shown first, it would hold up the closures; shown once the answer is there, it
goes out while the database writes them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Set

from flask import Flask

from app.concurrency import spawn
from app.domain.quote import Quote
from app.extensions import socketio
from app.realtime.prices import publish_prices

# Later than this no price is shown, however much it triggers and whatever the database does.
MAX_WAIT_SECONDS = 0.1
# To ask what more symbols trigger takes longer than to show them.
MAX_HELD_SYMBOLS = 10


class Display:
    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: dict[str, Quote] = {}
        # Taken and published under it, so that no older price of a symbol comes after a newer one.
        self._lock = threading.Lock()

    def add(self, quotes: Iterable[Quote]) -> None:
        """Have these shown soon; of a symbol that still waits, the newer one."""
        with self._lock:
            self._waiting.update({quote.symbol: quote for quote in quotes})
            if not self._waiting:
                return
        spawn(self._show_late)

    def show(self, symbol: str) -> None:
        """Show the price of a symbol, where it still waits."""
        with self._lock:
            self._publish({symbol} & self._waiting.keys())

    def show_others(self, symbols: Set[str]) -> None:
        """Show every price that waits, but those of `symbols`, unless these are many."""
        kept = symbols if len(symbols) <= MAX_HELD_SYMBOLS else frozenset()
        with self._lock:
            self._publish([each for each in self._waiting if each not in kept])

    def show_all(self) -> None:
        """Show every price that waits."""
        self.show_others(frozenset())

    def _publish(self, symbols: Iterable[str]) -> None:
        publish_prices([self._waiting.pop(symbol) for symbol in symbols])

    def _show_late(self) -> None:
        socketio.sleep(MAX_WAIT_SECONDS)
        with self._app.app_context():
            self.show_all()
