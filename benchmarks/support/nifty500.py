"""The NIFTY 500 as a market of this machine: 500 shares, trades in each, and a stream of ticks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from app.models import SymbolState
from app.services import now
from benchmarks.support.books import PRICE, BothLevels, Pattern, sample_trade, write_trades
from benchmarks.support.streamed import TIMEOUT_SECONDS, StreamedMarket, angel_one
from benchmarks.support.world import World
from tests.fakes.angel_one import FakeAngelOne
from tests.fakes.angel_stream import NSE, AngelStreamServer
from tests.fakes.scrip_master import indices, nse, shipped

SHARES = 500
FIRST_TOKEN = 700_000
SYMBOLS = tuple(f"SHARE{number}.NS" for number in range(SHARES))
# A share's first trades have a stop-loss each, one STEP below the other; all else is far away.
RUNGS = 4
STEP = Decimal(50)
# From one share to the next the owners of its trades move on by this many users.
SHIFT = 7


def list_shares(here: World) -> None:
    """Load the shares as `flask instruments sync --file` does."""
    path = here.folder / "scrip_master.json"
    shares = [nse(f"SHARE{number}", FIRST_TOKEN + number) for number in range(SHARES)]
    path.write_text(json.dumps([*indices(), *shipped(), *shares]))
    result = here.app.test_cli_runner().invoke(
        args=["instruments", "sync", "--file", str(path), "--force"]
    )
    if result.exit_code:
        raise RuntimeError(result.output)


def seed_shares(here: World, user_ids: Sequence[str], each: int) -> None:
    """Add `each` trades to every share, of as many users.

    As `seed_trades` does, of one sample for all shares: it would take ten times as long for each.
    Raises RuntimeError where a user's books would not balance after it.
    """
    sample = sample_trade(here, SYMBOLS[0])

    def copies() -> Iterator[tuple[Pattern, str, BothLevels]]:
        for share, symbol in enumerate(SYMBOLS):
            pattern = sample.of_symbol(symbol)
            for position in range(each):
                yield pattern, owner(user_ids, share, position), _levels(position)

    write_trades(here, copies())
    with here.app.app_context():
        for symbol in SYMBOLS:
            SymbolState.mark_traded(symbol, now())


def owner(user_ids: Sequence[str], share: int, position: int) -> str:
    """Return whose the trade at a position in a share is."""
    return user_ids[(share * SHIFT + position) % len(user_ids)]


def _levels(position: int) -> tuple[Decimal, Decimal]:
    step = Decimal(position % 10_000) / 2
    stop = PRICE - (position + 1) * STEP if position < RUNGS else PRICE * Decimal("0.9") - step
    return stop, PRICE * Decimal("1.1") + step


class Exchange(StreamedMarket):
    """Ticks of all shares, evenly over each second, from a thread of its own."""

    def __init__(self, angel: FakeAngelOne, stream: AngelStreamServer, root: str) -> None:
        super().__init__(angel, stream, root)
        self.rate = 1.0
        # Ticks sent, and the longest that one was late against the plan, in seconds.
        self.sent = 0
        self.lateness = 0.0
        # When the tick that reaches each stop-loss was sent: share, rung, time.monotonic().
        self.reached: list[tuple[int, int, float]] = []
        self.falls_per_second = 0.0
        # From tick to tick a share rises by 5 paise, and after so many ticks falls back.
        self.wiggles = 20
        self._rungs = [0] * SHARES
        self._closing = threading.Event()
        for number in range(SHARES):
            token = str(FIRST_TOKEN + number)
            self._angel.prices["NSE", token] = float(PRICE)
            self._stream.last_prices[NSE, token] = int(PRICE * 100)

    def wait_until_all_followed(self) -> None:
        """Return once the server subscribed every share; raise TimeoutError if it never does."""
        self.wait_until_followed()
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(self._stream.subscribed) < SHARES:
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not subscribe the shares")
            time.sleep(0.05)

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Tick every share `rate` times a second until the block ends."""
        self._closing.clear()
        thread = threading.Thread(target=self._tick_on)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            thread.join()

    def _tick_on(self) -> None:
        due = next_fall = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now < due:
                time.sleep(due - now)
            self.lateness = max(self.lateness, time.monotonic() - due)
            share = self.sent % SHARES
            falls = bool(self.falls_per_second) and due >= next_fall and self._rungs[share] < RUNGS
            if falls:
                next_fall = max(next_fall + 1 / self.falls_per_second, due - 1)
            self._tick_share(share, falls)
            due += 1 / (self.rate * SHARES)

    def _tick_share(self, share: int, falls: bool) -> None:
        """Send a price that is news; one that `falls` is exactly the share's next stop-loss."""
        wiggle = 0 if falls else 1 + self.sent // SHARES % self.wiggles
        if falls:
            self.reached.append((share, self._rungs[share], time.monotonic()))
            self._rungs[share] += 1
        paise = int((PRICE - self._rungs[share] * STEP) * 100) + 5 * wiggle
        self._stream.last_prices[NSE, str(FIRST_TOKEN + share)] = paise
        self.sent += 1
        self._stream.tick(str(FIRST_TOKEN + share), paise)


@contextmanager
def exchange() -> Iterator[Exchange]:
    """Open the exchange; close it, and every connection to it, afterwards."""
    with angel_one() as parts:
        yield Exchange(*parts)
