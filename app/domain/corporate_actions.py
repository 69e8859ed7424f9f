"""Corporate actions: what a split, a bonus, a dividend or a reorganization changes about trades.

A split or a bonus multiplies the units and divides the prices by the same factor, from the open of
its ex-date on. A dividend is credited to what is long and debited to what is short. Money stays
exact to the paisa: what the rounding of an entry price or of the units leaves over is booked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from fractions import Fraction

from app.domain.alert import AlertCondition
from app.domain.bracket import Bracket
from app.domain.entry import EntryOrder, MarginBasis
from app.domain.money import PAISA, ZERO, to_paisa
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trailing import Start, TrailingStop, TrailingTerms, Unit

# The resolution of stored times.
JUST_BEFORE = timedelta(milliseconds=1)


class ActionKind(StrEnum):
    """In the order in which actions of one ex-date are applied."""

    DIVIDEND = "dividend"
    SPLIT = "split"
    BONUS = "bonus"
    RIGHTS = "rights"
    MERGER = "merger"
    DEMERGER = "demerger"

    @property
    def changes_units(self) -> bool:
        """Whether units are multiplied and prices divided."""
        return self in (ActionKind.SPLIT, ActionKind.BONUS)

    @property
    def reorganizes(self) -> bool:
        """Whether its effect depends on a choice, or on other shares: trades are only flagged."""
        return self in (ActionKind.RIGHTS, ActionKind.MERGER, ActionKind.DEMERGER)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of a split `new` units for `old` ones, of a bonus `new` units in addition to `old` ones."""

    new: int
    old: int

    def __str__(self) -> str:
        return f"{self.new}:{self.old}"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """One action of a share. `amount` is the rupees that a dividend pays for each unit.

    `opens_at` is the open of the session of its ex-date, UTC. From `pre_open` to then, prices are
    those of the pre-open session, which may be of either units.
    """

    symbol: str
    ex_date: date
    kind: ActionKind
    pre_open: datetime
    opens_at: datetime
    ratio: Ratio | None = None
    amount: Decimal | None = None

    @property
    def id(self) -> str:
        return f"{self.symbol} {self.ex_date.isoformat()} {self.kind.value}"

    @property
    def factor(self) -> Fraction:
        """The units after it for each unit before."""
        return factor_of(self.kind, self.ratio)

    @property
    def name(self) -> str:
        """The action in words: 1:1 bonus."""
        if self.ratio and self.kind.changes_units:
            return f"{self.ratio} {self.kind.value}"
        return {ActionKind.RIGHTS: "rights issue"}.get(self.kind, self.kind.value)


def factor_of(kind: ActionKind, ratio: Ratio | None) -> Fraction:
    """Return the units after an action for each unit before."""
    if ratio is None or not kind.changes_units:
        return Fraction(1)
    added = ratio.old if kind is ActionKind.BONUS else 0
    return Fraction(ratio.new + added, ratio.old)


def factor_of_all(actions: Iterable[CorporateAction]) -> Fraction:
    """Return the units after several actions for each unit before them."""
    return math.prod((action.factor for action in actions), start=Fraction(1))


