"""One fill rule: the same ticks give the same books, whether the server was up or down.

A server that stays up settles ticks as they arrive. Another stops, and settles the time it was down
from candles of the same ticks, one tick each; it may be killed during that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, PyMongoError

from app import assemble_services, services
from app.domain.quote import Source
from app.models import TradeChange, apply_changes
from app.monitor import Monitor
from app.trades import execution
from app.web.auth import issue_token
from config import Settings
from tests.property.portfolio_database import clear
from tests.support.database_state import assert_invariants, documents
from tests.support.factories import create_user, open_portfolio
from tests.support.market import ManualClock, ScriptedFeed, permissive_filter

SYMBOLS = ("^NSEI", "^BSESN")
USERS = {"asha": Decimal(2_000), "binod": Decimal(1_000)}
MARGIN_RATE = Decimal("0.125")
START = 10_000
LOWEST = 5_000
# Paise. Everything is a multiple of this, so that prices often meet levels exactly.
UNIT = 10
# What is not the same: who a document belongs to, when and from what it was settled.
DIFFERENT = {
    *("_id", "portfolio_id", "oco_id", "last_updated", "closed_at", "filled_at"),
    *("settled_from", "entry_settled_from", "exit_settled_from"),
    *("placed_posting", "entry_posting", "exit_posting"),
}

distances = st.integers(1, 12)
levels = st.none() | st.integers(1, 15)
trails = st.none() | st.tuples(st.sampled_from(["offset", "pct"]), st.integers(1, 15))


@dataclass(frozen=True)
class Order:
    """An order relative to the last price; distances are in units of the price."""

    kind: str
    side: int
    # What part of the available margin it takes: of all of it, little is left for the next order.
    divisor: int
    at: int
    beyond: int
    loss: int | None
    gain: int | None
    trail: tuple[str, int] | None

    def body(self, price: int, available: Decimal) -> dict[str, Any]:
        """Return the order at a last price in paise, with `available` rupees."""
        side = self.side
        stop = price + side * self.at * UNIT if self.kind in ("STOP", "STOP_LIMIT") else None
        limit = price - side * self.at * UNIT if self.kind == "LIMIT" else None
        if self.kind == "STOP_LIMIT" and stop is not None:
            limit = stop + side * self.beyond * UNIT
        entries = [each for each in (limit, stop, price) if each is not None]
        lower, upper = (min, max) if side == 1 else (max, min)
        margin = MARGIN_RATE * (limit or stop or price) / 100
        body: dict[str, Any] = {
            "trade_type": "BUY" if side == 1 else "SELL",
            "quantity": max(int(available / self.divisor / margin), 1),
            "order_type": self.kind,
            "limit_price": limit,
            "stop_price": stop,
            "stop_loss": self.loss and lower(entries) - side * self.loss * UNIT,
            "target_price": self.gain and upper(entries) + side * self.gain * UNIT,
        }
        amounts = ("limit_price", "stop_price", "stop_loss", "target_price")
        body |= {name: body[name] / 100 for name in amounts if body[name] is not None}
        if self.trail:
            unit, distance = self.trail
            body[f"trailing_{unit}"] = distance * UNIT / 100
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True)
class Place:
    """An order, or a pair of which the first to fill cancels the other."""

    user: str
    symbol: str
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Tick:
    symbol: str
    by: int
    # Whether a server that is up makes a pass after it.
    is_last_of_pass: bool


Step = Place | Tick


@dataclass(frozen=True)
class Outage:
    """A time without a server, and after how many transactions the next start is interrupted."""

    ticks: Sequence[Tick]
    interrupted_after: int | None
    is_killed: bool


@dataclass(frozen=True)
class Story:
    source: Source
    before: Sequence[Step]
    outages: Sequence[Outage]
    after: Sequence[Step]


orders = st.builds(
    Order,
    kind=st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]),
    side=st.sampled_from([1, -1]),
    divisor=st.sampled_from([1, 1, 2, 3]),
    at=distances,
    beyond=st.integers(-8, 8),
    loss=levels,
    gain=levels,
    trail=trails,
)
pairs = st.tuples(orders, orders).filter(lambda pair: all(each.kind != "MARKET" for each in pair))
places = st.builds(
    Place,
    user=st.sampled_from(sorted(USERS)),
    symbol=st.sampled_from(SYMBOLS),
    orders=st.tuples(orders) | st.tuples(orders) | pairs,
)
ticks = st.builds(
    Tick,
    symbol=st.sampled_from(SYMBOLS),
    by=st.integers(-15, 15),
    is_last_of_pass=st.booleans(),
)
outages = st.builds(
    Outage,
    ticks=st.lists(ticks, min_size=1, max_size=12),
    interrupted_after=st.none() | st.integers(0, 3),
    is_killed=st.booleans(),
)
stories = st.builds(
    Story,
    source=st.sampled_from([Source.ANGEL_ONE, Source.MOCK]),
    before=st.lists(places | places | ticks, min_size=6, max_size=20),
    outages=st.lists(outages, min_size=1, max_size=3),
    after=st.lists(ticks | ticks | places, max_size=8),
)


class Killed(BaseException):
    """The process ends."""


@dataclass
class Server:
    """A server that is started again on the same database, with the market that goes on."""

    app: Flask
    settings: Settings
    source: Source
    clock: ManualClock = field(default_factory=ManualClock)
    answers: list[tuple[int, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feed = ScriptedFeed(self.clock, self.source)
        self.prices = dict.fromkeys(SYMBOLS, START)
        for symbol, price in self.prices.items():
            self.feed.set(symbol, Decimal(price) / 100)
        with self.app.app_context():
            clear()
            self.start()
            for number, (user, margin) in enumerate(USERS.items()):
                create_user(user, phone=f"+9198765{number:05}")
                open_portfolio(user, margin)
            self.tokens = {user: issue_token(user) for user in USERS}
        self.monitor.run_once()

    def start(self) -> None:
        services.init_app(self.app, assemble_services(self.settings, self.feed, self.clock))
        # So small that the changes of one pass take several transactions.
        self.app.config["WRITE_BATCH_SIZE"] = 2
        with self.app.app_context():
            services.services().quotes.tick_filter = permissive_filter(self.clock)
        self.monitor = Monitor(self.app)

    def place(self, step: Place) -> None:
        """Send an order at the last price."""
        self.monitor.run_once()
        (portfolio,) = documents("portfolios", user_id=step.user)
        available = portfolio["available_margin"] / len(step.orders)
        bodies = [each.body(self.prices[step.symbol], available) for each in step.orders]
        named: list[dict[str, Any]] = [{"symbol": step.symbol, **body} for body in bodies]
        is_pair = len(named) == 2
        response = self.app.test_client().post(
            "/trades/oco" if is_pair else "/trades/create",
            json={"orders": named} if is_pair else named[0],
            headers={"Authorization": f"Bearer {self.tokens[step.user]}"},
        )
        self.answers.append((response.status_code, response.get_json().get("code")))

    def tick(self, step: Tick) -> None:
        self.clock.advance(1)
        price = max(self.prices[step.symbol] + step.by * UNIT, LOWEST)
        self.prices[step.symbol] = price
        self.feed.tick(step.symbol, Decimal(price) / 100)
        self.feed.record(step.symbol, self.clock.now(), Decimal(price) / 100)

    def live(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Place):
                self.place(step)
            else:
                self.tick(step)
                if step.is_last_of_pass:
                    self.monitor.run_once()

    def miss(self, outage: Outage) -> None:
        """Be down for an outage, and start again."""
        for step in outage.ticks:
            self.tick(step)
        self.start()
        with interrupted(outage), suppress(Killed, PyMongoError):
            self.monitor.settle_gap()

    def books(self) -> dict[str, Any]:
        """Return what must be the same, by collection, after the last pass."""
        self.monitor.run_once()
        for user in USERS:
            assert_invariants(user)
        trades = sorted(documents("trades"), key=lambda each: (each["user_id"], each["number"]))
        portfolios = sorted(documents("portfolios"), key=lambda each: str(each["user_id"]))
        return {
            "answers": self.answers,
            "trades": [comparable(each) for each in trades],
            "portfolios": [comparable(each) for each in portfolios],
        }


def comparable(document: Any) -> Any:
    if isinstance(document, dict):
        return {
            name: comparable(value) for name, value in document.items() if name not in DIFFERENT
        }
    return [comparable(each) for each in document] if isinstance(document, list) else document


@contextmanager
def interrupted(outage: Outage) -> Iterator[None]:
    """Interrupt the transactions after the first few: by a kill, or by an outage."""
    left = inf if outage.interrupted_after is None else outage.interrupted_after

    def apply(changes: Sequence[TradeChange], time: datetime) -> int:
        nonlocal left
        if left <= 0:
            raise Killed if outage.is_killed else AutoReconnect("the database is away")
        left -= 1
        return apply_changes(changes, time)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "apply_changes", apply)
        yield


# Reproducible, so that only changes make it fail; UP_AND_DOWN_EXAMPLES=2000 searches further.
EXAMPLES = int(os.environ.get("UP_AND_DOWN_EXAMPLES", "0"))


@pytest.mark.timeout(900 + 3 * EXAMPLES)
def test_the_same_ticks_give_the_same_books_whether_the_server_was_up_or_down(
    make_app: Callable[..., Flask], make_settings: Callable[..., Settings]
) -> None:
    app, variables = make_app(MARGIN_RATE=MARGIN_RATE), make_settings(MARGIN_RATE=MARGIN_RATE)

    @settings(
        max_examples=EXAMPLES or 20,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(stories)
    def compare(story: Story) -> None:
        up = Server(app, variables, story.source)
        up.live(story.before)
        for outage in story.outages:
            up.live(outage.ticks)
        up.live(story.after)
        expected = up.books()

        down = Server(app, variables, story.source)
        down.live(story.before)
        for outage in story.outages:
            down.miss(outage)
        down.start()
        down.monitor.settle_gap()
        down.live(story.after)
        assert down.books() == expected

    compare()
