"""A session, a listener and a factory for tests of Angel One's stream."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app.clock import SystemClock
from app.domain.quote import Quote
from app.extensions import socketio
from app.market_data.instruments.registry import Instrument, load_instruments
from app.market_data.providers.angel_one.connection import Timing
from app.market_data.providers.angel_one.session import StreamCredentials
from app.market_data.providers.angel_one.stream import AngelStream
from app.market_data.providers.angel_one.subscriptions import LTP_MODE
from tests.fakes.angel_stream import BSE, NSE, AngelStreamServer

CREDENTIALS = StreamCredentials(
    "key-kept-dark", "code-kept-dark", "jwt-kept-dark", "feed-kept-dark"
)
FRESH = replace(CREDENTIALS, jwt_token="fresh-jwt-kept-dark", feed_token="fresh-feed-kept-dark")
SECRET = "kept-dark"
# Immediate retries, and a heartbeat whose timeout a test can wait for.
FAST_RETRIES = Timing(handshake=2, first_retry=0.02, longest_retry=0.1)
FAST_HEARTBEAT = replace(FAST_RETRIES, heartbeat=0.3)

NIFTY, SENSEX, RELIANCE = (
    load_instruments().get(symbol) for symbol in ("^NSEI", "^BSESN", "RELIANCE.NS")
)


def accept(server: AngelStreamServer, credentials: StreamCredentials) -> None:
    """Let the server accept only these credentials."""
    server.expect(
        credentials.api_key,
        credentials.client_code,
        credentials.jwt_token,
        credentials.feed_token,
    )


def shares(count: int) -> list[Instrument]:
    """Return made-up instruments, every third of them on BSE."""
    return [
        Instrument(
            symbol=f"S{n}.{'BO' if n % 3 == 0 else 'NS'}",
            name=f"Share {n}",
            exchange="BSE" if n % 3 == 0 else "NSE",
            tick_size=Decimal("0.05"),
            lot_size=1,
            angel_token=str(500_000 + n),
            base_price=Decimal(100),
        )
        for n in range(count)
    ]


def key_of(instrument: Instrument) -> tuple[int, str]:
    """Return the stream's key of an instrument."""
    return BSE if instrument.exchange == "BSE" else NSE, instrument.angel_token


class Session:
    """Holds the `current` credentials; `renew` replaces them by `fresh`."""

    def __init__(self) -> None:
        self.current = CREDENTIALS
        self.fresh = FRESH
        self.error: Exception | None = None
        self.requests = 0
        self.refused: list[StreamCredentials] = []

    def credentials(self) -> StreamCredentials:
        self.requests += 1
        if self.error:
            raise self.error
        return self.current

    def renew(self, stale: StreamCredentials) -> StreamCredentials:
        self.refused.append(stale)
        if self.error:
            raise self.error
        self.current = self.fresh
        return self.current


class StreamListener:
    """Records what a stream delivers; if `failure` is set, the next delivery raises it."""

    def __init__(self) -> None:
        self.batches: list[list[Quote]] = []
        self.failure: Exception | None = None
        self.changed = threading.Condition()

    def on_ticks(self, quotes: list[Quote]) -> None:
        if failure := self.failure:
            self.failure = None
            raise failure
        with self.changed:
            self.batches.append(quotes)
            self.changed.notify_all()

    @property
    def quotes(self) -> list[Quote]:
        return [quote for batch in self.batches for quote in batch]

    def prices(self, symbol: str) -> list[str]:
        """Return the received prices of a symbol as text."""
        return [str(quote.price) for quote in self.quotes if quote.symbol == symbol]

    def wait_for(self, wanted: Callable[[], Any], timeout: float = 10) -> None:
        """Wait until a delivery makes `wanted` true."""
        with self.changed:
            assert self.changed.wait_for(wanted, timeout), f"received {self.batches}"


class StreamFactory:
    """Creates streams, and closes them all."""

    def __init__(self) -> None:
        socketio.init_app(Flask("stream"), async_mode="threading")
        self._ends = ExitStack()

    def follow(
        self,
        url: str,
        session: Session,
        instruments: Iterable[Instrument] = (),
        timing: Timing = FAST_RETRIES,
        mode: int = LTP_MODE,
    ) -> tuple[AngelStream, StreamListener]:
        """Follow instruments; return the stream and its listener."""
        listener = StreamListener()
        stream = AngelStream(
            url,
            session,
            SystemClock(),
            on_ticks=listener.on_ticks,
            mode=mode,
            timing=timing,
        )
        self._ends.callback(stream.close)
        stream.follow(list(instruments))
        return stream, listener

    @contextmanager
    def until_the_end(self) -> Iterator[StreamFactory]:
        with self._ends:
            yield self


def live_symbols(stream: AngelStream, instruments: Iterable[Instrument]) -> list[str]:
    """Return the symbols, among these instruments, whose prices arrive right now."""
    return [entry.symbol for entry in instruments if stream.is_live(entry.symbol)]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages logged at WARNING or above."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
