"""One fill rule: the same ticks give the same books, whether the server was up or down.

A server that stays up settles ticks as they arrive. Another stops, and settles the time it was down
from candles of the same ticks, one tick each; it may be killed during that. Between the outages,
users place, modify, cancel and exit on both at the same moments of the market.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from pymongo.errors import AutoReconnect, PyMongoError

from app import services
from app.assembly import assemble_services
from app.domain.quote import Source
from app.models import TradeChange, apply_changes
from app.monitor import Monitor
from app.trades import execution
from app.web.auth import issue_token
from config import Settings
from tests.property.portfolio_database import clear
from tests.property.searching import examples_of, search
from tests.property.up_and_down_stories import (
    LOWEST,
    MARGIN_RATE,
    START,
    SYMBOLS,
    UNIT,
    USERS,
    Cancel,
    Exit,
    ExitAll,
    Modify,
    Order,
    Outage,
    Place,
    Step,
    Story,
    Tick,
    stories,
)
from tests.support.database_state import OPEN, assert_invariants, documents
from tests.support.factories import create_user, open_portfolio
from tests.support.market import ManualClock, ScriptedFeed, permissive_filter

# What is not the same: who a document belongs to, when and from what it was settled.
DIFFERENT = {
    *("_id", "portfolio_id", "oco_id", "last_updated", "closed_at", "filled_at"),
    *("settled_from", "entry_settled_from", "exit_settled_from"),
    *("placed_posting", "entry_posting", "exit_posting", "posting", "time"),
}


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

    def send(self, step: Place | Modify | Cancel | Exit | ExitAll) -> None:
        """Send a request of a user, once every earlier price is settled."""
        self.monitor.run_once()
        if isinstance(step, Place):
            self._place(step)
        elif isinstance(step, ExitAll):
            body = {"symbol": step.symbol, "percent": step.percent}
            given = {name: value for name, value in body.items() if value is not None}
            path = f"/trades/exit-all/{step.user}"
            self._request(
                step.user, "POST", path, given | {"include_pending": step.include_pending}
            )
        else:
            self._change(step)

    def _place(self, step: Place) -> None:
        (portfolio,) = documents("portfolios", user_id=step.user)
        available = portfolio["available_margin"] / len(step.orders)
        bodies = [each.body(self.prices[step.symbol], available) for each in step.orders]
        named: list[dict[str, Any]] = [{"symbol": step.symbol, **body} for body in bodies]
        if len(named) == 2:
            self._request(step.user, "POST", "/trades/oco", {"orders": named})
        else:
            self._request(step.user, "POST", "/trades/create", named[0])

    def _change(self, step: Modify | Cancel | Exit) -> None:
        trades = sorted(documents("trades", user_id=step.user), key=lambda each: each["number"])
        trades = [each for each in trades if each["status"] in OPEN]
        if not trades:
            return
        trade = trades[step.trade % len(trades)]
        if isinstance(step, Modify):
            body = step.body(trade, self.prices[trade["symbol"]])
            self._request(step.user, "PATCH", f"/trades/{step.user}/{trade['_id']}", body)
        elif isinstance(step, Cancel):
            self._request(step.user, "POST", f"/trades/cancel/{trade['_id']}", {})
        else:
            part = {} if step.percent is None else {"percent": step.percent}
            self._request(step.user, "POST", f"/trades/exit/{trade['_id']}", part)

    def _request(self, user: str, method: str, path: str, body: dict[str, Any]) -> None:
        response = self.app.test_client().open(
            path,
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {self.tokens[user]}"},
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
            if isinstance(step, Tick):
                self.tick(step)
                if step.is_last_of_pass:
                    self.monitor.run_once()
            else:
                self.send(step)

    def miss(self, outage: Outage) -> None:
        """Be down for an outage, and start again; serve requests after a start that succeeds."""
        for step in outage.ticks:
            self.tick(step)
        self.start()
        with interrupted(outage), suppress(Killed, PyMongoError):
            self.monitor.settle_gap()
        if outage.after:
            self.resume()
            self.live(outage.after)

    def resume(self) -> None:
        """Start again, and settle all the time that no server has settled."""
        self.start()
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


def compare(app: Flask, variables: Settings, story: Story) -> dict[str, Any]:
    """Tell a story to a server that stays up and to one that does not; return their books."""
    up = Server(app, variables, story.source)
    up.live(story.before)
    for outage in story.outages:
        up.live([*outage.ticks, *outage.after])
    expected = up.books()

    down = Server(app, variables, story.source)
    down.live(story.before)
    for outage in story.outages:
        down.miss(outage)
    down.resume()
    assert down.books() == expected
    return expected


# UP_AND_DOWN_EXAMPLES=2000 searches further.
@pytest.mark.timeout(900 + 3 * examples_of("UP_AND_DOWN_EXAMPLES"))
@pytest.mark.parametrize(("profile", "examples"), [("plain", 16), ("realistic", 4)])
def test_the_same_ticks_give_the_same_books_whether_the_server_was_up_or_down(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    profile: str,
    examples: int,
) -> None:
    environment = {"MARGIN_RATE": MARGIN_RATE, "FILL_PROFILE": profile}
    app, variables = make_app(**environment), make_settings(**environment)

    @search("UP_AND_DOWN_EXAMPLES", examples)
    @given(stories)
    def compare_each(story: Story) -> None:
        compare(app, variables, story)

    compare_each()


def order(kind: str, side: int, divisor: int, at: int, trail: int | None = None) -> Order:
    offset = None if trail is None else ("offset", trail)
    return Order(kind, side, divisor, at, beyond=0, loss=None, gain=None, trail=offset)


EVERY_OPERATION = Story(
    Source.MOCK,
    before=[
        Place("binod", "^BSESN", (order("MARKET", 1, 3, 1, trail=12),)),
        Place("binod", "^BSESN", (order("LIMIT", 1, 3, 10),)),
        Cancel("binod", 1),
        Modify("binod", 0, at=None, loss=None, gain=None, trail=("offset", 8), percent=None),
        Exit("binod", 0, percent=50),
        Place("binod", "^NSEI", (order("STOP", 1, 3, 3), order("STOP", -1, 3, 3))),
        # All the margin of the user at 100.50, which is not enough at 106.
        Place("asha", "^NSEI", (order("STOP", 1, 1, 5),)),
    ],
    outages=[
        Outage(
            # Up to 100.90 and down to 99.90, through a trailing stop at 100.10.
            ticks=[Tick("^BSESN", 9, True), Tick("^NSEI", 60, True), Tick("^BSESN", -10, True)],
            interrupted_after=1,
            is_killed=True,
            after=[ExitAll("binod", None, None, include_pending=True)],
        )
    ],
)


def test_every_operation_and_end_of_a_trade_is_the_same_after_an_outage(
    make_app: Callable[..., Flask], make_settings: Callable[..., Settings]
) -> None:
    app, variables = make_app(MARGIN_RATE=MARGIN_RATE), make_settings(MARGIN_RATE=MARGIN_RATE)

    books = compare(app, variables, EVERY_OPERATION)

    assert all(code is None for _, code in books["answers"]), books["answers"]
    assert [(each["status"], each.get("end_reason")) for each in books["trades"]] == [
        ("REJECTED", "insufficient_margin"),
        ("TRAILING_STOP_HIT", None),
        ("CANCELLED", "user"),
        ("CLOSED", None),
        ("CANCELLED", "oco"),
    ]
    assert len(books["trades"][1]["partial_exits"]) == 1
