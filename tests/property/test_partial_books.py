"""A stateful test: the books of a harsh portfolio, whose entries and targets are filled in parts.

The machine drives the real routes and the real monitor on a real database, with restarts and times
without a server. After each step the books balance, every order has all its units in its part and
its rests, and each trade follows from its evidence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.cli import verify
from app.models import Trade
from app.monitor import Monitor
from app.portfolio.bounds_reconciliation import find_narrow_bounds
from app.portfolio.reconciliation import find_differences
from app.web.auth import issue_token
from tests.property.portfolio_database import clear
from tests.property.searching import examples_of, search
from tests.support.bounds import assert_bounds_hold
from tests.support.database_state import assert_invariants, documents
from tests.support.factories import create_user
from tests.support.market import ManualClock, ScriptedFeed

SYMBOL = "^BSESN"
USER = "asha"
PRICE = 10_000
# Few prices, so that limits are touched and not passed.
prices = st.integers(-3, 3).map(lambda by: PRICE + 5 * by)
picks = st.integers(0, 10_000)


class BooksMachine(RuleBasedStateMachine):
    def __init__(
        self, make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
    ) -> None:
        super().__init__()
        self.make_app, self.feed, self.clock = make_app, feed, clock

    def teardown(self) -> None:
        clear()

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.seed = str(seed)
        # What was placed or modified last, of the orders that no request has ended, by trade.
        self.ordered: dict[str, int] = {}
        self.feed.set(SYMBOL, PRICE)
        self.start()
        with self.app.app_context():
            create_user(USER)
            self.token = issue_token(USER)
        self.send("post", "/portfolio/create", {"initial_margin": 500_000})

    def start(self) -> None:
        self.app = self.make_app(FILL_PROFILE="harsh", FILL_SEED=self.seed)
        # So small that the changes of one tick take several transactions.
        self.app.config["WRITE_BATCH_SIZE"] = 2
        self.monitor = Monitor(self.app, owns_database=True)

    @rule(
        buys=st.booleans(),
        quantity=st.integers(1, 60),
        limit=prices,
        gain=st.none() | st.integers(1, 3),
    )
    def create(self, buys: bool, quantity: int, limit: int, gain: int | None) -> None:
        sign = 1 if buys else -1
        target = None if gain is None else limit + sign * 5 * gain
        answer = self.send("post", "/trades/create", self.order(buys, quantity, limit, target))
        if answer.status_code == 201 and answer.get_json()["status"] == "PENDING":
            self.ordered[answer.get_json()["trade_id"]] = quantity

    @rule(quantity=st.integers(1, 60), by=st.integers(1, 3))
    def create_pair(self, quantity: int, by: int) -> None:
        quote = self.feed.latest(SYMBOL)
        last = int(quote.price) if quote else PRICE
        pair = [
            self.order(True, quantity, last - 5 * by, None),
            self.order(False, quantity, last + 5 * by, None),
        ]
        answer = self.send("post", "/trades/oco", {"orders": pair})
        if answer.status_code == 201:
            for trade in answer.get_json()["trades"]:
                if trade["status"] == "PENDING":
                    self.ordered[trade["trade_id"]] = quantity

    def order(self, buys: bool, quantity: int, limit: int, target: int | None) -> dict[str, Any]:
        return {
            "symbol": SYMBOL,
            "trade_type": "BUY" if buys else "SELL",
            "quantity": quantity,
            "order_type": "LIMIT",
            "limit_price": limit,
            **({} if target is None else {"target_price": target}),
        }

    @rule(path=st.lists(prices, min_size=1, max_size=5), seconds=st.sampled_from([1, 20, 61]))
    def tick(self, path: list[int], seconds: int) -> None:
        self.clock.advance(seconds)
        for price in path:
            self.feed.tick(SYMBOL, price)
        self.monitor.run_once()

    @rule(path=st.lists(st.tuples(prices, prices, prices), min_size=1, max_size=6))
    def stop_for_a_while(self, path: list[tuple[int, int, int]]) -> None:
        self.clock.advance(1)
        self.monitor.run_once()
        for candle in path:
            self.clock.advance(60)
            self.feed.record(SYMBOL, self.clock.now(), *candle)
        self.feed.set(SYMBOL, path[-1][-1])
        self.clock.advance(1)
        self.start()
        self.monitor.settle_gap()

    @precondition(lambda self: self.ordered)
    @rule(pick=picks, part=st.integers(1, 60))
    def exit(self, pick: int, part: int) -> None:
        trade = self.pick(pick)
        self.send("post", f"/trades/exit/{trade}", {"quantity": part})

    @precondition(lambda self: self.ordered)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self.send("post", f"/trades/cancel/{self.pick(pick)}", {})

    @precondition(lambda self: self.ordered)
    @rule(pick=picks, limit=prices)
    def move_limit(self, pick: int, limit: int) -> None:
        self.send("patch", f"/trades/{USER}/{self.pick(pick)}", {"limit_price": limit})

    @invariant()
    def books_balance(self) -> None:
        if not hasattr(self, "app"):
            return
        stored = documents("trades", user_id=USER)
        with self.app.app_context():
            assert find_differences(USER) == []
            assert find_narrow_bounds() == []
            for document in stored:
                trade = Trade.from_document(document)
                assert [step for step in verify._derive(trade) if not step.agrees] == []
        assert_bounds_hold()
        assert_invariants(USER)
        units: dict[str, int] = defaultdict(int)
        parents = {str(each["_id"]): each.get("split_from") for each in stored}
        for each in stored:
            root = str(each["_id"])
            while parents[root]:
                root = str(parents[root])
            units[root] += each["quantity"]
        assert {id: units[id] for id in self.ordered} == self.ordered

    def pick(self, number: int) -> str:
        """Return the id of a trade."""
        stored = documents("trades", user_id=USER)
        return str(stored[number % len(stored)]["_id"])

    def send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.app.test_client().open(
            path, method=method.upper(), json=body, headers=headers
        )
        assert answer.status_code < 500, answer.text
        return answer


# PARTIAL_EXAMPLES=500 searches further.
SETTINGS = search("PARTIAL_EXAMPLES", 8, stateful_step_count=25)


@pytest.mark.timeout(900 + 3 * examples_of("PARTIAL_EXAMPLES"))
def test_the_books_of_a_harsh_portfolio_balance_after_every_step(
    make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
) -> None:

    class Machine(BooksMachine):
        def __init__(self) -> None:
            super().__init__(make_app, feed, clock)

    run_state_machine_as_test(Machine, settings=SETTINGS)
