"""The life of a trade: the table of legal transitions, and what quotes and candles cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

import pytest

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.entry import EntryOrder
from app.domain.fill import Exit, ExitReason
from app.domain.side import TradeType
from app.domain.trade import (
    STATUS_AFTER,
    SUCCESSORS,
    IllegalTransition,
    TradeStatus,
    Transition,
    exit_by_user,
    on_candle,
    on_quote,
)
from app.domain.triggers import SettledFrom
from tests.support.quotes import NOON, bracket, quote


@dataclass
class Trade:
    status: TradeStatus
    bracket: Bracket
    order: EntryOrder | None = None


def trade(status: TradeStatus = TradeStatus.ACTIVE) -> Trade:
    return Trade(status, bracket(TradeType.BUY, 2, 100, stop_loss=90, target_price=120))


@pytest.mark.parametrize(("before", "after"), list(product(TradeStatus, TradeStatus)))
def test_only_the_changes_of_the_table_are_transitions(
    before: TradeStatus, after: TradeStatus
) -> None:
    exit = trade().bracket.exit_at(quote(90), ExitReason.STOP_LOSS)
    if after in SUCCESSORS.get(before, ()):
        assert Transition(before, after, exit).after is after
    else:
        with pytest.raises(IllegalTransition, match=f"is {before} cannot become {after}"):
            Transition(before, after, exit)


def test_only_pending_and_active_trades_are_open() -> None:
    open_statuses = {status for status in TradeStatus if status.is_open}

    assert open_statuses == {TradeStatus.PENDING, TradeStatus.ACTIVE}


@pytest.mark.parametrize("reason", list(ExitReason))
def test_every_exit_of_an_active_trade_is_legal(reason: ExitReason) -> None:
    assert STATUS_AFTER[reason] in SUCCESSORS[TradeStatus.ACTIVE]


def test_a_quote_at_the_stop_loss_closes_an_active_trade() -> None:
    transition = on_quote(trade(), quote(90), SettledFrom.QUOTE)

    assert transition is not None
    assert (transition.before, transition.after) == (TradeStatus.ACTIVE, TradeStatus.STOP_LOSS_HIT)
    assert isinstance(transition.change, Exit)
    assert transition.change.settled_from is SettledFrom.QUOTE
    assert on_quote(trade(), quote(91)) is None


def test_a_candle_that_reaches_the_target_closes_an_active_trade() -> None:
    tick = quote(119, timestamp=NOON + timedelta(minutes=1))
    candle = replace(Candle.of([tick]), high=quote(121).price)

    transition = on_candle(trade(), candle)

    assert transition is not None
    assert transition.after is TradeStatus.TARGET_HIT
    assert isinstance(transition.change, Exit)
    assert transition.change.settled_from is SettledFrom.GAP


@pytest.mark.parametrize("status", [status for status in TradeStatus if status != "ACTIVE"])
def test_prices_change_no_trade_that_is_not_active(status: TradeStatus) -> None:
    assert on_quote(trade(status), quote(90)) is None
    assert on_candle(trade(status), Candle.of([quote(90)])) is None


def test_a_closed_trade_cannot_be_exited_again() -> None:
    with pytest.raises(IllegalTransition):
        exit_by_user(trade(TradeStatus.CLOSED), quote(100))
