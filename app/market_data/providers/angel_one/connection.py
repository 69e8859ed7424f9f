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

_ERROR_LOG_SECONDS = 60
# A sleep of 0 s would let only those gevent tasks run that are ready already.
_YIELD_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Timing:
    """The timeouts and pauses of the stream, in seconds.

    `heartbeat` is the time between two pings, `handshake` the timeout of a connection attempt.
    After a loss the pause is random; its maximum doubles from `first_retry` to `longest_retry`,
    and is `first_retry` again once a connection has lasted for `settled`. Refused credentials are
    renewed at most once in `renewal`.
    """

    heartbeat: float = 10
    handshake: float = 10
    first_retry: float = 0.5
    longest_retry: float = 30
    settled: float = 60
    renewal: float = 600

    def longest_pause(self, failures: int) -> float:
        """Return the maximum seconds to wait after `failures` in a row."""
        return min(self.longest_retry, self.first_retry * 2.0 ** min(failures - 1, 30))


class Connection:
    """Carries up to 1,000 instruments. `run` is its task; other tasks may call the rest."""

    def __init__(
        self,
        url: str,
        tokens: StreamTokens,
        clock: Clock,
        timing: Timing,
        *,
        mode: int,
        on_ticks: Callable[[list[Quote]], None],
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._clock = clock
        self._timing = timing
        self._mode = mode
        self._on_ticks = on_ticks
        self._reader = TickReader(clock)
        self._wakeup = Wakeup()
        self._context: ssl.SSLContext | None = None
        self._opening: WebSocketTransport | None = None
        self._subscriptions: Subscriptions | None = None
        self._closed = False
        self._failures = 0
        self._reason = ""
        self._errors_logged: Counter[TickError] = Counter()
        self._errors_logged_at = -math.inf
        self.wanted: Mapping[Key, str] = {}
        self.ended = threading.Event()

    def carry(self, wanted: Mapping[Key, str]) -> None:
        """Stream the prices of exactly these symbols; disconnect if there are none. Never waits."""
        self.wanted = wanted
        self._wakeup.set()

    def is_live(self, key: Key) -> bool:
        """Return whether the prices of an instrument arrive right now."""
        subscriptions = self._subscriptions
        return subscriptions is not None and subscriptions.is_live(key)

    def close(self) -> None:
        """Ask the task to end; `ended` is set when it has. Never waits."""
        self._closed = True
        opening = self._opening
        if opening:
            opening.abort()
        self._wakeup.set()

    def run(self) -> None:
        """Keep the connection until it is closed or Angel One refuses our credentials."""
        try:
            while not self._closed and self._tokens.refusal is None:
                if self.wanted:
                    self._connect_once()
                else:
                    self._wakeup.wait(None)
        finally:
            self._wakeup.close()
            self.ended.set()

    def _connect_once(self) -> None:
        """Connect and serve until the connection is lost or not needed; pause after a loss."""
        opened_at = self._clock.monotonic()
        try:
            transport = self._open()
            opened_at = self._clock.monotonic()
            self._serve(transport)
        except SourceRefused:
            return
        except (ConnectionLost, SourceUnavailable) as error:
            reason, pause = str(error), error.retry_after or 0
        # An unexpected error must not end the stream. Its text may contain a secret.
        except Exception as error:
            reason, pause = f"{type(error).__name__}, which is a defect here", 0
        else:
            return
        if not self._closed:
            lasted = self._clock.monotonic() - opened_at
            self._pause(reason, lasted, at_least=pause)

    def _open(self) -> WebSocketTransport:
        credentials = self._tokens.credentials()
        try:
            return self._open_with(credentials)
        except ConnectionRefused:
            fresh = self._tokens.replace(credentials)
            if fresh is None:
                raise
            return self._open_with(fresh)

    def _open_with(self, credentials: StreamCredentials) -> WebSocketTransport:
        if self._context is None and self._url.startswith("wss:"):
            # Reading the system's certificates takes 30 ms of CPU time.
            self._context = run_blocking(ssl.create_default_context)
        transport = self._opening = WebSocketTransport(self._url, self._context)
        try:
            if self._closed:
                raise ConnectionLost("the stream was closed")
            transport.open(_headers(credentials), self._timing.handshake)
        finally:
            self._opening = None
        return transport

    def _serve(self, transport: WebSocketTransport) -> None:
        subscriptions = self._subscriptions = Subscriptions(
            transport, self._reader, self._clock, self._timing.heartbeat, self._mode
        )
        was_up = False
        try:
            while not self._closed and self.wanted:
                subscriptions.follow(self.wanted)
                seconds = subscriptions.beat()
                if transport.has_more:
                    # Other tasks run in between, however fast the messages arrive.
                    socketio.sleep(_YIELD_SECONDS)
                else:
                    self._wakeup.wait(seconds, also=transport.fileno())
                self._deliver(subscriptions.take(transport.drain()))
                if subscriptions.is_up and not was_up:
                    was_up = True
                    self._reason = ""
                    logger.info("Angel One's stream is up, instruments: %d", len(self.wanted))
        finally:
            self._subscriptions = None
            transport.close()

    def _deliver(self, quotes: list[Quote]) -> None:
        self._log_tick_errors()
        if not quotes or self._closed:
            return
        try:
            self._on_ticks(quotes)
        # A failure with these ticks must not end the stream.
        except Exception:
            logger.exception("could not process ticks of Angel One's stream, lost: %d", len(quotes))

    def _pause(self, reason: str, lasted: float, *, at_least: float) -> None:
        timing = self._timing
        self._failures = 1 if lasted >= timing.settled else self._failures + 1
        seconds = max(at_least, random.uniform(0, timing.longest_pause(self._failures)))
        if reason != self._reason:
            # One message per reason until the stream is up again.
            self._reason = reason
            logger.warning("Angel One's stream is down, prices are polled: %s", reason)
        resume_at = self._clock.monotonic() + seconds
        while not self._closed and self.wanted:
            left = resume_at - self._clock.monotonic()
            if left <= 0:
                return
            self._wakeup.wait(left)

    def _log_tick_errors(self) -> None:
        now = self._clock.monotonic()
        if now - self._errors_logged_at < _ERROR_LOG_SECONDS:
            return
        errors = Counter(self._reader.dropped)
        # Both are normal: the last tick is sent again after a new subscription, and a tick may
        # be on its way while its instrument is unsubscribed.
        del errors[TickError.REPEATED], errors[TickError.UNSUBSCRIBED]
        new = errors - self._errors_logged
        if new:
            self._errors_logged, self._errors_logged_at = errors, now
            counts = ", ".join(f"{count} {error.value}" for error, count in new.items())
            logger.warning("dropped ticks of Angel One's stream: %s", counts)


def _headers(credentials: StreamCredentials) -> dict[str, str]:
    token = credentials.jwt_token.removeprefix("Bearer ")
    return {
        "Authorization": f"Bearer {token}",
        "x-api-key": credentials.api_key,
        "x-client-code": credentials.client_code,
        "x-feed-token": credentials.feed_token,
    }
