"""The loop: one pass over the polled symbols every few seconds, and one whenever ticks arrive.

A full pass renews the lease, reads which symbols to poll, polls the feed, and stores what a restart
needs. A pass in between settles the ticks that the feed pushed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from math import inf
from typing import Any

import pymongo
from flask import Flask
from pymongo.errors import PyMongoError

from app.alerts.execution import find_crossed, fire_alerts
from app.clock import Clock
from app.concurrency import spawn
from app.database.batches import BatchResult, Fence, LeaseLost
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
from app.monitor.lease import Lease, Term
from app.monitor.retention import Limits, Retention
from app.realtime.prices import publish_prices
from app.services import services
from app.tracing import span
from app.trades.execution import close_trades, find_triggered

# Ticks kept while the database is unavailable: about a day of all symbols at 10 s.
MAX_UNSETTLED = 1_000_000
# The minimum time between two passes over pushed ticks, so that a busy stream is batched.
MIN_PASS_GAP_SECONDS = 0.02
# Between two rounds of the maintenance.
MAINTENANCE_SECONDS = 60.0
STOP_SECONDS = 0.5
RELEASE_SECONDS = 2.0
# The minimum lifetime of a lease: a worker that is paused for less keeps it.
MIN_LEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Pass:
    """The counts of one pass: ticks received and trades closed."""

    ticks: int
    closed: int


class Monitor:
    def __init__(self, app: Flask, *, owns_database: bool = False) -> None:
        """Make the monitor of a process.

        With `owns_database` the process has started the database, so no other one settles yet.
        """
        with app.app_context():
            parts = services()
        self._app = app
        self._interval = parts.settings.monitor_interval_seconds
        self._clock: Clock = parts.clock
        self._feed: Feed = parts.feed
        self._quotes: QuoteBoard = parts.quotes
        self._polled_symbols: PolledSymbols = parts.polled_symbols
        self._calendar = parts.calendar
        # A standby takes over within two intervals, unless they are shorter than a hiccup.
        self._lease = Lease(max(2 * self._interval, MIN_LEASE_SECONDS), is_alone=owns_database)
        # None until the first pass under a lease: single passes by hand need none.
        self._term: Term | None = None
        self._lease_due_at = inf
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
            elif self._is_leading:
                self.is_failing = not self._attempt(self.run_arrived)
                self._stop.wait(MIN_PASS_GAP_SECONDS)
            # Until the next pass, or until waiting ticks are released.
            due = min(next_pass, self._lease_due_at)
            until = min(due, self._gaps.next_event)
            wait = until - self._clock.monotonic()
            was_woken = wait > 0 and self._wakeup.wait(wait)
            is_due = self._clock.monotonic() >= self._lease_due_at or (
                not was_woken and until == due
            )
        self._ended.set()

    def stop(self) -> None:
        """End `run`, wait briefly for its current pass, and release the lease."""
        self._stop.set()
        self._wakeup.set()
        self._feed.close()
        self._ended.wait(STOP_SECONDS)
        # A pass that still runs fails at its next batch. Without a database the lease expires.
        with self._app.app_context(), suppress(PyMongoError), pymongo.timeout(RELEASE_SECONDS):
            self._lease.end()

    def run_once(self) -> Pass:
        """Poll the feed, publish its quotes, and settle what they trigger.

        Raises PyMongoError if the database is unavailable: the prices are published, and a later
        pass settles the ticks.
        """
        with self._app.app_context(), metrics().pass_seconds.time(), span("pass"):
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
        return self._settle_gap(self._fence)

    def _settle_gap(self, fence: Fence | None) -> int:
        with self._app.app_context():
            span = self._open_gap()
            if span is None:
                return 0
            since, until = span
            closed = self._gaps.settle(fence)
            self._feed.skip_to(until)
            self._save_progress(until)
            logger.info("monitor: %d trades closed for %s without a monitor", closed, until - since)
            return closed

    def run_if_leased(self) -> None:
        """Make a full pass if this process holds the lease, or stand by."""
        with self._app.app_context():
            try:
                term = self._lease.renew()
            except PyMongoError:
                # No other process can take it without the database: keep publishing prices.
                term = self._lease.term
        self._lease_due_at = self._clock.monotonic() + self._lease.next_expiry
        self._quotes.is_polled = bool(term.epochs)
        if term != self._term:
            self._forget_ticks()
        if term.epochs and not self._is_leading:
            # If it fails, this process does not lead yet, and the next pass tries again.
            self._begin_to_lead(term)
        self._term = term
        self._standing_by = not term.epochs
        if term.epochs:
            try:
                self.run_once()
            except LeaseLost:
                self._stop_leading()
        else:
            self._mark_followed()
        with self._app.app_context():
            republish_unconfirmed()
        self._schedule_maintenance()

    @property
    def _is_leading(self) -> bool:
        return self._term is not None and bool(self._term.epochs)

    @property
    def _fence(self) -> Fence | None:
        return self._term.fence if self._term else None

    def _stop_leading(self) -> None:
        """Settle nothing more; the next pass, which is due now, finds out what is still held."""
        if self._is_leading:
            logger.warning("monitor: another process has taken over")
        self._forget_ticks()
        self._lease_due_at = self._clock.monotonic()
        self._wakeup.set()

    def _forget_ticks(self) -> None:
        """Forget the ticks that are not settled: the next leader settles their time as a gap.

        Trades may be opened after them by the time that this process leads again.
        """
        if self._is_leading:
            self._standing_by = True
        self._term = Term(self._lease.term.holder)
        self._unsettled = _unsettled()
        self._unsaved = {}
        self._gaps.clear()

    def _begin_to_lead(self, term: Term) -> None:
        if self._standing_by:
            # The gap covers the time of these.
            self._feed.collect()
            self._feed.collect_gaps()
        if not self._feed.remote:
            self._settle_gap(term.fence)
            return
        # Remote candles arrive one by one, and prices must not wait for them.
        with self._app.app_context():
            self._open_gap()
        self._start_settling_gaps(term.fence)

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
        self._start_settling_gaps(self._fence)

    def _start_settling_gaps(self, fence: Fence | None) -> None:
        if self._gaps.is_due and not self._settling_gaps:
            self._settling_gaps = True
            spawn(self._settle_gaps, fence)

    def _settle_gaps(self, fence: Fence | None) -> None:
        """Settle the gaps; a later pass retries those that stay open."""
        with self._app.app_context():
            self._attempt(partial(self._gaps.settle, fence))
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
            if self._is_leading:
                self._attempt(lambda: self._polled_symbols.remove_old_marks(self._clock.now()))
                self._attempt(self._retention.step)

    def _mark_followed(self) -> None:
        """Have the polling process poll what the sockets of this one follow."""
        with self._app.app_context():
            until = self._clock.now() + timedelta(seconds=3 * self._interval)
            SymbolState.mark_followed(self._polled_symbols.followed_here, until)

    def _attempt(self, step: Callable[[], object]) -> bool:
        """Run a step and log its failure; return whether it succeeded."""
        try:
            step()
        except PyMongoError as error:
            # One warning for each outage, which may last for thousands of passes.
            level = logging.DEBUG if self.is_failing else logging.WARNING
            logger.log(level, "monitor: database unavailable: %s", name_error(error))
        except LeaseLost:
            self._stop_leading()
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
            self._lease.extend()
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
            for result in chain[BatchResult[Any]](
                close_trades(exits, self._fence), fire_alerts(triggers, self._fence)
            ):
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
