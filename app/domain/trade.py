"""The life of a trade: which status may follow which, and what a quote or a candle changes.

Everything that changes a trade's status is a Transition, and SUCCESSORS lists the legal ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.candle_exits import exit_in
from app.domain.corporate_actions import Adjusted
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit, ExitReason
from app.domain.fill_profile import RejectCode
from app.domain.quote import Quote
from app.domain.trailing import TrailingStop
from app.domain.triggers import SettledFrom


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    STOP_LOSS_HIT = "STOP_LOSS_HIT"
    TARGET_HIT = "TARGET_HIT"
    TRAILING_STOP_HIT = "TRAILING_STOP_HIT"
    SQUARED_OFF = "SQUARED_OFF"
    LIQUIDATED = "LIQUIDATED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"

    @property
    def is_open(self) -> bool:
        """Whether the trade blocks margin and waits for a price."""
        return self in SUCCESSORS


# A status that is not a key is final. PENDING may follow itself: a stop-limit is triggered, or the
# order is modified or adjusted. So may ACTIVE: a part is exited, or the bracket is modified.
SUCCESSORS: Mapping[TradeStatus, frozenset[TradeStatus]] = {
    TradeStatus.PENDING: frozenset(
        {
            TradeStatus.PENDING,
            TradeStatus.ACTIVE,
            TradeStatus.CANCELLED,
            TradeStatus.EXPIRED,
            TradeStatus.REJECTED,
        }
    ),
    TradeStatus.ACTIVE: frozenset(
        {
            TradeStatus.ACTIVE,
            TradeStatus.CLOSED,
            TradeStatus.STOP_LOSS_HIT,
            TradeStatus.TARGET_HIT,
            TradeStatus.TRAILING_STOP_HIT,
            TradeStatus.SQUARED_OFF,
            TradeStatus.LIQUIDATED,
        }
    ),
}
STATUS_AFTER = {
    ExitReason.USER: TradeStatus.CLOSED,
    ExitReason.STOP_LOSS: TradeStatus.STOP_LOSS_HIT,
    ExitReason.TRAILING_STOP: TradeStatus.TRAILING_STOP_HIT,
    ExitReason.TARGET: TradeStatus.TARGET_HIT,
}


class EndReason(StrEnum):
    """Why an entry order ended unfilled."""

    USER = "user"
    # The other order of its pair was filled.
    OCO = "oco"
    # The other order of its pair was rejected, on arrival or for the margin of its fill.
    OCO_REJECTED = "oco_rejected"
    # It could not be filled at once.
    IOC = "ioc"
    EXPIRED = "expired"
    PORTFOLIO_RESET = "portfolio_reset"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    UNLISTED = "unlisted_symbol"
    # A rights issue, a merger or a demerger of its share.
    CORPORATE_ACTION = "corporate_action"
    # The broker of the harsh fill profile rejected it on arrival, with this code of its own.
    BROKER_AB1004 = "broker_ab1004"
    BROKER_AB1007 = "broker_ab1007"
    BROKER_AB2001 = "broker_ab2001"


ENDED_STATUS = {
    EndReason.USER: TradeStatus.CANCELLED,
    EndReason.OCO: TradeStatus.CANCELLED,
    EndReason.OCO_REJECTED: TradeStatus.CANCELLED,
    EndReason.IOC: TradeStatus.CANCELLED,
    EndReason.PORTFOLIO_RESET: TradeStatus.CANCELLED,
    EndReason.CORPORATE_ACTION: TradeStatus.CANCELLED,
    EndReason.EXPIRED: TradeStatus.EXPIRED,
    EndReason.INSUFFICIENT_MARGIN: TradeStatus.REJECTED,
    EndReason.UNLISTED: TradeStatus.REJECTED,
    EndReason.BROKER_AB1004: TradeStatus.REJECTED,
    EndReason.BROKER_AB1007: TradeStatus.REJECTED,
    EndReason.BROKER_AB2001: TradeStatus.REJECTED,
}
REJECTED_BY_BROKER = {
    RejectCode.AB1004: EndReason.BROKER_AB1004,
    RejectCode.AB1007: EndReason.BROKER_AB1007,
    RejectCode.AB2001: EndReason.BROKER_AB2001,
}
# Why an order ended at once, so that it was never anything else.
ENDED_ON_ARRIVAL = frozenset({EndReason.IOC, *REJECTED_BY_BROKER.values()})


def has_ended_on_arrival(reason: EndReason | None, version: int) -> bool:
    """Return whether an order ended at once, so that it never waited.

    The other order of a rejected pair may have waited before: then its `version` is not 0.
    """
    return reason in ENDED_ON_ARRIVAL or (reason is EndReason.OCO_REJECTED and version == 0)


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an entry order that was not filled."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Modified:
    """The order that waits, or the bracket, as its user changed it."""

    terms: EntryOrder | Bracket


Change = Exit | Entered | Triggered | Ended | Modified | Adjusted


class IllegalTransition(ValueError):
    """SUCCESSORS does not allow this change of status."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal change of a trade's status, and what causes it.

    Raises IllegalTransition for a change that SUCCESSORS does not list.
    """

    before: TradeStatus
    after: TradeStatus
    change: Change

    def __post_init__(self) -> None:
        if self.after not in SUCCESSORS.get(self.before, ()):
            raise IllegalTransition(f"a trade that is {self.before} cannot become {self.after}")


class HasLife(Protocol):
    """A trade, as far as its transitions depend on it.

    One that waits to be entered has no bracket, one that was entered at once has no order.
    """

    @property
    def status(self) -> TradeStatus: ...

    @property
    def order(self) -> EntryOrder | None: ...

    @property
    def bracket(self) -> Bracket | None: ...


def on_quote(
    trade: HasLife,
    quote: Quote,
    settled_from: SettledFrom | None = None,
    *,
    best: Quote | None = None,
) -> Transition | None:
    """Return what `quote` changes about the trade, None if nothing.

    `best` is the best price that its trailing stop has followed, None for that of its start.
    """
    if trade.status is TradeStatus.PENDING and trade.order:
        return _filling(trade.order.filled_by(quote, settled_from))
    if trade.status is TradeStatus.ACTIVE and trade.bracket:
        bracket = trade.bracket
        exit = bracket.queued_exit_at(quote, settled_from)
        return _closing(bracket, exit or bracket.triggered_by(quote, settled_from, best))
    return None


def on_candle(
    trade: HasLife,
    candle: Candle,
    *,
    best: Quote | None = None,
    settled_to: datetime | None = None,
) -> Transition | None:
    """Return what the prices of `candle` change about the trade, None if nothing.

    `best` is as in `on_quote`, `settled_to` as in `exit_in`.
    """
    if trade.status is TradeStatus.PENDING and trade.order:
        return _filling(trade.order.filled_in(candle))
    if trade.status is TradeStatus.ACTIVE and trade.bracket:
        bracket = trade.bracket
        exit = bracket.queued_exit_at(candle.opening, SettledFrom.GAP)
        return _closing(bracket, exit or exit_in(candle, bracket, best, settled_to))
    return None


def exit_by_user(
    trade: HasLife,
    quote: Quote,
    settled_from: SettledFrom | None = None,
    *,
    quantity: int | None = None,
) -> Transition:
    """Return the exit at `quote` that the user asks for, by default of all that is held.

    Raises IllegalTransition if the trade is not active.
    """
    if trade.bracket is None:
        raise IllegalTransition(f"a trade that is {trade.status} cannot be exited")
    exit = trade.bracket.exit_at(quote, ExitReason.USER, settled_from, quantity=quantity)
    is_partial = exit.quantity < trade.bracket.open_quantity
    after = TradeStatus.ACTIVE if is_partial else STATUS_AFTER[exit.reason]
    return Transition(trade.status, after, exit)


def end_entry(trade: HasLife, reason: EndReason) -> Transition:
    """Return the end of an entry that is not filled; IllegalTransition if it is not pending."""
    return Transition(trade.status, ENDED_STATUS[reason], Ended(reason))


def rebase(
    transition: Transition, before: HasLife, now: HasLife, *, best: Quote | None = None
) -> Transition | None:
    """Return what the price that caused a transition causes to the trade as it is `now`.

    None for a change that no price caused, and if the trade is over. Between `before` and `now` a
    user has exited a part or changed the terms, or an earlier price has filled the entry. `best` is
    the best price that the trailing stop of `now` had followed before that price.
    """
    change = transition.change
    if not now.status.is_open:
        return None
    if isinstance(change, Exit) and before.bracket and now.bracket:
        if change.reason is ExitReason.USER:
            return None
        if _level_of(now.bracket, change.reason) == _level_of(before.bracket, change.reason):
            held, is_part = now.bracket.open_quantity, transition.after.is_open
            if is_part and now.bracket.was_touched(change.quote):
                return None
            quantity = min(change.quantity, held) if is_part else held
            pnl = now.bracket.pnl_at(change.price, quantity)
            return _closing(now.bracket, replace(change, quantity=quantity, pnl=pnl))
        return _react_again(now, change.quote, change.settled_from, best)
    if isinstance(change, Entered):
        return _react_again(now, change.quote, change.bracket.entry_settled_from, best)
    if isinstance(change, Triggered):
        return _react_again(now, change.quote, change.settled_from, best)
    return None


def _level_of(bracket: Bracket, reason: ExitReason) -> Decimal | TrailingStop | None:
    """Return what a price reaches for an exit of this reason."""
    if reason is ExitReason.TRAILING_STOP:
        return bracket.trailing_stop
    return bracket.target_price if reason is ExitReason.TARGET else bracket.stop_loss


def _react_again(
    trade: HasLife, quote: Quote, settled_from: SettledFrom | None, best: Quote | None = None
) -> Transition | None:
    """Return what a price causes under terms that have changed, None if they are newer."""
    terms_since = (
        trade.bracket.levels_since if trade.bracket else trade.order and trade.order.placed
    )
    # The order of ticks is that of their board, which prices of candles are not on.
    if quote.posting is None and terms_since and quote.timestamp < terms_since.timestamp:
        return None
    return on_quote(trade, quote, settled_from, best=best)


def enter(trade: HasLife, entered: Entered) -> Transition:
    """Return the fill of an entry order; IllegalTransition if it is not pending."""
    return Transition(trade.status, TradeStatus.ACTIVE, entered)


def modify(trade: HasLife, terms: EntryOrder | Bracket) -> Transition:
    """Return the change of a trade's terms; IllegalTransition if the trade is over."""
    return Transition(trade.status, trade.status, Modified(terms))


def adjust(trade: HasLife, adjusted: Adjusted) -> Transition:
    """Return what a corporate action changes; IllegalTransition if the trade is over."""
    return Transition(trade.status, trade.status, adjusted)


def _closing(bracket: Bracket, exit: Exit | None) -> Transition | None:
    if exit is None:
        return None
    is_partial = exit.quantity < bracket.open_quantity
    after = TradeStatus.ACTIVE if is_partial else STATUS_AFTER[exit.reason]
    return Transition(TradeStatus.ACTIVE, after, exit)


def _filling(change: Entered | Triggered | None) -> Transition | None:
    if change is None:
        return None
    after = TradeStatus.ACTIVE if isinstance(change, Entered) else TradeStatus.PENDING
    return Transition(TradeStatus.PENDING, after, change)
