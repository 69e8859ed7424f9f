"""Angel One's stream: the ticks of up to 3,000 instruments as they happen.

The instruments are spread over up to three connections, whose tasks deliver the ticks. The user
of the stream has to poll every symbol that is not live.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable

from app.clock import Clock
from app.concurrency import spawn
from app.domain.quote import Quote
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.angel_one.connection import Connection, Timing
from app.market_data.providers.angel_one.snap_quote import SNAP_QUOTE_MODE
from app.market_data.providers.angel_one.stream_tokens import StreamSession, StreamTokens
from app.market_data.providers.angel_one.subscriptions import LTP_MODE, MAX_TOKENS
from app.market_data.providers.angel_one.ticks import EXCHANGE_TYPES, Key

MAX_CONNECTIONS = 3
_CLOSE_SECONDS = 2.0
_CLOSE_RETRY_SECONDS = 0.05


class AngelStream:
    def __init__(
        self,
        url: str,
        session: StreamSession,
        clock: Clock,
        *,
        on_ticks: Callable[[list[Quote]], None],
        mode: int = LTP_MODE,
        timing: Timing | None = None,
    ) -> None:
        """Prepare the stream; it connects once an instrument is followed.

        In SNAP_QUOTE_MODE its quotes have details, and come with every change of the order book.

        `on_ticks` receives lists of quotes, in order. Background tasks call it, and wait for it.
        """
        timing = timing or Timing()
        self._url = url
        self._clock = clock
        self._timing = timing
        self._mode = mode
        self.has_details = mode == SNAP_QUOTE_MODE
        self._on_ticks = on_ticks
        self._tokens = StreamTokens(session, clock, timing.renewal)
        self._connections: list[Connection] = []
        self._carriers: dict[str, tuple[Connection, Key]] = {}
        self._wanted: dict[Key, str] = {}
        self._closed = False
        self._lock = threading.Lock()

    def follow(self, instruments: Collection[Instrument]) -> None:
        """Stream the prices of exactly these instruments, up to 3,000. Never waits."""
        with self._lock:
            wanted = _keys(instruments)
            if not self._closed and wanted != self._wanted:
                self._wanted = wanted
                self._distribute(dict(wanted))

    def is_live(self, symbol: str) -> bool:
        """Return whether every change of the symbol's price arrives right now.

        That is so from the first price over a connection that answers the heartbeat. Any other
        symbol has to be polled.
        """
        carrier = self._carriers.get(symbol)
        return carrier is not None and carrier[0].is_live(carrier[1])

    def close(self) -> None:
        """End every connection and its task; wait for them, 2 seconds at most."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        for connection in connections:
            connection.close()
        deadline = self._clock.monotonic() + _CLOSE_SECONDS
        for connection in connections:
            while (
                not connection.ended.wait(_CLOSE_RETRY_SECONDS)
                and self._clock.monotonic() < deadline
            ):
                # A connection attempt that began just now had nothing to abort before.
                connection.close()

    def _distribute(self, wanted: dict[Key, str]) -> None:
        """Leave instruments on their connections, and put the new ones where there is room."""
        loads = [
            {key: wanted.pop(key) for key in list(connection.wanted) if key in wanted}
            for connection in self._connections
        ]
        waiting = list(wanted.items())
        for load in loads:
            load.update(_take(waiting, MAX_TOKENS - len(load)))
        while waiting and len(loads) < MAX_CONNECTIONS:
            self._connections.append(self._connect())
            loads.append(dict(_take(waiting, MAX_TOKENS)))
        self._carriers = {
            symbol: (connection, key)
            for connection, load in zip(self._connections, loads, strict=True)
            for key, symbol in load.items()
        }
        for connection, load in zip(self._connections, loads, strict=True):
            if load != connection.wanted:
                connection.carry(load)

    def _connect(self) -> Connection:
        connection = Connection(
            self._url,
            self._tokens,
            self._clock,
            self._timing,
            mode=self._mode,
            on_ticks=self._on_ticks,
        )
        spawn(connection.run)
        return connection


def _keys(instruments: Iterable[Instrument]) -> dict[Key, str]:
    return {
        (EXCHANGE_TYPES[instrument.exchange], instrument.angel_token): instrument.symbol
        for instrument in instruments
        if instrument.exchange in EXCHANGE_TYPES and instrument.angel_token
    }


def _take(waiting: list[tuple[Key, str]], room: int) -> list[tuple[Key, str]]:
    """Remove and return the first `room` items."""
    taken = waiting[:room]
    del waiting[:room]
    return taken
