"""The loop: one pass over the polled symbols every few seconds, and one whenever ticks arrive.

A full pass renews the lease, reads which symbols to poll, polls the feed, and stores what a restart
needs. A pass in between settles the ticks that the feed pushed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from flask import Flask
from pymongo.errors import PyMongoError

from app.alerts.execution import find_crossed, fire_alerts
from app.clock import Clock
from app.concurrency import spawn
from app.database.batches import BatchResult
from app.database.transactions import name_error
from app.domain.quote import Quote
from app.events import republish_unconfirmed
from app.logs import logger
from app.market_data.feed import Feed, Gap
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard
from app.metrics import KEY as METRICS_KEY
from app.metrics import metrics
from app.models import MarketState, SymbolState, TradeExit
from app.monitor.gaps import Gaps
from app.monitor.lease import Lease
from app.monitor.retention import Limits, Retention
from app.realtime.prices import publish_prices
from app.services import services
from app.trades.execution import close_trades, find_triggered
from app.trades.polling import remove_old_marks

# Ticks kept while the database is unavailable: about a day of all symbols at 10 s.
MAX_UNSETTLED = 1_000_000
# The minimum time between two passes over pushed ticks, so that a busy stream is batched.
MIN_PASS_GAP_SECONDS = 0.02
# Between two rounds of the maintenance.
MAINTENANCE_SECONDS = 60.0
STOP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Pass:
    """The counts of one pass: ticks received and trades closed."""

    ticks: int
    closed: int


class Monitor:
    def __init__(self, app: Flask) -> None:
        with app.app_context():
            parts = services()
        self._app = app
        self._interval = parts.settings.monitor_interval_seconds
        self._clock: Clock = parts.clock
        self._feed: Feed = parts.feed
        self._quotes: QuoteBoard = parts.quotes
        self._polled_symbols: PolledSymbols = parts.polled_symbols
        self._calendar = parts.calendar
        self._lease = Lease(parts.clock, timedelta(seconds=max(3 * self._interval, 5)))
        self._gaps = Gaps(parts.feed, parts.clock)
        self._settling_gaps = False
        self._retention = Retention(parts.clock, Limits.of(parts.settings))
        self._instruments = parts.instruments
        self._maintenance_due_at = self._poll_due_at = parts.clock.monotonic()
        self._unsettled = _unsettled()
        self._unpublished: dict[str, Quote] = {}
        self._unsaved: dict[str, Quote] = {}
        self._stop = threading.Event()
        self._wakeup = threading.Event()
        self._ended = threading.Event()
        self._leased = False
        self._standing_by = False
        self.last_pass_at: float | None = None
        # Whether the last pass failed: prices may be published, but trades were not settled.
        self.is_failing = False
        self._feed.listen(self._wakeup.set)

    @property
    def is_standing_by(self) -> bool:
        """Whether another process polls."""
        return self._standing_by

    def run(self) -> None:
        """Make a pass every interval, and whenever ticks arrive, until stopped."""
        started = self._clock.monotonic()
        self._attempt(self._take_lease)
        next_pass = started
        is_due = True
        while not self._stop.is_set():
            # Cleared before the pass: ticks that arrive during it cause another.
            self._wakeup.clear()
            if is_due:
                self.is_failing = not self._attempt(self.run_if_leased)
                if self.is_failing:
                    self._app.extensions[METRICS_KEY].failed_passes.inc()
                # A multiple of the interval since the start: a slow pass skips times, shifts none.
                elapsed = self._clock.monotonic() - started
                next_pass = started + elapsed + self._interval - elapsed % self._interval
            elif self._leased:
                self.is_failing = not self._attempt(self.run_arrived)
                self._stop.wait(MIN_PASS_GAP_SECONDS)
            # Until the next pass, or until waiting ticks are released.
            until = min(next_pass, self._gaps.next_event)
            wait = until - self._clock.monotonic()
            was_woken = wait > 0 and self._wakeup.wait(wait)
            is_due = not was_woken and until == next_pass
        self._ended.set()

    def stop(self) -> None:
        """End `run`, and wait briefly for its current pass."""
        self._stop.set()
        self._wakeup.set()
        self._feed.close()
        self._ended.wait(STOP_SECONDS)

    def run_once(self) -> Pass:
        """Poll the feed, publish its quotes, and settle what they trigger.

        Raises PyMongoError if the database is unavailable: the prices are published, and a later
        pass settles the ticks.
        """
        with self._app.app_context(), metrics().pass_seconds.time():
            failure = self._refresh_polled_symbols()
            reached = self._feed.now()
            ticks = self._receive(self._poll)
            if failure:
                self._publish_prices()
                raise failure
            self._receive_gaps()
            # Read before: ticks that wait for a gap now are not settled by this pass.
            reached = self._settled_to(reached)
            closed = self._settle()
            self._save(reached)
            return Pass(ticks=len(ticks), closed=closed)

    def run_arrived(self) -> Pass:
        """Publish and settle the ticks that have arrived, without polling.

        Raises PyMongoError if the database is unavailable.
        """
        with self._app.app_context():
            ticks = self._receive(self._feed.collect)
            self._receive_gaps()
            return Pass(ticks=len(ticks), closed=self._settle())

    def settle_gap(self) -> int:
        """Settle the time since the last pass of any process, as far as the feed has candles.

        Returns how many trades it closed. Raises PyMongoError if the database is unavailable; the
        gap stays open then.
        """
        with self._app.app_context():
            span = self._open_gap()
            if span is None:
                return 0
            since, until = span
            closed = self._gaps.settle()
            self._feed.skip_to(until)
            self._save_progress(until)
            logger.info("monitor: %d trades closed for %s without a monitor", closed, until - since)
            return closed

    def run_if_leased(self) -> None:
        """Make a full pass if this process holds the lease, or stand by."""
        with self._app.app_context():
            try:
                leased = self._lease.renew()
            except PyMongoError:
                # No other process can take it without the database: keep publishing prices.
                leased = self._leased
        self._quotes.is_polled = leased
        if leased and not self._leased:
            # If it fails, this process does not lead yet, and the next pass tries again.
            self._begin_to_lead()
        if self._leased and not leased:
            self._stop_leading()
        self._leased = leased
        self._standing_by = not leased
        if leased:
            self.run_once()
        else:
            self._mark_followed()
        with self._app.app_context():
            republish_unconfirmed()
        self._schedule_maintenance()

    def _stop_leading(self) -> None:
        """Forget the ticks that are not settled: the next leader settles their time as a gap.

        Trades may be opened after them by the time that this process leads again.
        """
        self._unsettled.clear()
        self._unsaved.clear()
        self._gaps.clear()

    def _begin_to_lead(self) -> None:
        if self._standing_by:
            # The gap covers the time of these.
            self._feed.collect()
            self._feed.collect_gaps()
        if not self._feed.remote:
            self.settle_gap()
            return
        # Remote candles arrive one by one, and prices must not wait for them.
        with self._app.app_context():
            self._open_gap()
        self._start_settling_gaps()

    def _open_gap(self) -> tuple[datetime, datetime] | None:
        """Add the time since the last pass of any process as a gap of every marked symbol."""
        until = self._feed.now()
        since = MarketState.load_progress(self._feed.name)
        if since is None or since >= until:
            return None
        marks = SymbolState.find_marks(self._clock.now())
        self._gaps.add(Gap(symbol, since, until) for symbol in marks.traded | marks.alerted)
        return since, until

    def _receive_gaps(self) -> None:
        watched = self._polled_symbols.traded | self._polled_symbols.alerted
        self._gaps.add(gap for gap in self._feed.collect_gaps() if gap.symbol in watched)
        self._start_settling_gaps()

    def _start_settling_gaps(self) -> None:
        if self._gaps.is_due and not self._settling_gaps:
            self._settling_gaps = True
            spawn(self._settle_gaps)

    def _settle_gaps(self) -> None:
        """Settle the gaps; a later pass retries those that stay open."""
        with self._app.app_context():
            self._attempt(self._gaps.settle)
        self._settling_gaps = False
        # Ticks may have waited for the gaps.
        self._wakeup.set()

    def _schedule_maintenance(self) -> None:
        """Start the maintenance when it is due, outside of the pass."""
        now = self._clock.monotonic()
        if now >= self._maintenance_due_at:
            self._maintenance_due_at = now + MAINTENANCE_SECONDS
            spawn(self._run_maintenance)

    def _run_maintenance(self) -> None:
        """Load a newer list of instruments; remove old marks and old documents."""
        with self._app.app_context():
            self._attempt(self._instruments.refresh)
            if self._leased:
                self._attempt(remove_old_marks)
                self._attempt(self._retention.step)

    def _mark_followed(self) -> None:
        """Have the polling process poll what the sockets of this one follow."""
        with self._app.app_context():
            until = self._clock.now() + self._lease.lifetime
            SymbolState.mark_followed(self._polled_symbols.followed_here, until)

    def _take_lease(self) -> None:
        with self._app.app_context():
            self._lease.take_over()

    def _attempt(self, step: Callable[[], object]) -> bool:
        """Run a step and log its failure; return whether it succeeded."""
        try:
            step()
        except PyMongoError as error:
            # One warning for each outage, which may last for thousands of passes.
            level = logging.DEBUG if self.is_failing else logging.WARNING
            logger.log(level, "monitor: database unavailable: %s", name_error(error))
        except Exception:
            # The next pass starts on time after any error: a monitor that ends closes no trades.
            logger.exception("monitor: a pass failed")
        else:
            return True
        return False

    def _refresh_polled_symbols(self) -> PyMongoError | None:
        self._polled_symbols.begin_refresh()
        try:
            marks = SymbolState.find_marks(self._clock.now())
        except PyMongoError as error:
            return error
        self._polled_symbols.refresh(marks.traded, marks.alerted, marks.followed)
        return None

    def _receive(self, collect: Callable[[], Sequence[Quote]]) -> list[Quote]:
        # On the board before they are settled: a trade that commits too late for this pass finds
        # them there (see _close_if_reached).
        admitted = self._quotes.receive(collect)
        metrics().ticks.inc(len(admitted))
        latest = {tick.symbol: tick for tick in admitted}
        self._unpublished.update(latest)
        # A tick outside trading hours is published, and never triggers anything.
        if self._calendar.trading_allowed(self._clock.now()):
            self._unsettled.extend(admitted)
        self._unsaved.update(latest)
        self.last_pass_at = self._clock.monotonic()
        return admitted

    def _poll(self) -> Sequence[Quote]:
        self._poll_due_at = self._clock.monotonic() + self._interval
        self._feed.prefer(self._polled_symbols.needed)
        return self._feed.poll(self._polled_symbols.symbols())

    def _collect_new(self) -> None:
        """Receive and publish new ticks between two batches; the next pass settles them."""
        if self._clock.monotonic() < self._poll_due_at:
            ticks = self._receive(self._feed.collect)
        else:
            ticks = self._receive(self._poll)
            # Otherwise another process would take the lease during a long settlement.
            self._lease.renew()
        self._publish_prices()
        self._receive_gaps()
        if ticks:
            self._wakeup.set()

    def _settle(self) -> int:
        """Write what the ticks trigger, and receive new ones between batches; count the trades.

        Raises PyMongoError, after the last batch, if the database was unavailable.
        """
        # Only marked symbols can have trades or alerts; the others need no query.
        traded, alerted = self._polled_symbols.traded, self._polled_symbols.alerted
        held = self._gaps.held()
        taken, self._unsettled = list(self._unsettled), _unsettled()
        left = taken
        ticks = [tick for tick in taken if tick.symbol not in held]
        deciding = self._gaps.deciding(ticks)
        closed = 0
        outage: PyMongoError | None = None
        try:
            exits = find_triggered([tick for tick in ticks if tick.symbol in traded], deciding)
            triggers = find_crossed([tick for tick in ticks if tick.symbol in alerted], deciding)
            self._publish_prices()
            for result in chain[BatchResult[Any]](close_trades(exits), fire_alerts(triggers)):
                closed += sum(isinstance(item, TradeExit) for item in result.written)
                outage = outage or result.outage
                self._attempt(self._collect_new)
            if outage:
                raise outage
            self._gaps.decided(deciding)
            left = [tick for tick in taken if tick.symbol in held]
        finally:
            self._publish_prices()
            # In front of the ticks that have arrived meanwhile.
            self._unsettled = _unsettled(left, self._unsettled)
        return closed

    def _publish_prices(self) -> None:
        latest, self._unpublished = self._unpublished, {}
        publish_prices(latest.values())

    def _save(self, reached: datetime) -> None:
        """Store the last quotes, and up to when trades are settled, for the next start."""
        SymbolState.save_quotes(self._unsaved.values(), self._clock.now())
        self._unsaved.clear()
        self._save_progress(reached)

    def _save_progress(self, reached: datetime) -> None:
        MarketState.save_progress(self._feed.name, self._settled_to(reached))

    def _settled_to(self, reached: datetime) -> datetime:
        oldest = self._gaps.oldest
        return min(reached, oldest) if oldest else reached


def _unsettled(*ticks: Iterable[Quote]) -> deque[Quote]:
    return deque(chain(*ticks), maxlen=MAX_UNSETTLED)
