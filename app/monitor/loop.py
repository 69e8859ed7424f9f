"""The loop: every few seconds one pass over the symbols that matter."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.domain.quote import Quote
from app.logs import logger
from app.market_data.feed import Feed
from app.market_data.quotes import QuoteBoard
from app.market_data.watchlist import Watchlist
from app.models import MarketState, SymbolState
from app.monitor.lease import Lease
from app.realtime.prices import publish_prices
from app.runtime import runtime
from app.trades.settlement import settle_missed, settle_triggered

# Ticks kept for settling while the database is away: about a day of all symbols at 10 s.
MOST_UNSETTLED = 1_000_000
STOP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did: ticks polled and trades closed."""

    ticks: int
    closed: int


class Monitor:
    def __init__(self, app: Flask) -> None:
        with app.app_context():
            parts = runtime()
        self._app = app
        self._interval = parts.settings.monitor_interval_seconds
        self._clock: Clock = parts.clock
        self._feed: Feed = parts.feed
        self._quotes: QuoteBoard = parts.quotes
        self._watchlist: Watchlist = parts.watchlist
        self._lease = Lease(parts.clock, timedelta(seconds=max(3 * self._interval, 5)))
        self._unsettled: deque[Quote] = deque(maxlen=MOST_UNSETTLED)
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._leased = False
        self._standing_by = False
        self.last_pass_at: float | None = None

    @property
    def is_standing_by(self) -> bool:
        """Whether another process is the one that polls."""
        return self._standing_by

    def run(self) -> None:
        """Make a pass every interval until stopped; one that fails delays none after it."""
        started = self._clock.monotonic()
        self._attempt(self._take_lease)
        while not self._stop.is_set():
            self._attempt(self._run_if_leased)
            # To the next whole interval from the start: a slow pass skips, never shifts.
            elapsed = self._clock.monotonic() - started
            self._stop.wait(self._interval - elapsed % self._interval)
        self._ended.set()

    def stop(self) -> None:
        """End `run`, and wait a moment for the pass it is in."""
        self._stop.set()
        self._ended.wait(STOP_SECONDS)

    def run_once(self) -> Pass:
        """Poll the feed, publish its quotes, and settle what they trigger.

        Raises PyMongoError where the database is away: prices went out all the same, and the
        ticks are settled by a later pass.
        """
        with self._app.app_context():
            failure = self._refresh_watchlist()
            reached = self._feed.now()
            # On the board before they are settled: a trade that commits too late for this pass
            # finds them there (see open_trade).
            ticks = self._quotes.post(self._feed.poll(self._watchlist.symbols()))
            latest = list({tick.symbol: tick for tick in ticks}.values())
            publish_prices(latest)
            self._unsettled.extend(ticks)
            self.last_pass_at = self._clock.monotonic()
            if failure:
                raise failure
            closed = self._settle()
            SymbolState.save_quotes(latest)
            MarketState.save_progress(self._feed.name, reached)
            return Pass(ticks=len(ticks), closed=closed)

    def settle_gap(self) -> int:
        """Settle the time in which nobody polled, as far as the feed knows what happened.

        Returns how many trades it closed. Raises PyMongoError where the database is away; the
        gap is then still there to be settled.
        """
        with self._app.app_context():
            until = self._feed.now()
            since = MarketState.load_progress(self._feed.name)
            if since is None or since >= until:
                return 0
            closed = settle_missed(
                sorted(SymbolState.find_traded()),
                lambda symbol, after: self._feed.candles(symbol, after, until),
                since,
            )
            self._feed.skip_to(until)
            MarketState.save_progress(self._feed.name, until)
            logger.info("monitor: %d trades closed in %s without a watch", closed, until - since)
            return closed

    def _run_if_leased(self) -> None:
        with self._app.app_context():
            try:
                leased = self._lease.renew()
            except PyMongoError:
                # It cannot be anyone else's without the database either: prices go on.
                leased = self._leased
        if leased and not self._leased:
            # Should it fail, this process does not lead yet, and the next try begins here.
            self.settle_gap()
        self._leased = leased
        self._standing_by = not leased
        if leased:
            self.run_once()
        else:
            self._ask_leader()

    def _ask_leader(self) -> None:
        """Have the process that polls ask for what this one's sockets follow."""
        with self._app.app_context():
            until = self._clock.now() + self._lease.lifetime
            SymbolState.mark_followed(self._watchlist.followed_here, until)

    def _take_lease(self) -> None:
        with self._app.app_context():
            self._lease.take_over()

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except PyMongoError as error:
            logger.warning("monitor: database unavailable: %s", type(error).__name__)
        except Exception:
            # Whatever it was, the next pass starts on time: a monitor that ends closes nothing.
            logger.exception("monitor: a pass failed")

    def _refresh_watchlist(self) -> PyMongoError | None:
        try:
            self._watchlist.traded |= SymbolState.find_traded()
            self._watchlist.followed_elsewhere = SymbolState.find_followed(self._clock.now())
        except PyMongoError as error:
            return error
        return None

    def _settle(self) -> int:
        # Only symbols that were ever traded can have trades; the rest costs no question.
        ticks = [tick for tick in self._unsettled if tick.symbol in self._watchlist.traded]
        closed = settle_triggered(ticks) if ticks else 0
        self._unsettled.clear()
        return closed
