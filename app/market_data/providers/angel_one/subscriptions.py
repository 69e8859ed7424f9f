"""The subscriptions and the heartbeat of one open connection to Angel One's stream."""

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
LTP_MODE = 1
_PING = "ping"
_PONGS = ("pong", b"pong")
# The connection is lost after this many heartbeats without a pong.
_MAX_MISSED_BEATS = 2


class Subscriptions:
    def __init__(
        self,
        transport: WebSocketTransport,
        reader: TickReader,
        clock: Clock,
        heartbeat: float,
        mode: int = LTP_MODE,
    ) -> None:
        """Serve an open connection, with a ping every `heartbeat` seconds.

        `mode` is the vendor's number of what a tick has.
        """
        self._transport = transport
        self._mode = mode
        self._reader = reader
        self._clock = clock
        self._heartbeat = heartbeat
        self._wanted: Mapping[Key, str] = {}
        self._subscribed: dict[Key, str] = {}
        self._request_sizes: dict[str, int] = {}
        self._answered_at = self._next_ping_at = clock.monotonic()
        # True from the first pong, which also confirms that the first subscription was read.
        self.is_up = False
        reader.reset()

    def is_live(self, key: Key) -> bool:
        """Return whether the prices of an instrument arrive.

        The heartbeat is answered, the instrument is subscribed, and this connection has brought
        a first price: an older one may be out of date.
        """
        return (
            self.is_up
            and key in self._subscribed
            and key in self._reader.seen
            and self._seconds_to_timeout() > 0
        )

    def follow(self, wanted: Mapping[Key, str]) -> None:
        """Subscribe the new instruments in `wanted`, and unsubscribe those not in it."""
        if wanted is self._wanted:
            return
        removed = [key for key in self._subscribed if key not in wanted]
        added = [key for key in wanted if key not in self._subscribed]
        self._wanted, self._subscribed = wanted, dict(wanted)
        # In this order, the number of subscriptions never exceeds the server's maximum.
        if removed:
            self._reader.forget(removed)
            self._request(_UNSUBSCRIBE, removed)
        if added:
            self._request(_SUBSCRIBE, added)

    def beat(self) -> float:
        """Send a ping if it is due; return the seconds until the next call.

        Raises ConnectionLost if two pings in a row were not answered.
        """
        if self._clock.monotonic() >= self._next_ping_at:
            self._transport.send(_PING)
            self._next_ping_at = self._clock.monotonic() + self._heartbeat
        if self._transport.has_more:
            # The pong may be among the unread messages.
            return 0
        if self._seconds_to_timeout() <= 0:
            raise ConnectionLost("the heartbeat was not answered")
        until_ping = self._next_ping_at - self._clock.monotonic()
        return max(0, min(until_ping, self._seconds_to_timeout()))

    def take(self, messages: Iterable[Message]) -> list[Quote]:
        """Return the quotes among `messages`, in order; act on the other messages."""
        frames: list[bytes] = []
        for message in messages:
            if message in _PONGS:
                self._answered_at = self._clock.monotonic()
                self.is_up = True
            elif isinstance(message, bytes):
                frames.append(message)
            else:
                self._take_error(message)
        return self._reader.read(frames, self._subscribed)

    def _seconds_to_timeout(self) -> float:
        return self._answered_at + _MAX_MISSED_BEATS * self._heartbeat - self._clock.monotonic()

    def _request(self, action: int, keys: Collection[Key]) -> None:
        correlation_id = f"paper{len(self._request_sizes) % 100_000:05}"
        self._request_sizes[correlation_id] = len(keys)
        tokens: defaultdict[int, list[str]] = defaultdict(list)
        for exchange_type, token in keys:
            tokens[exchange_type].append(token)
        token_list = [{"exchangeType": kind, "tokens": tokens[kind]} for kind in sorted(tokens)]
        self._transport.send(
            json.dumps(
                {
                    "correlationID": correlation_id,
                    "action": action,
                    "params": {"mode": self._mode, "tokenList": token_list},
                }
            )
        )

    def _take_error(self, text: str) -> None:
        """Log a refused request. Every text message except a pong is an error."""
        error = _parse(text)
        if error is None:
            self._reader.dropped[TickError.MALFORMED] += 1
            return
        code = str(error.get("errorCode"))
        logger.warning(
            "Angel One's stream refused a request (%s), instruments left to be polled: %d",
            code if re.fullmatch(r"\w{1,20}", code) else "without a code",
            self._request_sizes.get(str(error.get("correlationID")), 0),
        )


def _parse(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