def in_order(actions: Iterable[CorporateAction]) -> list[CorporateAction]:
    """Return actions in the order in which they are applied."""
    kinds = list(ActionKind)
    return sorted(actions, key=lambda action: (action.opens_at, kinds.index(action.kind)))


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What one action changed about one trade. Amounts and prices are rupees.

    The quantities are the units held, or ordered by an entry that waits, before and after. `pnl` is
    what was booked, and `close` the last price before the ex-date, at which the fraction of a unit
    was paid. `exits` is the number of exits before it, `margin` what the trade blocked. `time` is
    when it was decided, UTC.
    """

    action: str
    kind: ActionKind
    ex_date: date
    quantity_before: int
    quantity: int
    entry_price_before: Decimal | None
    entry_price: Decimal | None
    pnl: Decimal
    exits: int
    margin: Decimal
    time: datetime
    ratio: Ratio | None = None
    amount: Decimal | None = None
    close: Decimal | None = None

    @property
    def is_of_bracket(self) -> bool:
        """Whether the trade had been entered before it."""
        return self.entry_price is not None

    @property
    def factor(self) -> Fraction:
        """The units after it for each unit before."""
        return factor_of(self.kind, self.ratio)


def factor_after(adjustments: Iterable[Adjustment], number: int) -> Fraction:
    """Return the units of now for each unit of the exit with this number, from 0."""
    later = (each for each in adjustments if each.is_of_bracket and each.exits > number)
    return math.prod((each.factor for each in later), start=Fraction(1))


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The terms of a trade after an action."""

    terms: Bracket | EntryOrder
    adjustment: Adjustment


@dataclass(frozen=True, slots=True)
class Basis:
    """What the effect of an action on a trade depends on, besides its terms.

    `close` is the last price before the ex-date, None if unknown, `best` the best price that the
    trailing stop has followed. `exits`, `margin` and `time` are as in Adjustment; `tick_size` is
    rupees.
    """

    tick_size: Decimal
    margin: Decimal
    time: datetime
    exits: int = 0
    close: Decimal | None = None
    best: Quote | None = None


def adjust_bracket(bracket: Bracket, action: CorporateAction, basis: Basis) -> Adjusted:
    """Return what an action changes about a trade that was entered before its ex-date."""
    if action.kind.changes_units:
        after = _divided_bracket(bracket, action, basis)
        pnl = _rest(bracket, after, action, basis.close)
    else:
        after, pnl = bracket, ZERO
        if action.amount is not None:
            pnl = action.amount * bracket.open_quantity * bracket.trade_type.sign + ZERO
    adjustment = Adjustment(
        action=action.id,
        kind=action.kind,
        ex_date=action.ex_date,
        quantity_before=bracket.open_quantity,
        quantity=after.open_quantity,
        entry_price_before=bracket.entry_price,
        entry_price=after.entry_price,
        pnl=to_paisa(pnl),
        exits=basis.exits,
        margin=basis.margin,
        time=basis.time,
        ratio=action.ratio,
        amount=action.amount,
        close=basis.close,
    )
    return Adjusted(after, adjustment)


def adjust_order(order: EntryOrder, action: CorporateAction, basis: Basis) -> Adjusted:
    """Return what an action that changes units changes about an entry that waits."""
    buying, factor, tick = order.trade_type is TradeType.BUY, action.factor, basis.tick_size
    after = replace(
        order,
        quantity=_units(order.quantity, factor),
        # A buyer's limit rests below the market, its stop above.
        limit_price=_rounded(order.limit_price, factor, tick, up=not buying),
        stop_price=_rounded(order.stop_price, factor, tick, up=buying),
        stop_loss=_rounded(order.stop_loss, factor, tick, up=not buying),
        target_price=_rounded(order.target_price, factor, tick, up=buying),
        trailing=_divided_terms(order.trailing, factor),
        placed=replace(
            order.placed,
            price=max(to_paisa(divide(order.placed.price, factor)), PAISA),
            timestamp=action.opens_at - JUST_BEFORE,
            posting=None,
        ),
        margin_basis=order.margin_basis or MarginBasis(order.margin_price, order.quantity),
    )
    adjustment = Adjustment(
        action=action.id,
        kind=action.kind,
        ex_date=action.ex_date,
        quantity_before=order.quantity,
        quantity=after.quantity,
        entry_price_before=None,
        entry_price=None,
        pnl=ZERO,
        exits=0,
        margin=basis.margin,
        time=basis.time,
        ratio=action.ratio,
    )
    return Adjusted(after, adjustment)


