"""One connection to Angel One's stream, opened again whenever it is lost."""

from __future__ import annotations

import math
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.clock import Clock
from app.concurrency import run_blocking
from app.domain.quote import Quote
from app.extensions import socketio
from app.logs import logger
from app.market_data.providers.angel_one.session import StreamCredentials
from app.market_data.providers.angel_one.stream_tokens import StreamTokens
from app.market_data.providers.angel_one.subscriptions import Subscriptions
from app.market_data.providers.angel_one.ticks import Key, TickError, TickReader
from app.market_data.providers.angel_one.websocket import (
    ConnectionLost,
    ConnectionRefused,
    Wakeup,
    WebSocketTransport,
)
from app.market_data.providers.base import SourceRefused, SourceUnavailable

_FLAWS_LOGGED_EACH_SECONDS = 60
# A sleep of 0 s lets only those have a turn in gevent who do not wait for anything.
_BREATH_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the stream waits for what, in seconds.

    `heartbeat` is between two pings, `handshake` until a connection stands. A lost one is
    opened again after a random part of a pause that doubles from `first_retry` to
    `longest_retry`, and is `first_retry` again once a connection held for `settled`. Refused
    credentials are renewed at most once in `renewal`.
    """

    heartbeat: float = 10
    handshake: float = 10
    first_retry: float = 0.5
    longest_retry: float = 30
    settled: float = 60
    renewal: float = 600

    def longest_pause(self, failures: int) -> float:
        """Return the most seconds to wait after so many failures in a row."""
        return min(self.longest_retry, self.first_retry * 2.0 ** min(failures - 1, 30))


class Connection:
    """Carries up to 1,000 instruments. `run` is its background task, the rest is for others."""

    def __init__(
        self,
        url: str,
        access: StreamTokens,
        clock: Clock,
        timing: Timing,
        *,
        on_ticks: Callable[[list[Quote]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._url = url
        self._access = access
        self._clock = clock
        self._timing = timing
        self._on_ticks = on_ticks
        self._on_change = on_change
        self._reader = TickReader(clock)
        self._bell = Wakeup()
        self._context: ssl.SSLContext | None = None
        self._opening: WebSocketTransport | None = None
        self._line: Subscriptions | None = None
        self._closed = False
        self._failures = 0
        self._reason = ""
        self._flaws_logged: Counter[TickError] = Counter()
        self._flaws_logged_at = -math.inf
        self.wanted: Mapping[Key, str] = {}
        self.ended = threading.Event()

    @property
    def is_up(self) -> bool:
        """Whether the connection stands and the server answers."""
        line = self._line
        return line is not None and line.is_up

    @property
    def dropped(self) -> Mapping[TickError, int]:
        """How many ticks were dropped so far, and why."""
        return self._reader.dropped

    def carry(self, wanted: Mapping[Key, str]) -> None:
        """Bring the prices of these symbols from now on; of none, hang up. Never waits."""
        self.wanted = wanted
        self._bell.ring()

    def is_live(self, key: Key) -> bool:
        """Tell whether the prices of an instrument come in right now."""
        line = self._line
        return line is not None and line.is_live(key)

    def close(self) -> None:
        """Have the task end. Never waits; `ended` tells when it has."""
        self._closed = True
        opening = self._opening
        if opening:
            opening.abort()
        self._bell.ring()

    def run(self) -> None:
        """Keep the connection until it is closed or Angel One refuses us for good."""
        try:
            while not self._closed and self._access.refusal is None:
                if self.wanted:
                    self._hold_one()
                else:
                    self._bell.wait(None)
        finally:
            self._bell.close()
            self.ended.set()

    def _hold_one(self) -> None:
        """Connect and serve until the connection is lost or not wanted; pause where it is lost."""
        opened_at = self._clock.monotonic()
        try:
            wire = self._open()
            opened_at = self._clock.monotonic()
            self._serve(wire)
        except SourceRefused:
            return
        except (ConnectionLost, SourceUnavailable) as error:
            reason, pause = str(error), error.retry_after or 0
        # What nobody thought of must not end the stream. Its text may hold a secret.
        except Exception as error:
            reason, pause = f"{type(error).__name__}, which is a defect here", 0
        else:
            return
        if not self._closed:
            held = self._clock.monotonic() - opened_at
            self._pause(reason, held, at_least=pause)

    def _open(self) -> WebSocketTransport:
        credentials = self._access.credentials()
        try:
            return self._dial(credentials)
        except ConnectionRefused:
            fresh = self._access.replace(credentials)
            if fresh is None:
                raise
            return self._dial(fresh)

    def _dial(self, credentials: StreamCredentials) -> WebSocketTransport:
        if self._context is None and self._url.startswith("wss:"):
            # Reading the system's certificates takes 30 ms of computing.
            self._context = run_blocking(ssl.create_default_context)
        wire = self._opening = WebSocketTransport(self._url, self._context)
        try:
            if self._closed:
                raise ConnectionLost("the stream was closed")
            wire.open(_headers(credentials), self._timing.handshake)
        finally:
            self._opening = None
        return wire

    def _serve(self, wire: WebSocketTransport) -> None:
        line = self._line = Subscriptions(wire, self._reader, self._clock, self._timing.heartbeat)
        was_up = False
        try:
            while not self._closed and self.wanted:
                line.follow(self.wanted)
                seconds = line.beat()
                if wire.has_more:
                    # However much comes in, others have their turn in between.
                    socketio.sleep(_BREATH_SECONDS)
                else:
                    self._bell.wait(seconds, also=wire.fileno())
                self._hand_on(line.take(wire.drain()))
                if line.is_up and not was_up:
                    was_up = True
                    self._announce()
        finally:
            self._line = None
            wire.close()
            if was_up:
                self._on_change()

    def _hand_on(self, quotes: list[Quote]) -> None:
        self._report_flaws()
        if not quotes or self._closed:
            return
        try:
            self._on_ticks(quotes)
        # What fails with these ticks must not end the stream, which brings the next.
        except Exception:
            logger.exception("could not take up ticks of Angel One's stream, lost: %d", len(quotes))

    def _announce(self) -> None:
        self._reason = ""
        logger.info("Angel One's stream is up, instruments: %d", len(self.wanted))
        self._on_change()

    def _pause(self, reason: str, held: float, *, at_least: float) -> None:
        timing = self._timing
        self._failures = 1 if held >= timing.settled else self._failures + 1
        seconds = max(at_least, random.uniform(0, timing.longest_pause(self._failures)))
        if reason != self._reason:
            # Once for a reason, however often it comes back before the stream is up again.
            self._reason = reason
            logger.warning("Angel One's stream is down, prices are polled: %s", reason)
        resume_at = self._clock.monotonic() + seconds
        while not self._closed and self.wanted:
            left = resume_at - self._clock.monotonic()
            if left <= 0:
                return
            self._bell.wait(left)

    def _report_flaws(self) -> None:
        now = self._clock.monotonic()
        if now - self._flaws_logged_at < _FLAWS_LOGGED_EACH_SECONDS:
            return
        flaws = Counter(self._reader.dropped)
        # Nothing is wrong with the last tick of what is subscribed anew, sent again, or with one
        # that was under way when its instrument was unsubscribed.
        del flaws[TickError.REPEATED], flaws[TickError.UNSUBSCRIBED]
        new = flaws - self._flaws_logged
        if new:
            self._flaws_logged, self._flaws_logged_at = flaws, now
            listed = ", ".join(f"{count} {flaw.value}" for flaw, count in new.items())
            logger.warning("dropped ticks of Angel One's stream: %s", listed)


def _headers(credentials: StreamCredentials) -> dict[str, str]:
    token = credentials.jwt_token.removeprefix("Bearer ")
    return {
        "Authorization": f"Bearer {token}",
        "x-api-key": credentials.api_key,
        "x-client-code": credentials.client_code,
        "x-feed-token": credentials.feed_token,
    }
