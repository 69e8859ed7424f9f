"""A stateful test: the real server and a model of it agree after any sequence of events.

The machine drives the real routes, services and monitor on a real database. After each step it
compares all documents with `portfolio_model`, which shares no code with the application.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
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

from app.domain.quote import Source
from app.portfolio.reconciliation import find_differences
from tests.property.portfolio_database import (
    Snapshot,
    assert_agreement,
    assert_invariants,
    clear,
    paise,
)
from tests.property.portfolio_driver import (
    ACCOUNTS,
    PRICES,
    PortfolioDriver,
    Request,
    believable,
    moved,
    portfolio_of,
    rupees,
)
from tests.property.portfolio_model import Order, user_of
from tests.property.portfolio_statistics import assert_statistics
from tests.property.searching import examples_of, search
from tests.support.market import ManualClock, ScriptedFeed

users = st.sampled_from(list(ACCOUNTS))
symbols = st.sampled_from(list(PRICES))
sides = st.sampled_from([1, -1])
# Few, so that other requests reuse them sometimes.
keys = st.sampled_from([None, None, "k1", "k2", "k3", "k4"])
order_ids = st.sampled_from([None, None, "o1", "o2"])
# Moves in 1/10,000 of the price; below the 20 % from which a quote needs confirmation.
moves = st.integers(-400, 400) | st.integers(-1_900, 1_900)
gaps = st.integers(-40, 40) | moves
distances = st.integers(1, 300) | st.integers(1, 1_500)
amounts = st.integers(1, 50_000) | st.integers(1, 900_000)
quantities = st.integers(1, 9) | st.integers(1, 400)
picks = st.integers(0, 10_000)


# More than any user can afford.
UNLIKE_ANY = Order("^NSEI", 1, 9_000_000)


class PortfolioMachine(PortfolioDriver, RuleBasedStateMachine):
    def __init__(
        self, make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
    ) -> None:
        RuleBasedStateMachine.__init__(self)
        PortfolioDriver.__init__(self, make_app, feed, clock)

    def teardown(self) -> None:
        # The next application must not start with the last prices of this example.
        clear()

    @initialize(
        orders=st.lists(
            st.tuples(users, symbols, sides, st.integers(1, 9), distances, distances),
            min_size=8,
            max_size=14,
        )
    )
    def begin(self, orders: list[tuple[str, str, int, int, int, int]]) -> None:
        self.open_accounts()
        for number, (user, symbol, side, quantity, stop, goal) in enumerate(orders):
            name = f"begin-{number}" if number < 3 else None
            self.open_trade_of(user, symbol, side, quantity, stop, goal, client_order_id=name)

    # Requests of users.

    @rule(
        user=users,
        symbol=symbols,
        side=sides,
        quantity=quantities,
        stop=st.none() | distances,
        goal=st.none() | distances,
        key=keys,
        order_id=order_ids,
    )
    def open_trade(
        self,
        user: str,
        symbol: str,
        side: int,
        quantity: int,
        stop: int | None,
        goal: int | None,
        key: str | None,
        order_id: str | None,
    ) -> None:
        self.open_trade_of(user, symbol, side, quantity, stop, goal, key, order_id)

    @rule(
        user=users, symbol=symbols, side=sides, distance=st.integers(0, 300), of_stop=st.booleans()
    )
    def open_trade_with_a_level_on_the_wrong_side(
        self, user: str, symbol: str, side: int, distance: int, of_stop: bool
    ) -> None:
        price = self.model.market.prices[symbol]
        wrong = max(price + side * (distance if of_stop else -distance), 1)
        order = Order(symbol, side, 1)
        order = replace(order, stop=wrong) if of_stop else replace(order, target=wrong)
        self.request(Request(user, order=order))

    @rule(user=users, symbol=symbols, side=sides, over=st.integers(0, 1))
    def open_trade_for_all_the_margin_there_is(
        self, user: str, symbol: str, side: int, over: int
    ) -> None:
        affordable = self.model.most_affordable(user, symbol) + over
        if affordable > 0:
            self.request(Request(user, order=Order(symbol, side, affordable)))

    @precondition(lambda self: self.trade_ids)
    @rule(user=users, pick=picks, key=keys)
    def exit_trade(self, user: str, pick: int, key: str | None) -> None:
        """Exit any trade: often an active one, sometimes a closed one or another user's."""
        lots = list(self.model.lots())
        own_active = self.model.accounts[user].active
        lot = (
            (own_active or lots)[pick % len(own_active or lots)]
            if pick % 3
            else lots[pick % len(lots)]
        )
        self.request(Request(user, exits=(lot.owner, lot.number), key=key))

    @rule(user=users, key=keys)
    def exit_all(self, user: str, key: str | None) -> None:
        self.request(Request(user, key=key))

    @rule(user=users, amount=amounts, key=keys)
    def deposit(self, user: str, amount: int, key: str | None) -> None:
        self.request(Request(user, moves=amount, key=key))

    @rule(user=users, amount=amounts, key=keys)
    def withdraw(self, user: str, amount: int, key: str | None) -> None:
        self.request(Request(user, moves=-amount, key=key))

    @rule(user=users, over=st.integers(0, 1))
    def withdraw_all_that_can_be_withdrawn(self, user: str, over: int) -> None:
        available = self.model.accounts[user].available + min(self.model.unrealized(user), 0)
        if available + over > 0:
            self.request(Request(user, moves=-available - over))

    @rule(user=users, margin=st.sampled_from([0, 0, 800_000, 100_003]), key=keys)
    def reset(self, user: str, margin: int, key: str | None) -> None:
        self.request(Request(user, resets=margin, key=key))

    @precondition(lambda self: self.requests)
    @rule(pick=picks)
    def send_a_request_again(self, pick: int) -> None:
        self.request(self.requests[pick % len(self.requests)])

    @rule(pick=picks, key=keys)
    def send_a_named_order_again_under_another_key(self, pick: int, key: str | None) -> None:
        """The client_order_id makes it a retry, and the key is stored for it."""
        orders = self.named_orders()
        self.request(replace(orders[pick % len(orders)], key=key))
        self.request(Request(orders[pick % len(orders)].user, order=UNLIKE_ANY, key=key))

    @precondition(lambda self: self.first_answers)
    @rule(pick=picks)
    def use_a_key_for_another_request(self, pick: int) -> None:
        recent = list(self.first_answers)[-3:]
        user, key = recent[pick % len(recent)]
        self.request(Request(user, order=UNLIKE_ANY, key=key))

    @rule(user=users, symbol=symbols, exits=st.booleans(), pick=picks)
    def send_a_request_twice_at_once(self, user: str, symbol: str, exits: bool, pick: int) -> None:
        key = f"twice-{len(self.requests)}"
        active = self.model.accounts[user].active
        request = Request(user, order=Order(symbol, 1, 1 + pick % 5), key=key)
        if exits and active:
            lot = active[pick % len(active)]
            request = Request(user, exits=(lot.owner, lot.number), key=key)
        elif exits:
            request = Request(user, key=key)
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(self.send, [request, request])
        assert one.status_code == other.status_code
        if one.status_code < 300:
            assert one.data == other.data
        self.compare(request, one)

    # Events of the market.

    @rule(ticks=st.lists(st.tuples(symbols, moves), min_size=3, max_size=8))
    def move(self, ticks: list[tuple[str, int]]) -> None:
        prices = dict(self.model.market.prices)
        path = []
        for symbol, by in ticks:
            prices[symbol] = believable(prices[symbol], moved(prices[symbol], by))
            path.append((symbol, prices[symbol]))
        self.pass_time(path)

    @precondition(lambda self: any(self.levels()))
    @rule(pick=picks, by=st.integers(-1, 1))
    def move_to_a_level(self, pick: int, by: int) -> None:
        """Move to a paisa before a stop or target, exactly to it, or a paisa beyond."""
        levels = list(self.levels())
        symbol, level = levels[pick % len(levels)]
        self.pass_time([(symbol, believable(self.model.market.prices[symbol], level + by))])

    @rule(real=st.booleans())
    def change_the_source(self, real: bool) -> None:
        self.feed.source = Source.ANGEL_ONE if real else Source.MOCK
        self.model.market.real = real
        self.pass_time([])

    @rule(symbol=symbols, factor=st.sampled_from([3, Fraction(1, 3)]))
    def make_an_implausible_tick(self, symbol: str, factor: Fraction) -> None:
        """A single implausible tick closes nothing, and no trade opens at it."""
        self.pass_time([])
        self.clock.advance(1)
        good = self.model.market.prices[symbol]
        self.feed.tick(symbol, rupees(max(int(good * factor), 1)))
        assert self.monitor.run_once().closed == 0
        self.request(Request("asha", order=Order(symbol, 1, 1)))
        self.pass_time([])

    @rule(symbol=symbols, factor=st.sampled_from([Fraction(7, 5), Fraction(3, 5)]))
    def crash(self, symbol: str, factor: Fraction) -> None:
        """The third tick of an implausibly large move confirms it."""
        self.pass_time([])
        level = int(self.model.market.prices[symbol] * factor)
        for closed_before, price in ((True, level), (True, level + 1), (False, level)):
            self.clock.advance(1)
            self.feed.tick(symbol, rupees(price))
            closed = self.monitor.run_once().closed
            assert closed == (0 if closed_before else self.model.tick(symbol, price))

    # Events of the server.

    @rule()
    def restart(self) -> None:
        self.start()

    @rule(candles=st.lists(st.tuples(symbols, gaps, distances, distances), min_size=2, max_size=5))
    def stop_for_a_while(self, candles: list[tuple[str, int, int, int]]) -> None:
        """Prices move while the server is down: it settles the gap by candles."""
        self.pass_time([])
        missed = []
        for symbol, by, up, down in candles:
            opened = moved(self.model.market.prices[symbol], by)
            prices = [opened, moved(opened, up), moved(opened, -down), moved(opened, up // 2)]
            missed.append((symbol, prices))
            self.clock.advance(60)
            self.feed.record(symbol, self.clock.now(), *map(rupees, prices))
            # The next candle of the same symbol begins where this one ended.
            self.model.market.prices[symbol] = prices[-1]
        for symbol, price in self.model.market.prices.items():
            self.feed.set(symbol, rupees(price))
        self.start()
        assert self.monitor.settle_gap() == self.model.gap(missed)

    # Responses to users.

    @rule(user=users, limit=st.integers(1, 5), status=st.sampled_from([None, "ACTIVE", "CLOSED"]))
    def look(self, user: str, limit: int, status: str | None) -> None:
        self.look_at_the_portfolio(user)
        self.list_trades(user, limit, status)
        self.list_activities(user, limit)
        self.look_at_the_statistics(user)
        with self.app.app_context():
            assert find_differences(user_of(user)) == []

    def look_at_the_portfolio(self, user: str) -> None:
        account = self.model.accounts[user]
        own = {"portfolio": portfolio_of(user)}
        shown = self.get(user, f"/portfolio/{user_of(user)}", own)
        assert paise(shown["available_margin"]) == account.available
        assert paise(shown["utilized_margin"]) == account.utilized
        assert paise(shown["total_pnl"]) == account.total_pnl
        performance = self.get(user, f"/trades/performance/{user_of(user)}", own)
        assert paise(performance["active_pnl"]) == self.model.unrealized(user)
        assert paise(performance["total_pnl"]) == account.total_pnl
        assert paise(performance["margin_utilization_abs"]) == account.utilized
        assert paise(performance["available_margin"]) == account.available
        assert performance["active_trades"] == len(account.active)
        whole = account.available + account.utilized
        assert paise(performance["equity"]) == self.model.equity(user)
        share = Fraction(100 * account.utilized, whole) if whole > 0 else Fraction(0)
        if account.utilized and (whole <= 0 or self.model.equity(user) <= 0):
            share = max(share, Fraction(100))
        assert performance["margin_utilization_pct"] == pytest.approx(float(share), abs=0.00501)

    def list_trades(self, user: str, limit: int, status: str | None) -> None:
        account = self.model.accounts[user]
        # Those of the season, or of the one before it if a status is chosen.
        ended = account.seasons[-1] if status and account.seasons else None
        chosen = account.lots[ended.first : ended.end] if ended else account.lots[account.first :]
        lots = [lot for lot in chosen if status is None or lot.status == status]
        query: dict[str, Any] = {"limit": limit, "portfolio": portfolio_of(user)}
        query |= {"status": status} if status else {}
        query |= {"season": ended.number} if ended else {}
        seen: list[dict[str, Any]] = []
        while True:
            page = self.get(user, f"/trades/{user_of(user)}", query)
            seen += page["trades"]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert [each["trade_id"] for each in seen] == [
            self.trade_ids[user, lot.number] for lot in reversed(lots)
        ]
        for shown, lot in zip(seen, reversed(lots), strict=True):
            self.assert_shows(shown, lot)
            unrealized = None
            if lot.status == "ACTIVE":
                unrealized = lot.worth_at(self.model.market.prices[lot.order.symbol])
            assert paise(shown["unrealized_pnl"]) == unrealized

    def look_at_the_statistics(self, user: str) -> None:
        """Of the season, and of the one before it."""
        account = self.model.accounts[user]
        path, own = f"/trades/statistics/{user_of(user)}", {"portfolio": portfolio_of(user)}
        lots = account.lots[account.first :]
        assert_statistics(self.get(user, path, own), lots, account.flows, account.initial)
        if account.seasons:
            ended = account.seasons[-1]
            shown = self.get(user, path, {**own, "season": ended.number})
            lots = account.lots[ended.first : ended.end]
            assert_statistics(shown, lots, ended.flows, ended.initial)

    def list_activities(self, user: str, limit: int) -> None:
        """Each balance is that before it and its amount: together they are the whole season."""
        account = self.model.accounts[user]
        query: dict[str, Any] = {"limit": limit, "portfolio": portfolio_of(user)}
        lines: list[tuple[int, int]] = []
        while True:
            page = self.get(user, f"/portfolio/{user_of(user)}/activities", query)
            lines += [
                (paise(line["balance"]) or 0, paise(line["amount"]) or 0)
                for line in page["activities"]
            ]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert sorted(amount for _, amount in lines) == sorted(account.ledger)
        assert lines[0][0] == account.balance
        before = [balance - amount for balance, amount in lines]
        assert before[:-1] == [balance for balance, _ in lines[1:]]

    @invariant()
    def server_agrees(self) -> None:
        for account, found in Snapshot.of_each(ACCOUNTS).items():
            assert_invariants(found)
            assert_agreement(found, self.model.accounts[account])
            # Listeners received each event exactly once.
            user = user_of(account)
            published = sorted(each.seq for each in self.published if each.user_id == user)
            assert published == list(range(1, len(found.events) + 1))


# BOOKS_EXAMPLES=5000 searches further.
SETTINGS = search("BOOKS_EXAMPLES", 30, stateful_step_count=35)


@pytest.mark.timeout(900 + 3 * examples_of("BOOKS_EXAMPLES"))
def test_the_server_agrees_with_the_model_after_every_step(
    make_app: Callable[..., Flask],
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:

    class Machine(PortfolioMachine):
        def __init__(self) -> None:
            super().__init__(make_app, feed, clock)

    run_state_machine_as_test(Machine, settings=SETTINGS)
