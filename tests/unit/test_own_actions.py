"""The simulated market announces corporate actions of its own, by its seed and the day."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from app.domain.corporate_actions import ActionKind, CorporateAction
from app.domain.instrument import BSE, SUFFIXES
from app.market_data.calendar import TradingCalendar
from app.market_data.feeds.own_actions import REST_DAYS, OwnActions, Plan
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import ALWAYS, exchange_hours
from app.market_data.instruments.registry import Instruments, load_instruments
from tests.support.market import ManualClock

SEED = "7"
# 1 January 2026, as a number of the model.
FIRST = 20_454
DAYS = 1_000
START = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
ONCE = timedelta(hours=6)
NOTICE = timedelta(days=2), timedelta(days=10)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return list(OwnActions(SEED, ALWAYS).plans(FIRST, FIRST + DAYS - 1))


class Market:
    """A market of the shares on both exchanges, which is asked for its actions."""

    def __init__(self, seed: str = SEED) -> None:
        shares = [each for each in load_instruments() if not each.is_index]
        on_bse = [
            replace(each, symbol=each.ticker + SUFFIXES[BSE], exchange=BSE) for each in shares
        ]
        self.clock = ManualClock(START)
        self.known: list[CorporateAction] = []
        self.feed = SimulatedFeed(
            Instruments([*shares, *on_bse]), self.clock, seed=seed, actions=self._of
        )

    def _of(self, symbol: str) -> list[CorporateAction]:
        return [each for each in self.known if each.symbol == symbol]

    def announce(self) -> list[CorporateAction]:
        new = self.feed.new_actions()
        self.known += new
        return new

    def go_on(self, days: int) -> None:
        """Announce four times a day."""
        for _ in range(4 * days):
            self.announce()
            self.clock.advance(ONCE.total_seconds())


def test_what_is_planned_follows_from_the_seed_and_the_day_alone(plans: list[Plan]) -> None:
    again = OwnActions(SEED, ALWAYS)

    days = range(FIRST + 99, FIRST - 1, -1)
    by_day = {day: list(again.plans(day, day)) for day in days}

    assert [plan for day in sorted(by_day) for plan in by_day[day]] == [
        plan for plan in plans if plan.opens_at < START + timedelta(days=99)
    ]
    assert list(OwnActions("8", ALWAYS).plans(FIRST, FIRST + 99)) != plans[:100]


def test_a_dividend_comes_every_few_days_and_a_division_every_two_weeks(plans: list[Plan]) -> None:
    counts = Counter(plan.kind for plan in plans)

    divisions = counts[ActionKind.SPLIT] + counts[ActionKind.BONUS]
    assert 2.5 < DAYS / counts[ActionKind.DIVIDEND] < 5
    assert 10 < DAYS / divisions < 20


def test_no_share_has_two_within_a_month(plans: list[Plan]) -> None:
    by_share: dict[str, list[Plan]] = {}
    for plan in plans:
        by_share.setdefault(plan.ticker, []).append(plan)

    pauses = [
        later.ex_date - earlier.ex_date
        for each in by_share.values()
        for earlier, later in pairwise(each)
    ]

    assert len(pauses) > 100
    assert min(pauses) > timedelta(days=REST_DAYS)


def test_an_ex_date_begins_with_a_session() -> None:
    calendar = TradingCalendar()

    plans = list(OwnActions(SEED, exchange_hours(calendar)).plans(FIRST, FIRST + 199))

    assert len(plans) > 20
    sessions = [calendar.session_on(plan.ex_date) for plan in plans]
    assert [session and session.open for session in sessions] == [plan.opens_at for plan in plans]


def test_each_is_announced_two_to_ten_days_ahead_once_for_both_listings() -> None:
    market = Market()

    notices: list[timedelta] = []
    for _ in range(4 * 60):
        notices += [each.opens_at - market.clock.now() for each in market.announce()]
        market.clock.advance(ONCE.total_seconds())

    assert len(notices) > 20
    assert min(notices) >= NOTICE[0]
    assert max(notices) <= NOTICE[1]
    assert len({each.id for each in market.known}) == len(market.known)
    on_nse = [each for each in market.known if each.symbol.endswith(".NS")]
    on_bse = [each for each in market.known if each.symbol.endswith(".BO")]
    renamed = [replace(each, symbol=each.symbol.replace(".BO", ".NS")) for each in on_bse]
    assert sorted(each.id for each in renamed) == sorted(each.id for each in on_nse)
    assert all(each in on_nse for each in renamed)


def test_a_market_that_was_off_for_a_year_announces_nothing_of_the_past() -> None:
    market = Market()
    market.go_on(10)
    before = len(market.known)
    market.clock.advance(timedelta(days=365).total_seconds())
    back = market.clock.now()

    market.go_on(10)

    new = market.known[before:]
    assert new
    assert all(each.opens_at - back >= NOTICE[0] for each in new)


def test_processes_announce_the_same_at_different_moments() -> None:
    first, second = Market(), Market()
    second.clock.advance(ONCE.total_seconds() / 2)

    for market in (first, second):
        market.go_on(20)

    common = {each.id for each in first.known} & {each.id for each in second.known}
    assert len(common) > 5
    assert {each for each in first.known if each.id in common} == {
        each for each in second.known if each.id in common
    }


def test_a_share_with_an_action_that_month_gets_no_other() -> None:
    market, loaded = Market(), Market()
    market.go_on(30)
    own = market.known[0]
    loaded.known.append(replace(own, ex_date=own.ex_date + timedelta(days=20)))

    loaded.go_on(15)

    assert own.id not in {each.id for each in loaded.known}


def test_a_dividend_pays_a_small_part_of_the_price() -> None:
    market = Market()
    market.go_on(40)

    paid = [each for each in market.known if each.amount is not None]

    assert len(paid) > 10
    for each in paid:
        quote = market.feed.latest(each.symbol)
        assert quote is not None
        assert each.amount is not None
        # The price has moved since, and the amount is rounded.
        assert Decimal("0.001") < each.amount / quote.price < Decimal("0.025")
