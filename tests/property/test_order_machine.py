"""A stateful test: orders of every type, modified, cancelled and exited in parts.

The machine drives the real routes and the real monitor on a real database. After each step the
trades, the portfolio and the events are those of `order_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
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

from app.market_data.price_bounds import SETTLED_SECONDS
from app.monitor import Monitor
from app.portfolio.bounds_reconciliation import find_narrow_bounds
from app.portfolio.reconciliation import find_differences
from app.web.auth import issue_token
from tests.property.order_model import MARGIN_RATE, Lot, OrderModel, Refusal
from tests.property.portfolio_database import clear, paise
from tests.property.searching import examples_of, search
from tests.support.bounds import assert_bounds_hold
from tests.support.factories import create_user
from tests.support.market import ManualClock, ScriptedFeed

# Its tick size is a paisa.
SYMBOL = "^BSESN"
USER = "asha"
INITIAL = 200_000
PRICE = 10_007
STATUS_OF = {
    "would_trigger_immediately": 400,
    "insufficient_margin": 400,
    "not_pending": 409,
    "trade_not_active": 409,
    "trade_ended": 409,
}

sides = st.sampled_from([1, -1])
quantities = st.integers(1, 9) | st.integers(1, 60)
# Paise from the price: near enough to be reached by a few ticks.
distances = st.integers(1, 60)
levels = st.none() | st.integers(61, 200)
moves = st.integers(-90, 90)
picks = st.integers(0, 10_000)


class OrderMachine(RuleBasedStateMachine):
    def __init__(
        self, make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
    ) -> None:
        super().__init__()
        self.make_app, self.feed, self.clock = make_app, feed, clock

    def teardown(self) -> None:
        clear()

    @initialize()
    def begin(self) -> None:
        self.feed.set(SYMBOL, Decimal(PRICE) / 100)
        self.model = OrderModel(INITIAL, PRICE)
        self.ids: list[str] = []
        self.start()
        with self.app.app_context():
            create_user(USER)
            self.token = issue_token(USER)
        self.send("post", "/portfolio/create", {"initial_margin": INITIAL / 100})

    def start(self) -> None:
        self.app = self.make_app(MARGIN_RATE=float(MARGIN_RATE))
        # So small that the changes of one tick take several transactions.
        self.app.config["WRITE_BATCH_SIZE"] = 2
        self.monitor = Monitor(self.app, owns_database=True)

    @rule(
        side=sides,
        quantity=quantities,
        kind=st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]),
        at=distances,
        beyond=st.integers(-40, 40),
        loss=levels,
        gain=levels,
    )
    def create(
        self,
        side: int,
        quantity: int,
        kind: str,
        at: int,
        beyond: int,
        loss: int | None,
        gain: int | None,
    ) -> None:
        price = self.model.price
        stop = price + side * at if kind in ("STOP", "STOP_LIMIT") else None
        limit = None
        if kind == "LIMIT":
            limit = price - side * (at if beyond else -at)
        elif stop is not None and kind == "STOP_LIMIT":
            limit = stop + side * beyond
        entries = [each for each in (limit, stop, price) if each is not None]
        worst, best = (min, max) if side == 1 else (max, min)
        lot = Lot(
            side,
            quantity,
            kind,
            limit,
            stop,
            None if loss is None else worst(entries) - side * loss,
            None if gain is None else best(entries) + side * gain,
        )
        body = {
            "symbol": SYMBOL,
            "trade_type": "BUY" if side == 1 else "SELL",
            "quantity": quantity,
            "order_type": kind,
            **prices(limit_price=limit, stop_price=stop),
            **prices(stop_loss=lot.stop_loss, target_price=lot.target),
        }
        answer = self.compare(lambda: self.model.create(lot), "post", "/trades/create", body)
        if answer:
            self.ids.append(answer["trade_id"])

    @precondition(lambda self: self.ids)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        lot, trade_id = self.pick(pick)
        self.compare(lambda: self.model.cancel(lot), "post", f"/trades/cancel/{trade_id}", {})

    @precondition(lambda self: self.ids)
    @rule(pick=picks, by=moves)
    def move_limit(self, pick: int, by: int) -> None:
        lot, trade_id = self.pick(pick)
        if lot.type != "LIMIT" or (lot.stop_loss, lot.target) != (None, None):
            return
        limit = self.model.price + by
        body = prices(limit_price=limit)
        path = f"/trades/{USER}/{trade_id}"
        self.compare(lambda: self.model.move_limit(lot, limit), "patch", path, body)

    @precondition(lambda self: any(lot.status == "ACTIVE" for lot in self.model.lots))
    @rule(pick=picks, loss=distances, gain=distances)
    def move_levels(self, pick: int, loss: int, gain: int) -> None:
        active = [lot for lot in self.model.lots if lot.status == "ACTIVE"]
        lot = active[pick % len(active)]
        stop_loss = self.model.price - lot.side * loss
        target = self.model.price + lot.side * gain
        path = f"/trades/{USER}/{self.ids[self.model.lots.index(lot)]}"
        body = prices(stop_loss=stop_loss, target_price=target)
        self.compare(lambda: self.model.move_levels(lot, stop_loss, target), "patch", path, body)

    @precondition(lambda self: self.ids)
    @rule(pick=picks, part=picks, whole=st.booleans())
    def exit(self, pick: int, part: int, whole: bool) -> None:
        lot, trade_id = self.pick(pick)
        held = max(lot.held, 1)
        quantity = held if whole else part % held + 1
        body = {} if whole else {"quantity": quantity}
        answer = self.compare(
            lambda: self.model.exit(lot, quantity), "post", f"/trades/exit/{trade_id}", body
        )
        if answer:
            assert paise(answer["exit_price"]) == self.model.price

    @rule(path=st.lists(moves, min_size=1, max_size=4), pushed=st.booleans())
    def tick(self, path: list[int], pushed: bool = False) -> None:
        """Let several ticks arrive in one pass: a full one, or one of what was `pushed`."""
        self.clock.advance(1)
        for by in path:
            price = max(self.model.price + by, 5_000)
            arrive = self.feed.push if pushed else self.feed.tick
            arrive(SYMBOL, Decimal(price) / 100)
            self.model.tick(price)
        self.monitor.run_arrived() if pushed else self.monitor.run_once()

    @precondition(lambda self: any(lot.is_open for lot in self.model.lots))
    @rule(pick=picks, by=st.integers(-1, 1), pushed=st.booleans())
    def tick_at_a_level(self, pick: int, by: int, pushed: bool) -> None:
        """Let a tick arrive at what something waits for, or a paisa beside it."""
        waiting = [
            level
            for lot in self.model.lots
            if lot.is_open
            for level in (
                [lot.waiting_price] if lot.status == "PENDING" else [lot.stop_loss, lot.target]
            )
            if level is not None
        ]
        if waiting:
            self.tick([waiting[pick % len(waiting)] + by - self.model.price], pushed)

    @rule()
    def restart(self) -> None:
        self.start()
        # It learns which symbols have trades.
        self.monitor.run_once()

    @rule()
    def let_a_generation_of_bounds_end(self) -> None:
        self.clock.advance(SETTLED_SECONDS)
        self.tick([0])

    @invariant()
    def server_agrees(self) -> None:
        portfolio = self.get(f"/portfolio/{USER}")
        amounts = ("available_margin", "utilized_margin", "total_pnl")
        model = self.model
        assert [paise(portfolio[name]) for name in amounts] == [
            model.available,
            model.utilized,
            model.total_pnl,
        ]
        trades = self.get(f"/trades/{USER}?limit=500")["trades"]
        assert [each["trade_id"] for each in reversed(trades)] == self.ids
        for shown, lot in zip(reversed(trades), model.lots, strict=True):
            self.assert_shows(shown, lot)
        events = self.get("/notifications?limit=500")["notifications"]
        newest = [each["type"] for each in events]
        assert newest == model.events[::-1][: len(newest)]
        with self.app.app_context():
            assert find_differences(USER) == []
            assert find_narrow_bounds() == []
        assert_bounds_hold()

    def assert_shows(self, shown: dict[str, Any], lot: Lot) -> None:
        assert (shown["status"], shown["order_type"]) == (lot.status, lot.type)
        assert (paise(shown["entry_price"]), shown["open_quantity"]) == (lot.entry, lot.held)
        names = ("limit_price", "stop_price", "stop_loss", "target_price", "margin_used")
        assert [paise(shown[name]) for name in names] == [
            lot.limit,
            lot.stop,
            lot.stop_loss,
            lot.target,
            lot.margin,
        ]
        assert (shown["pnl"] is None) is (lot.exited == 0)
        assert paise(shown["pnl"] or 0.0) == lot.pnl
        if lot.status == "ACTIVE":
            assert paise(shown["unrealized_pnl"]) == lot.worth_at(self.model.price)

    def pick(self, number: int) -> tuple[Lot, str]:
        """Return a trade, in most cases an open one."""
        lots = self.model.lots
        waiting = [lot for lot in lots if lot.is_open] if number % 3 else []
        chosen = (waiting or lots)[number % len(waiting or lots)]
        return chosen, self.ids[next(i for i, lot in enumerate(lots) if lot is chosen)]

    def compare(
        self, act: Callable[[], object], method: str, path: str, body: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Let model and server do the same; return the answer, None if both refuse it."""
        refusal: Refusal | None = None
        try:
            act()
        except Refusal as error:
            refusal = error
        response = self.send(method, path, body)
        answer: dict[str, Any] = response.get_json()
        if refusal is None:
            assert response.status_code < 300, answer
            return answer
        expected = (STATUS_OF[refusal.code], refusal.code)
        assert (response.status_code, answer.get("code")) == expected, answer
        return None

    def send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.app.test_client().open(path, method=method.upper(), json=body, headers=headers)

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        response = self.app.test_client().get(path, headers=headers)
        assert response.status_code == 200, response.text
        return response.get_json()


def prices(**paise: int | None) -> dict[str, float]:
    return {name: amount / 100 for name, amount in paise.items() if amount is not None}


# ORDER_EXAMPLES=2000 searches further.
SETTINGS = search("ORDER_EXAMPLES", 8, stateful_step_count=30)


@pytest.mark.timeout(900 + 3 * examples_of("ORDER_EXAMPLES"))
def test_orders_agree_with_the_model_after_every_step(
    make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
) -> None:

    class Machine(OrderMachine):
        def __init__(self) -> None:
            super().__init__(make_app, feed, clock)

    run_state_machine_as_test(Machine, settings=SETTINGS)
