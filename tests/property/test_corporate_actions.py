"""Corporate actions: whatever the ratio, no P&L appears or vanishes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.alert import AlertCondition
from app.domain.bracket import Bracket
from app.domain.corporate_actions import (
    ActionKind,
    Basis,
    CorporateAction,
    Ratio,
    adjust_bracket,
    adjust_condition,
    divide,
)
from app.domain.money import is_whole_paise
from app.domain.quote import Quote, Source
from app.domain.side import TradeType

BEFORE = datetime(2026, 11, 23, 4, tzinfo=UTC)
OPEN = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
TICK = Decimal("0.05")

ticks = st.integers(2_000, 200_000).map(lambda count: count * TICK)
kinds = st.sampled_from([ActionKind.SPLIT, ActionKind.BONUS])
numbers = st.integers(1, 20)


def action(kind: ActionKind, new: int, old: int) -> CorporateAction:
    return CorporateAction("TCS.NS", date(2026, 11, 25), kind, OPEN, OPEN, Ratio(new, old))


@given(st.sampled_from(TradeType), ticks, ticks, st.integers(1, 100_000), kinds, numbers, numbers)
def test_the_pnl_at_the_last_close_is_the_same_before_and_after(
    side: TradeType,
    entry: Decimal,
    close: Decimal,
    quantity: int,
    kind: ActionKind,
    new: int,
    old: int,
) -> None:
    bracket = Bracket.open(side, quantity, Quote("TCS.NS", entry, Source.YAHOO, BEFORE))
    applied = action(kind, new, old)
    basis = Basis(TICK, Decimal(0), BEFORE, close=close)

    adjusted = adjust_bracket(bracket, applied, basis)

    after, pnl = adjusted.terms, adjusted.adjustment.pnl
    assert isinstance(after, Bracket)
    assert is_whole_paise(pnl)
    # Half a paisa at most is rounded: the price of a fraction of a unit.
    price = divide(close, applied.factor)
    assert abs(after.pnl_at(price) + pnl - bracket.pnl_at(close)) <= Decimal("0.005001")
    assert after.open_quantity >= 1


@given(st.sampled_from(TradeType), ticks, kinds, numbers, numbers)
def test_no_level_comes_nearer_to_the_market(
    side: TradeType, entry: Decimal, kind: ActionKind, new: int, old: int
) -> None:
    quote = Quote("TCS.NS", entry, Source.YAHOO, BEFORE)
    away = side.sign * 20 * TICK
    bracket = Bracket.open(side, 10, quote, stop_loss=entry - away, target_price=entry + away)
    applied = action(kind, new, old)

    after = adjust_bracket(bracket, applied, Basis(TICK, Decimal(0), BEFORE)).terms

    assert after.stop_loss is not None
    assert after.target_price is not None
    assert after.stop_loss % TICK == after.target_price % TICK == 0
    stop, target = divide(entry - away, applied.factor), divide(entry + away, applied.factor)
    assert (stop - after.stop_loss) * side.sign >= 0 or after.stop_loss == TICK
    assert (after.target_price - target) * side.sign >= 0 or after.target_price == TICK


@given(ticks, kinds, numbers, numbers)
def test_an_alert_does_not_fire_by_its_rounding(
    price: Decimal, kind: ActionKind, new: int, old: int
) -> None:
    condition = AlertCondition(price + TICK, price - TICK, Source.YAHOO, BEFORE)
    applied = action(kind, new, old)

    after = adjust_condition(condition, applied, TICK)

    assert after.above is not None
    assert after.below is not None
    assert after.above >= divide(price + TICK, applied.factor)
    assert after.below <= divide(price - TICK, applied.factor) or after.below == TICK
