"""Orders, ticks, batches, failed passes and changes of leader, in any order.

The model knows the true order of prices and entries. A trade closes at the first price after its
entry that reaches its stop-loss, whichever process settles it, and however late.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pytest
from bson import ObjectId
from flask import Flask
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pymongo.errors import AutoReconnect, PyMongoError

from app import create_app
from app.database import collection
from app.database.batches import LeaseLost
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Source
from app.models import SymbolState, Trade
from app.monitor import Monitor
from app.services import services
from app.trades import execution
from app.trades.service import open_trade
from config import Settings
from tests.property.portfolio_database import clear
from tests.support.factories import create_users, order
from tests.support.market import InterruptingFeed, ManualClock, permissive_filter

SYMBOL = "^NSEI"
FAILURES = [(SymbolState, "find_marks"), (Trade, "find_triggered"), (execution, "apply_changes")]

processes = st.runner().flatmap(lambda machine: st.integers(0, machine.count - 1))
prices = st.integers(95, 105)
distances = st.integers(1, 5)
# The second is longer than a price stays fresh: an order then asks the feed.
delays = st.sampled_from([0.001, 0.1])


@dataclass(frozen=True)
class Entry:
    """A trade of the model, and the number of prices up to its entry.

    `is_exact` unless it was opened at an old price of a process that stands by.
    """

    position: int
    stop_loss: int
    is_exact: bool


class TickOrder(RuleBasedStateMachine):
    def __init__(self, make_settings: Callable[..., Settings], mongo_uri: str, count: int) -> None:
        """Run so many processes; a lone one has started the database."""
        super().__init__()
        self.make_settings = make_settings
        self.mongo_uri = mongo_uri
        self.count = count

    @initialize()
    def start(self) -> None:
        self.clock = ManualClock()
        self.feeds = [InterruptingFeed(self.clock, Source.ANGEL_ONE) for _ in range(self.count)]
        self.times: list[datetime] = []
        self.prices: list[int] = []
        self.leader: int | None = None
        # The process whose pass is under way.
        self.passing: int | None = None
        self.entries: dict[ObjectId, Entry] = {}
        self.apps: list[Flask] = [self.start_process(feed) for feed in self.feeds]
        self.monitors = [self.start_monitor(app) for app in self.apps]
        with self.apps[0].app_context():
            clear()
            create_users("alice")
        self.tick(100, 0.1, pushed=False)
        self.order(0, 5)
        self.run(0)

    def start_process(self, feed: InterruptingFeed) -> Flask:
        variables = {"MONITOR_INTERVAL_SECONDS": "0.02"}
        app = create_app(
            self.make_settings(**variables), mongo_uri=self.mongo_uri, feed=feed, clock=self.clock
        )
        app.config["WRITE_BATCH_SIZE"] = 1
        with app.app_context():
            # A tick may wait for long, and is not doubtful for that.
            services().quotes.tick_filter = permissive_filter(self.clock)
        return app

    def start_monitor(self, app: Flask) -> Monitor:
        return Monitor(app, owns_database=self.count == 1)

    @rule(price=prices, delay=delays, pushed=st.booleans())
    def tick(self, price: int, delay: float, *, pushed: bool) -> None:
        """All processes receive the price."""
        self.clock.advance(delay)
        self.times.append(self.clock.now())
        self.prices.append(price)
        for feed in self.feeds:
            feed.push(SYMBOL, price) if pushed else feed.tick(SYMBOL, price)
            feed.record(SYMBOL, self.clock.now(), price)

    @rule(process=processes, distance=distances)
    def order(self, process: int, distance: int) -> None:
        with self.apps[process].app_context():
            try:
                # Does not wait for a price, as an order does.
                services().quotes.sample()
                entry = int(services().quotes.require(SYMBOL).price)
                trade = open_trade("alice", order(stop_loss=entry - distance))
            except MarketDataUnavailable:
                # The process that polls has stored no price lately, or passes its lease on.
                assert process != self.leader or process == self.passing
                return
        position = self.times.index(trade.entered.entry_timestamp) + 1
        is_exact = position == len(self.prices) or process == self.leader
        self.entries[trade.id] = Entry(position, entry - distance, is_exact)

    @rule(process=processes)
    def run(self, process: int) -> None:
        self.passing = process
        self.monitors[process].run_if_leased()
        self.passing = None
        self.find_leader(process)

    def find_leader(self, process: int) -> None:
        """Note whether the process holds the share of the symbol after a pass."""
        with self.apps[process].app_context():
            if services().quotes.is_polled(SYMBOL):
                self.leader = process
            elif self.leader == process:
                self.leader = None

    @precondition(lambda self: self.count > 1)
    @rule(process=processes)
    def take_over_in_a_pass(self, process: int) -> None:
        """The leader is paused in its pass, for longer than its lease."""
        feed = self.feeds[process]
        feed.interruptions = [partial(self.pass_on_the_lease, 1 - process)]
        self.run(process)
        feed.interruptions = []

    @rule(process=processes)
    def settle_what_arrived(self, process: int) -> None:
        if self.leader == process:
            # A process that was overtaken in its pass notices now, and its thread continues.
            with suppress(LeaseLost):
                self.monitors[process].run_arrived()

    @rule(process=processes, failure=st.sampled_from(FAILURES))
    def fail(self, process: int, failure: tuple[object, str]) -> None:
        def unavailable(*_: object) -> None:
            raise AutoReconnect("the database is unavailable")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*failure, unavailable)
            with suppress(PyMongoError):
                self.run(process)

    @rule(
        process=processes,
        price=prices,
        other=prices,
        distance=distances,
        orders_at=processes,
    )
    def interrupt(
        self, process: int, price: int, other: int, distance: int, orders_at: int
    ) -> None:
        """Prices arrive between two batches, and a trade is opened before the next batch."""

        def move() -> None:
            self.tick(price, 0.001, pushed=True)
            self.tick(other, 0.1, pushed=True)

        feed = self.feeds[process]
        feed.interruptions = [lambda: None, move, partial(self.order, orders_at, distance)]
        self.run(process)
        feed.interruptions = []

    @rule(process=processes)
    def pass_on_the_lease(self, process: int) -> None:
        """The lease expires, and a process is the first to notice."""
        with self.apps[process].app_context():
            collection("leases").update_many({}, {"$set": {"until": 0}})
        self.run(process)

    @rule(process=processes)
    def restart(self, process: int) -> None:
        """Kill a process, with all ticks that it had received."""
        feed = self.feeds[process]
        feed.poll([])
        self.apps[process] = self.start_process(feed)
        self.monitors[process] = self.start_monitor(self.apps[process])
        if self.leader == process:
            self.leader = None

    def teardown(self) -> None:
        """Compare, after a last pass of a leader."""
        if not hasattr(self, "monitors"):
            return
        self.pass_on_the_lease(0)
        # A share may be on its way from one process to the other.
        for process in [*reversed(range(self.count))] * 2:
            self.run(process)
        assert self.leader is not None
        with self.apps[0].app_context():
            trades = [Trade.from_document(each) for each in collection("trades").find()]
        assert {trade.id for trade in trades} == self.entries.keys()
        for trade in trades:
            self.check(trade, self.entries[trade.id])

    def check(self, trade: Trade, entry: Entry) -> None:
        reaching = [
            position
            for position, price in enumerate(self.prices)
            if position >= entry.position and price <= entry.stop_loss
        ]
        exit = self.times.index(trade.exit.quote.timestamp) if trade.exit else None
        if entry.is_exact:
            assert exit == (reaching[0] if reaching else None)
        elif exit is not None:
            assert exit in reaching


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "examples"), [(2, 15), (1, 5)])
def test_a_trade_closes_at_the_first_price_after_its_entry_that_reaches_its_stop_loss(
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    make_app: Callable[..., Flask],
    count: int,
    examples: int,
) -> None:
    make_app()

    class Machine(TickOrder):
        def __init__(self) -> None:
            super().__init__(make_settings, mongo_uri, count)

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples, stateful_step_count=25)
    )
