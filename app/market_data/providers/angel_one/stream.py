"""Angel One's stream: the ticks of up to 3,000 instruments, as they happen.

It shares the instruments out among up to three connections. What they bring is handed on by
the tasks of the connections; what they do not bring, whoever uses the stream has to poll.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

from app.clock import Clock
from app.concurrency import spawn
from app.domain.quote import Quote
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.angel_one.connection import Connection, Timing
from app.market_data.providers.angel_one.stream_tokens import StreamSession, StreamTokens
from app.market_data.providers.angel_one.subscriptions import MAX_TOKENS
from app.market_data.providers.angel_one.ticks import EXCHANGE_TYPES, Key

MAX_CONNECTIONS = 3
_CLOSE_SECONDS = 2.0
_NUDGE_SECONDS = 0.05


class AngelStream:
    def __init__(
        self,
        url: str,
        session: StreamSession,
        clock: Clock,
        *,
        on_ticks: Callable[[list[Quote]], None],
        on_state: Callable[[bool], None] = lambda _up: None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing runs before the first instrument is followed.

        `on_ticks` gets each list of quotes in order, `on_state` whether every connection is up,
        whenever that changes. Background tasks call both; neither may wait for long.
        """
        timing = timing or Timing()
        self._url = url
        self._clock = clock
        self._timing = timing
        self._on_ticks = on_ticks
        self._on_state = on_state
        self._access = StreamTokens(session, clock, timing.renewal)
        self._connections: list[Connection] = []
        self._carriers: dict[str, tuple[Connection, Key]] = {}
        self._wanted: dict[Key, str] = {}
        self._closed = False
        self._lock = threading.Lock()
        self._is_up = False
        self._state_lock = threading.Lock()

    def follow(self, instruments: Collection[Instrument]) -> None:
        """Bring the prices of these from now on, and of no others.

        Beyond 3,000 the rest is not streamed. Never waits for the network.
        """
        with self._lock:
            wanted = _keys(instruments)
            if not self._closed and wanted != self._wanted:
                self._wanted = wanted
                self._share_out(dict(wanted))

    def is_live(self, symbol: str) -> bool:
        """Tell whether every change of the symbol's price comes in right now.

        It does once a first price has come over a connection that is subscribed to it and
        answers the heartbeat. Until then, and for ever where the stream knows no such
        instrument, it has to be polled.
        """
        carrier = self._carriers.get(symbol)
        return carrier is not None and carrier[0].is_live(carrier[1])

    @property
    def live_symbols(self) -> list[str]:
        """The symbols whose prices come in right now."""
        return [symbol for symbol in list(self._carriers) if self.is_live(symbol)]

    def describe(self) -> dict[str, Any]:
        """Return the stream's condition for an operator."""
        connections = list(self._connections)
        dropped: Counter[str] = Counter()
        for each in connections:
            dropped.update({flaw.name.lower(): n for flaw, n in list(each.dropped.items())})
        return {
            "up": self._is_up,
            "connections": sum(each.is_up for each in connections),
            "followed": len(self._wanted),
            "live_symbols": len(self.live_symbols),
            "dropped": dict(dropped),
            "refused": self._access.refusal,
        }

    def close(self) -> None:
        """End every connection and its task; wait for them, 2 seconds at most."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        for each in connections:
            each.close()
        deadline = self._clock.monotonic() + _CLOSE_SECONDS
        for each in connections:
            while not each.ended.wait(_NUDGE_SECONDS) and self._clock.monotonic() < deadline:
                # One that was about to connect could not be broken off yet.
                each.close()

    def _share_out(self, wanted: dict[Key, str]) -> None:
        """Leave what is carried where it is, and put the rest where there is room."""
        loads = [
            {key: wanted.pop(key) for key in list(each.wanted) if key in wanted}
            for each in self._connections
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
            self._access,
            self._clock,
            self._timing,
            on_ticks=self._on_ticks,
            on_change=self._note_state,
        )
        spawn(connection.run)
        return connection

    def _note_state(self) -> None:
        with self._state_lock:
            wanted = [each for each in list(self._connections) if each.wanted]
            is_up = bool(wanted) and all(each.is_up for each in wanted)
            if is_up != self._is_up:
                self._is_up = is_up
                self._on_state(is_up)


def _keys(instruments: Iterable[Instrument]) -> dict[Key, str]:
    return {
        (EXCHANGE_TYPES[each.exchange], each.angel_token): each.symbol
        for each in instruments
        if each.exchange in EXCHANGE_TYPES and each.angel_token
    }


def _take(waiting: list[tuple[Key, str]], room: int) -> list[tuple[Key, str]]:
    """Take as many as there is room for from the front of what waits."""
    taken = waiting[:room]
    del waiting[:room]
    return taken