def adjust_condition(
    condition: AlertCondition, action: CorporateAction, tick_size: Decimal
) -> AlertCondition:
    """Return the levels of an alert after an action that changes units."""
    return replace(
        condition,
        above=_rounded(condition.above, action.factor, tick_size, up=True),
        below=_rounded(condition.below, action.factor, tick_size, up=False),
        timestamp=action.opens_at - JUST_BEFORE,
        posting=None,
    )


def divide(price: Decimal, factor: Fraction) -> Decimal:
    """Return a price of the units before an action as one of the units after it, unrounded."""
    return price * factor.denominator / factor.numerator


def _divided_bracket(bracket: Bracket, action: CorporateAction, basis: Basis) -> Bracket:
    buying, factor, tick = bracket.trade_type is TradeType.BUY, action.factor, basis.tick_size
    boundary = action.opens_at - JUST_BEFORE
    entry_price = max(to_paisa(divide(bracket.entry_price, factor)), PAISA)
    adjusted = replace(
        bracket,
        quantity=bracket.exited + _units(bracket.open_quantity, factor),
        entry_price=entry_price,
        exit_queued=bracket.exit_queued
        and replace(bracket.exit_queued, quantity=_units(bracket.exit_queued.quantity, factor)),
    )
    since = bracket.levels_since
    if since is not None and since.timestamp >= action.opens_at:
        # The user has set them in the new units already.
        return adjusted
    origin = since or Quote(action.symbol, entry_price, bracket.entry_source, boundary)
    return replace(
        adjusted,
        stop_loss=_rounded(bracket.stop_loss, factor, tick, up=not buying),
        target_price=_rounded(bracket.target_price, factor, tick, up=buying),
        levels_since=replace(origin, price=entry_price, timestamp=boundary, posting=None),
        trailing=_divided_terms(bracket.trailing, factor),
        trailing_start=_divided_start(bracket.trailing_stop, basis.best, factor, boundary),
    )


def _rest(
    before: Bracket, after: Bracket, action: CorporateAction, close: Decimal | None
) -> Decimal:
    """Return the rupees that keep the P&L at the last close what it was.

    That is the price of the fraction of a unit, and what the rounding of the entry price changes.
    """
    fraction = before.open_quantity * action.factor - after.open_quantity
    price = divide(before.entry_price if close is None else close, action.factor)
    cash = to_paisa(price * fraction.numerator / fraction.denominator)
    cost_before = before.entry_price * before.open_quantity
    cost_after = after.entry_price * after.open_quantity
    return (cash + cost_after - cost_before) * before.trade_type.sign + ZERO


def _units(quantity: int, factor: Fraction) -> int:
    # What is less than a unit after a consolidation becomes one, whose rest is paid for.
    return max(math.floor(quantity * factor), 1)


def _divided_terms(terms: TrailingTerms | None, factor: Fraction) -> TrailingTerms | None:
    if terms is None:
        return None
    tick = terms.tick_size
    step = _rounded(terms.step, factor, tick, up=True) or terms.step
    distance = terms.distance
    if terms.unit is Unit.RUPEES:
        distance = _rounded(terms.distance, factor, tick, up=True) or terms.distance
    return replace(terms, distance=distance, step=step)


def _divided_start(
    stop: TrailingStop | None, best: Quote | None, factor: Fraction, boundary: datetime
) -> Start | None:
    """Return a start at what the stop has followed so far: prices from the boundary on count."""
    if stop is None:
        return None
    followed = stop.terms.followed(stop.trade_type, stop.start.price, best.price if best else None)
    up = stop.trade_type is TradeType.SELL
    price = _rounded(followed, factor, PAISA, up=up) or PAISA
    return Start(price, stop.start.source, boundary, None)


def _rounded(
    price: Decimal | None, factor: Fraction, tick_size: Decimal, *, up: bool
) -> Decimal | None:
    """Return a divided price in whole ticks, at least one."""
    if price is None:
        return None
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    ticks = (divide(price, factor) / tick_size).to_integral_value(rounding)
    return max(ticks, Decimal(1)) * tick_size
