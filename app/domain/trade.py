"""The life of a trade: which status may follow which, and what a quote or a candle changes.

Everything that changes a trade's status is a Transition, and SUCCESSORS lists the legal ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.domain.bracket import Bracket, Exit, ExitReason
from app.domain.candle import Candle
from app.domain.quote import Quote
from app.domain.triggers import SettledFrom


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    STOP_LOSS_HIT = "STOP_LOSS_HIT"
    TARGET_HIT = "TARGET_HIT"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    LIQUIDATED = "LIQUIDATED"

    @property
    def is_open(self) -> bool:
        """Whether the trade blocks margin and waits for a price."""
        return self in SUCCESSORS


# A status that is not a key is final.
SUCCESSORS: Mapping[TradeStatus, frozenset[TradeStatus]] = {
    TradeStatus.PENDING: frozenset(
        {TradeStatus.ACTIVE, TradeStatus.CANCELLED, TradeStatus.EXPIRED}
    ),
    TradeStatus.ACTIVE: frozenset(
        {
            TradeStatus.CLOSED,
            TradeStatus.STOP_LOSS_HIT,
            TradeStatus.TARGET_HIT,
            TradeStatus.LIQUIDATED,
        }
    ),
}
STATUS_AFTER = {
    ExitReason.USER: TradeStatus.CLOSED,
    ExitReason.STOP_LOSS: TradeStatus.STOP_LOSS_HIT,
    ExitReason.TARGET: TradeStatus.TARGET_HIT,
}


class IllegalTransition(ValueError):
    """SUCCESSORS does not allow this change of status."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal change of a trade's status, and the exit that causes it.

    Raises IllegalTransition for a change that SUCCESSORS does not list.
    """

    before: TradeStatus
    after: TradeStatus
    exit: Exit

    def __post_init__(self) -> None:
        if self.after not in SUCCESSORS.get(self.before, ()):
            raise IllegalTransition(f"a trade that is {self.before} cannot become {self.after}")


class HasLife(Protocol):
    """A trade, as far as its transitions depend on it."""

    @property
    def status(self) -> TradeStatus: ...

    @property
    def bracket(self) -> Bracket: ...


def on_quote(
    trade: HasLife, quote: Quote, settled_from: SettledFrom | None = None
) -> Transition | None:
    """Return what `quote` changes about the trade, None if nothing."""
    if trade.status is not TradeStatus.ACTIVE:
        return None
    return _closing(trade, trade.bracket.triggered_by(quote, settled_from))


def on_candle(trade: HasLife, candle: Candle) -> Transition | None:
    """Return what the prices of `candle` change about the trade, None if nothing."""
    if trade.status is not TradeStatus.ACTIVE:
        return None
    return _closing(trade, trade.bracket.triggered_in(candle))


def exit_by_user(
    trade: HasLife, quote: Quote, settled_from: SettledFrom | None = None
) -> Transition:
    """Return the exit at `quote` that the user asks for; IllegalTransition if it is not open."""
    exit = trade.bracket.exit_at(quote, ExitReason.USER, settled_from)
    return Transition(trade.status, STATUS_AFTER[exit.reason], exit)


def _closing(trade: HasLife, exit: Exit | None) -> Transition | None:
    return Transition(trade.status, STATUS_AFTER[exit.reason], exit) if exit else None
