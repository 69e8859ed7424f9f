"""One open connection to Angel One's stream: subscriptions, heartbeat and what comes in."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from app.clock import Clock
from app.domain.quote import Quote
from app.logs import logger
from app.market_data.providers.angel_one.ticks import Key, TickError, TickReader
from app.market_data.providers.angel_one.websocket import (
    ConnectionLost,
    Message,
    WebSocketTransport,
)

MAX_TOKENS = 1_000
_SUBSCRIBE, _UNSUBSCRIBE = 1, 0
_LTP_MODE = 1
_PING = "ping"
_PONGS = ("pong", b"pong")
# Beats without an answer after which the other end counts as gone.
_PATIENT_BEATS = 2


class Subscriptions:
    def __init__(
        self, wire: WebSocketTransport, reader: TickReader, clock: Clock, heartbeat: float
    ) -> None:
        """Serve an open `wire`, with a ping each `heartbeat` seconds."""
        self._wire = wire
        self._reader = reader
        self._clock = clock
        self._heartbeat = heartbeat
        self._wanted: Mapping[Key, str] = {}
        self._subscribed: dict[Key, str] = {}
        self._requests: dict[str, int] = {}
        self._answered_at = self._next_ping_at = clock.monotonic()
        # Set by the first pong, which also tells that the first subscription was read.
        self.is_up = False
        reader.begin_anew()

    def is_live(self, key: Key) -> bool:
        """Tell whether the prices of an instrument come in.

        The heartbeat is good, the instrument is subscribed, and a first price has come, so
        that none of before the connection is taken for the present one.
        """
        return (
            self.is_up
            and key in self._subscribed
            and key in self._reader.heard
            and self._seconds_to_silence() > 0
        )

    def follow(self, wanted: Mapping[Key, str]) -> None:
        """Subscribe what is new among `wanted`, and unsubscribe what is missing."""
        if wanted is self._wanted:
            return
        gone = [key for key in self._subscribed if key not in wanted]
        new = [key for key in wanted if key not in self._subscribed]
        self._wanted, self._subscribed = wanted, dict(wanted)
        # In this order, so that there are never more than the server allows.
        if gone:
            self._reader.forget(gone)
            self._request(_UNSUBSCRIBE, gone)
        if new:
            self._request(_SUBSCRIBE, new)

    def beat(self) -> float:
        """Send the ping that is due; return the seconds until something is due again.

        Raises ConnectionLost where the other end has been silent for two beats.
        """
        if self._clock.monotonic() >= self._next_ping_at:
            self._wire.send(_PING)
            self._next_ping_at = self._clock.monotonic() + self._heartbeat
        if self._wire.has_more:
            # The answer may be among what is not read yet.
            return 0
        if self._seconds_to_silence() <= 0:
            raise ConnectionLost("the heartbeat was not answered")
        until_ping = self._next_ping_at - self._clock.monotonic()
        return max(0, min(until_ping, self._seconds_to_silence()))

    def take(self, messages: Iterable[Message]) -> list[Quote]:
        """Return the quotes among `messages`, in order, and act on the rest."""
        frames: list[bytes] = []
        for message in messages:
            if message in _PONGS:
                self._answered_at = self._clock.monotonic()
                self.is_up = True
            elif isinstance(message, bytes):
                frames.append(message)
            else:
                self._take_answer(message)
        return self._reader.read(frames, self._subscribed)

    def _seconds_to_silence(self) -> float:
        return self._answered_at + _PATIENT_BEATS * self._heartbeat - self._clock.monotonic()

    def _request(self, action: int, keys: Collection[Key]) -> None:
        correlation = f"paper{len(self._requests) % 100_000:05}"
        self._requests[correlation] = len(keys)
        tokens: defaultdict[int, list[str]] = defaultdict(list)
        for exchange_type, token in keys:
            tokens[exchange_type].append(token)
        listed = [{"exchangeType": kind, "tokens": tokens[kind]} for kind in sorted(tokens)]
        self._wire.send(
            json.dumps(
                {
                    "correlationID": correlation,
                    "action": action,
                    "params": {"mode": _LTP_MODE, "tokenList": listed},
                }
            )
        )

    def _take_answer(self, text: str) -> None:
        """Log an error, the only text besides pongs: no price will come of what it is about."""
        answer = _parse(text)
        if answer is None:
            self._reader.dropped[TickError.MALFORMED] += 1
            return
        code = str(answer.get("errorCode"))
        logger.warning(
            "Angel One's stream refused a request (%s), instruments left to be polled: %d",
            code if re.fullmatch(r"\w{1,20}", code) else "without a code",
            self._requests.get(str(answer.get("correlationID")), 0),
        )


def _parse(text: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
