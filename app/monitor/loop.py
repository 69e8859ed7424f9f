"""The loop: one pass over the polled symbols every few seconds, and one whenever ticks arrive.

A full pass renews the lease, reads which symbols to poll, polls the feed, and stores what a restart
needs. A pass in between settles the ticks that the feed pushed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf

import pymongo
from flask import Flask
from pymongo.errors import PyMongoError

from app.concurrency import spawn
from app.database.batches import Fence, LeaseLost
from app.database.transactions import name_error
from app.events import republish_unconfirmed
from app.logs import logger
from app.market_data.recordings.recorder import Recorder
from app.metrics import KEY as METRICS_KEY
from app.metrics import metrics
from app.models import SHARES, MarketState
from app.monitor.adjustments import Adjustments
from app.monitor.downtime import settle_downtime
from app.monitor.gaps import Gaps
from app.monitor.late_writes import settle_late_writes
from app.monitor.lease import Lease, Term
from app.monitor.maintenance import Maintenance
from app.monitor.progress import open_gaps, save_progress
from app.monitor.receiver import TickReceiver
from app.monitor.settlement import Settlement
from app.monitor.sharing import Sharing
from app.services import services
from app.tracing import span
from app.trades.endings import expire_entries
from app.trades.trailing import TrailingStops

# The minimum time between two passes over pushed ticks, so that a busy stream is batched.
MIN_PASS_GAP_SECONDS = 0.02
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
    def __init__(
        self, app: Flask, *, owns_database: bool = False, recorder: Recorder | None = None
    ) -> None:
        """Make the monitor of a process; the `recorder` gets the ticks that it acts on.

        With `owns_database` the process has started the database, so no other one settles yet, and
        none writes trades unless it shares the quotes of this one.
        """
        with app.app_context():
            parts = services()
        self._app = app
        self._interval = parts.settings.monitor_interval_seconds
        self._clock = parts.clock
        self._feed = parts.feed
        self._polled_symbols = parts.polled_symbols
        # A standby takes over within two intervals, unless they are shorter than a hiccup.
        self._lease = Lease(max(2 * self._interval, MIN_LEASE_SECONDS), is_alone=owns_database)
        # Single passes by hand, before the first one under leases, need none.
        self._term = Term()
        # A process that has started the database gives prices at once: no other one does, and its
        # first pass may have to settle a long time first.
        self._starts_alone = self._owns_database = owns_database
        parts.quotes.is_polled = self._gives_prices
        self._lease_due_at = inf
        self._trailing = TrailingStops(parts.quotes.id, parts.clock)
        self._adjustments = Adjustments(parts, self._trailing)
        self._gaps = Gaps(parts, self._trailing, self._adjustments)
        self._receiver = TickReceiver(parts, self._is_own, recorder)
        self._settling_gaps = False
        self._settlement = Settlement(
            parts, self._receiver, self._gaps, self._adjustments, self._trailing
        )
        self._maintenance = Maintenance(app)
        self._stop = threading.Event()
        self._wakeup = threading.Event()
        self._ended = threading.Event()
        # Whether the last pass failed: prices may be published, but trades were not settled.
        self.is_failing = False
        self._feed.listen(self._wakeup.set)

    @property
    def last_pass_at(self) -> float | None:
        """When it last received ticks, by the monotonic clock; None before the first time."""
        return self._receiver.received_at

    @property
    def sharing(self) -> Sharing:
        """The quotes that other processes get from this one."""
        return self._receiver.sharing

    @property
    def is_standing_by(self) -> bool:
        """Whether other processes poll all symbols."""
        return not self._term.epochs

    def run(self) -> None:
        """Make a pass every interval, and whenever ticks arrive, until stopped."""
        started = next_pass = self._clock.monotonic()
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
            elif self._term.epochs:
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
            self._polled_symbols.withdraw()

    def run_once(self) -> Pass:
        """Poll the feed, publish its quotes, and settle what they trigger.

        Raises PyMongoError if the database is unavailable: the prices are published, and a later
        pass settles the ticks.
        """
        with self._app.app_context(), metrics().pass_seconds.time(), span("pass"):
            # Read what was announced, even if this process has announced nothing.
            self._settlement.announcements.forget()
            failure = self._receiver.refresh_symbols()
            if not failure:
                self._attempt(self._learn_actions)
            reached = self._feed.now()
            ticks = self._receiver.poll()
            if failure:
                self._receiver.publish()
                raise failure
            self._receive_gaps()
            self._receiver.share_standing()
            if self.sharing.is_on and not self._feed.remote:
                self._attempt(partial(settle_late_writes, self._term.epochs))
            # Read before: ticks that wait for a gap now are not settled by this pass.
            settled_to = self._gaps.settled_to(dict.fromkeys(self._term.epochs, reached))
            closed = self._settle()
            self._adjustments.sweep(self._term.fence)
            expire_entries(settled_to, self._term.fence)
            self._trailing.save(self._term.epochs, self._receiver.unsaved)
            self._receiver.forget_unsaved()
            save_progress(self._feed, self._gaps, settled_to, self._term.epochs)
            self._attempt(self._settlement.bounds.begin_generations)
            return Pass(ticks=len(ticks), closed=closed)

    def run_arrived(self) -> Pass:
        """Publish and settle the ticks that have arrived, without polling.

        Raises PyMongoError if the database is unavailable.
        """
        with self._app.app_context():
            ticks = self._receiver.collect()
            self._receive_gaps()
            # Other processes may have marked further symbols since the last full pass.
            return Pass(ticks=len(ticks), closed=self._settle(keep_unmarked=self.sharing.is_on))

    def settle_gap(self) -> int:
        """Settle the time since the last pass of any process, as far as the feed has candles.

        Returns how many trades it closed. Raises PyMongoError if the database is unavailable; the
        gap stays open then.
        """
        with self._app.app_context():
            return self._settle_downtime(self._term.epochs, self._term.fence)

    def run_if_leased(self) -> None:
        """Make a full pass over the symbols that this process has leases of, or stand by."""
        with self._app.app_context():
            try:
                term = self._lease.renew()
            except PyMongoError:
                # No other process can take them without the database: keep publishing prices.
                term = self._lease.term
            self._lease_due_at = self._clock.monotonic() + self._lease.next_expiry
            try:
                self._change_term(term)
                if term.epochs:
                    self.run_once()
                else:
                    self._attempt(self._adjustments.refresh)
                self._release_wanted()
            except LeaseLost:
                self._stop_leading()
            self._announce()
            republish_unconfirmed()
            # By one process: the holder of the first share.
            self._maintenance.start_if_due(shared=0 in self._term.epochs)

    def _is_own(self, symbol: str) -> bool:
        return self._term.covers(symbol)

    def _gives_prices(self, symbol: str) -> bool:
        return self._starts_alone or self._is_own(symbol)

    def _stop_leading(self) -> None:
        """Settle nothing more; the next pass, which is due now, finds out what is still held."""
        logger.warning("monitor: another process has taken over")
        self._term = Term(self._lease.term.holder, {})
        self._lease_due_at = self._clock.monotonic()
        self._wakeup.set()

    def _release_wanted(self) -> None:
        """Release what other workers ask for: it is settled up to this pass."""
        if self._lease.wanted:
            self._lease.release(self._lease.wanted)
            self._change_term(self._lease.term)

    def _change_term(self, term: Term) -> None:
        """Forget what is no longer held, and begin to settle what is new.

        If that fails, the new shares are not held yet, and the next pass tries again.
        """
        held, is_first = self._term.epochs, self._term.holder is None
        kept = {each: epoch for each, epoch in term.epochs.items() if held.get(each) == epoch}
        new = term.epochs.keys() - kept.keys()
        if is_first or new or kept.keys() != held.keys():
            self._term = Term(term.holder, kept)
            self._forget(set(range(SHARES)) - kept.keys())
            if not is_first:
                self._drop_arrived()
                self._receiver.take_over(new)
            if new:
                self._begin_to_lead(new, term)
        self._term = term
        self._starts_alone = False

    def _forget(self, numbers: Collection[int]) -> None:
        """Forget the ticks that are not settled: the next holder settles their time as a gap.

        Trades may be opened after them by the time that this process holds these shares again.
        """
        self._receiver.forget(numbers)
        self._gaps.forget(numbers)
        self._trailing.forget(numbers)
        self._settlement.bounds.forget(numbers)
        self._settlement.announcements.forget()
        self._adjustments.forget()

    def _drop_arrived(self) -> None:
        """Receive what has arrived of the own symbols only: a gap covers it for new ones."""
        if self._term.epochs:
            self._receiver.collect()
            self._receive_gaps()
        else:
            self._feed.collect()
            self._feed.collect_gaps()

    def _begin_to_lead(self, new: Collection[int], term: Term) -> None:
        if not self._feed.remote:
            self._settle_downtime({each: term.epochs[each] for each in new}, term.fence)
            return
        # Remote candles arrive one by one, and prices must not wait for them.
        stored = MarketState.load_progress(self._feed.name)
        open_gaps(self._gaps, stored, new, self._feed.now())
        self._start_settling_gaps(term.fence)

    def _settle_downtime(self, epochs: Mapping[int, int], fence: Fence) -> int:
        return settle_downtime(epochs, fence, self._gaps, self._trailing, self._receiver)

    def _learn_actions(self) -> None:
        """Learn of corporate actions, and receive the ticks that were held as jumps until now."""
        if released := self._adjustments.refresh():
            self._receiver.receive(lambda: released)

    def _receive_gaps(self) -> None:
        watched = self._polled_symbols.traded | self._polled_symbols.alerted
        watched = set(filter(self._is_own, watched))
        self._gaps.add(gap for gap in self._feed.collect_gaps() if gap.symbol in watched)
        self._start_settling_gaps(self._term.fence)

    def _start_settling_gaps(self, fence: Fence) -> None:
        if self._gaps.is_due and not self._settling_gaps:
            self._settling_gaps = True
            spawn(self._settle_gaps, fence)

    def _settle_gaps(self, fence: Fence) -> None:
        """Settle the gaps; a later pass retries those that stay open."""
        with self._app.app_context():
            self._attempt(partial(self._gaps.settle, fence))
        self._settling_gaps = False
        # Ticks may have waited for the gaps.
        self._wakeup.set()

    def _announce(self) -> None:
        """Have other processes poll what this one needs, unless it polls everything itself."""
        if len(self._term.epochs) < SHARES:
            self._polled_symbols.announce(max(3 * self._interval, MIN_LEASE_SECONDS))

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

    def _collect_new(self) -> None:
        """Receive and publish new ticks between two batches; the next pass settles them."""
        if self._receiver.is_poll_due:
            ticks = self._receiver.poll()
            # Otherwise another process would take the lease during a long settlement.
            self._lease.extend()
        else:
            ticks = self._receiver.collect()
        self.sharing.store()
        self._receiver.publish()
        self._receive_gaps()
        if ticks:
            self._wakeup.set()

    def _settle(self, *, keep_unmarked: bool = False) -> int:
        """Settle the ticks; those from an ex-date on once its action is applied.

        Returns how many trades were closed. Raises as `Settlement.settle` does.
        """
        closed = self._settle_ready(keep_unmarked)
        while self._adjustments.is_due:
            self._adjustments.apply_due(self._term.fence)
            # Its levels lie elsewhere now.
            closed += self._settle_ready(keep_unmarked)
        return closed

    def _settle_ready(self, keep_unmarked: bool) -> int:
        only_own = self._owns_database and not self.sharing.is_on
        batches = self._settlement.settle(
            self._term, only_own=only_own, keep_unmarked=keep_unmarked
        )
        closed = 0
        for count in batches:
            closed += count
            self._attempt(self._collect_new)
        self._attempt(self._settlement.narrow_bounds)
        return closed
