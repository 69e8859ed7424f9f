"""The corporate actions that the simulated market makes of its own, of the shares of its data file.

Which share has which action on which day depends on the seed and the hours alone. Its terms also
depend on the price when it is announced. Days count from 1 January 1970 in India.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from app.domain.candle import IST
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio, factor_of
from app.domain.money import to_paisa
from app.market_data.feeds.random_numbers import RandomNumbers
from app.market_data.feeds.simulated_hours import DAY_SECONDS, SimulatedHours, seconds_of, time_at
from app.market_data.feeds.simulated_shares import listed_shares

# How often a session has one; a few are dropped, because their share had one lately.
DIVIDEND_CHANCE, DIVISION_CHANCE = 0.4, 0.1
# How long a share has no second one, in days.
REST_DAYS = 31
# How long before its ex-date opens an action is announced.
LEAST_NOTICE, MOST_NOTICE = timedelta(days=2), timedelta(days=10)
# What a dividend pays, as a fraction of the price.
LEAST_DIVIDEND, MOST_DIVIDEND = 0.002, 0.015
# In rupees: dividends from these amounts on are multiples of these steps.
STEPS = ((Decimal(10), Decimal("0.5")), (Decimal(1), Decimal("0.1")), (Decimal(0), Decimal("0.05")))
DIVISIONS = (
    (ActionKind.BONUS, Ratio(1, 1)),
    (ActionKind.BONUS, Ratio(1, 2)),
    (ActionKind.SPLIT, Ratio(2, 1)),
    (ActionKind.SPLIT, Ratio(5, 1)),
)
# The least price after an action, in rupees: companies do not divide low prices.
LEAST_PRICE = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """An action of all listings of a share.

    It is announced at `announced_at`; the session of its ex-date begins at `opens_at`. `yields` is
    what a dividend pays, as a fraction of the price at the announcement.
    """

    ticker: str
    kind: ActionKind
    announced_at: datetime
    opens_at: datetime
    ratio: Ratio | None = None
    yields: float = 0.0

    @property
    def ex_date(self) -> date:
        return self.opens_at.astimezone(IST).date()

    def action(self, symbol: str, price: Decimal) -> CorporateAction:
        """Return the action of a listing; `price` is that of the announcement, in rupees."""
        return CorporateAction(
            symbol=symbol,
            ex_date=self.ex_date,
            kind=self.kind,
            # This market has no pre-open session.
            pre_open=self.opens_at,
            opens_at=self.opens_at,
            ratio=self.ratio,
            amount=self._amount(price) if self.kind is ActionKind.DIVIDEND else None,
        )

    def _amount(self, price: Decimal) -> Decimal:
        exact = price * Decimal(self.yields)
        step = next(step for least, step in STEPS if exact >= least)
        return to_paisa(max(round(exact / step), 1) * step)

    def suits(self, price: Decimal) -> bool:
        """Return whether a share of this price (rupees) is not too cheap for it."""
        return price >= LEAST_PRICE * factor_of(self.kind, self.ratio)


class OwnActions:
    def __init__(self, seed: str, hours: SimulatedHours) -> None:
        self._draw = RandomNumbers(seed)
        self._hours = hours
        self._tickers = sorted(listed_shares())

    def announced(self, now: datetime) -> list[Plan]:
        """Return what is announced at a time: of days that are still LEAST_NOTICE ahead."""
        today = math.floor(seconds_of(now)) // DAY_SECONDS
        return [
            plan
            for plan in self.plans(today, today + MOST_NOTICE.days + 1)
            if plan.announced_at <= now <= plan.opens_at - LEAST_NOTICE
        ]

    def plans(self, first: int, last: int) -> Iterator[Plan]:
        """Yield the actions with an ex-date from day `first` to `last`."""
        drawn = {day: self._drawn(day) for day in range(first - REST_DAYS, last + 1)}
        for day in range(first, last + 1):
            # What was drawn counts, even if it was dropped: no day depends on all before it.
            recent = {plan.ticker for past in range(day - REST_DAYS, day) for plan in drawn[past]}
            for plan in drawn[day]:
                if plan.ticker not in recent:
                    recent.add(plan.ticker)
                    yield plan

    def _drawn(self, day: int) -> list[Plan]:
        hours = self._hours.of_day(day)
        if hours is None:
            return []
        words = self._draw.words("actions", day, 8)
        divides, share, notice, terms, pays, payer, earlier, yields = (
            int(word >> 11) * 2.0**-53 for word in words.tolist()
        )
        opens_at = time_at(hours.opens)
        plans = []
        if divides < DIVISION_CHANCE:
            kind, ratio = DIVISIONS[int(terms * len(DIVISIONS))]
            plans.append(
                Plan(self._ticker(share), kind, opens_at - _notice(notice), opens_at, ratio)
            )
        if pays < DIVIDEND_CHANCE:
            part = LEAST_DIVIDEND + (MOST_DIVIDEND - LEAST_DIVIDEND) * yields
            announced_at = opens_at - _notice(earlier)
            plans.append(
                Plan(self._ticker(payer), ActionKind.DIVIDEND, announced_at, opens_at, yields=part)
            )
        return plans

    def _ticker(self, draw: float) -> str:
        return self._tickers[int(draw * len(self._tickers))]


def _notice(draw: float) -> timedelta:
    """Return a time of whole days, at least one more than LEAST_NOTICE, by a number from 0 to 1."""
    least = LEAST_NOTICE.days + 1
    return timedelta(days=least + int(draw * (MOST_NOTICE.days + 1 - least)))
