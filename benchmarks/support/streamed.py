"""A market whose ticks the benchmark sends: Angel One's protocol, spoken on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from tests.fakes.angel_one import NIFTY, SENSEX, FakeAngelOne
from tests.fakes.angel_stream import BSE, NSE, AngelStreamServer

TIMEOUT_SECONDS = 60.0
SETTLED_PRICE = Decimal(25_000)


class StreamedMarket:
    """Ticks of ^NSEI for each client that signs in; `variables` configure a server for it."""

    def __init__(self, angel: FakeAngelOne, stream: AngelStreamServer, root: str) -> None:
        self._angel = angel
        self._stream = stream
        self.variables: dict[str, Any] = {
            **angel.variables(root),
            "MARKET_DATA": "auto",
            "MARKET_STREAM": "true",
            "MARKET_HOURS": "ignore",
            "ANGEL_STREAM_URL": stream.url,
        }
        self.set(SETTLED_PRICE)

    def wait_until_followed(self) -> None:
        """Return once the server subscribed the indices; raise TimeoutError if it never does."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not {(NSE, NIFTY[1]), (BSE, SENSEX[1])} <= self._stream.subscribed:
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not subscribe the indices")
            time.sleep(0.05)

    def set(self, price: Decimal) -> None:
        """Set the price of ^NSEI that a request for a quote returns."""
        self._angel.prices[NIFTY] = float(price)

    def tick(self, price: Decimal) -> float:
        """Send ^NSEI's tick; return when, by `time.monotonic()`."""
        self.set(price)
        sent_at = time.monotonic()
        self._stream.tick(NIFTY[1], int(price * 100))
        return sent_at


@contextmanager
def streamed_market() -> Iterator[StreamedMarket]:
    """Open the market; close it, and every connection to it, afterwards."""
    with angel_one() as parts:
        yield StreamedMarket(*parts)


@contextmanager
def angel_one() -> Iterator[tuple[FakeAngelOne, AngelStreamServer, str]]:
    """Serve what a streamed market is made of; close it afterwards."""
    angel, stream = FakeAngelOne(), AngelStreamServer()
    # Who has no session yet gets none; every handshake of this client's is good.
    stream.refuse_wrong_credentials_with = 101
    with angel.serve() as root, stream.open():
        yield angel, stream, root
