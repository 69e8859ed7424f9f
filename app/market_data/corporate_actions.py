"""The corporate actions that this process knows, by symbol.

The process that settles a symbol adjusts its trades before it evaluates the first price of an
ex-date. Until then nothing may compare a trade with such a price.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from math import prod

from app.clock import Clock
from app.domain.corporate_actions import CorporateAction, in_order
from app.domain.quote import Quote
from app.models import Trade
from app.models.stored_action import SIMULATED, StoredAction

REFRESH_SECONDS = 5.0


class KnownActions:
    def __init__(self, clock: Clock, *, is_simulated: bool) -> None:
        """Know all actions, those of the simulated market only if prices are its own."""
        self._clock = clock
        self._is_simulated = is_simulated
        self._by_symbol: Mapping[str, Sequence[CorporateAction]] = {}
        # Those of which everything is adjusted, by id.
        self._applied: set[str] = set()
        self._version = 0
        self._due_at = clock.monotonic()
        self._lock = threading.Lock()

    @property
    def symbols(self) -> set[str]:
        """The symbols that have actions."""
        return set(self._by_symbol)

    def refresh(self) -> set[str]:
        """Read what was loaded since, at most every REFRESH_SECONDS; return its symbols.

        Raises PyMongoError.
        """
        now = self._clock.monotonic()
        if now < self._due_at:
            return set()
        version = StoredAction.find_version()
        self._due_at = now + REFRESH_SECONDS
        if version == self._version:
            return set()
        stored = StoredAction.find_all()
        if not self._is_simulated:
            stored = [each for each in stored if each.source != SIMULATED]
        return self._replace(stored, version)

    def _replace(self, stored: Sequence[StoredAction], version: int) -> set[str]:
        by_symbol: dict[str, list[CorporateAction]] = {}
        for each in stored:
            by_symbol.setdefault(each.action.symbol, []).append(each.action)
        with self._lock:
            before = {action.id for each in self._by_symbol.values() for action in each}
            self._applied |= {each.action.id for each in stored if each.applied_at}
            self._by_symbol = {symbol: in_order(each) for symbol, each in by_symbol.items()}
            self._version = version
        return {each.action.symbol for each in stored if each.action.id not in before}

    def of(self, symbol: str) -> Sequence[CorporateAction]:
        """Return the actions of a symbol, in the order in which they are applied."""
        return self._by_symbol.get(symbol, ())

    def is_applied(self, action: CorporateAction) -> bool:
        """Return whether everything is adjusted, as far as this process knows."""
        return action.id in self._applied

    def note_applied(self, action: CorporateAction) -> None:
        """Note that everything is adjusted."""
        with self._lock:
            self._applied.add(action.id)

    def forget_applied(self) -> None:
        """Have the state of each action read again: other processes may have applied some."""
        with self._lock:
            self._applied.clear()
            self._version = -1
            self._due_at = self._clock.monotonic()

    def is_outdated(self, trade: Trade, quote: Quote) -> bool:
        """Return whether the terms of a trade are in units that a quote no longer has."""
        return any(
            quote.timestamp >= action.opens_at and is_unadjusted(trade, action)
            for action in self.of(trade.symbol)
            if action.kind.changes_units
        )

    def factors_between(self, symbol: str, since: datetime, until: datetime) -> list[Fraction]:
        """Return the factors by which a price may have been divided between two times.

        From the pre-open of an ex-date to its open either unit is possible.
        """
        passed = [
            action.factor
            for action in self.of(symbol)
            if action.kind.changes_units and since < action.opens_at and until >= action.pre_open
        ]
        return [prod(passed[first:], start=Fraction(1)) for first in range(len(passed))]


def load_actions(clock: Clock, *, is_simulated: bool) -> KnownActions:
    """Return the actions that are known now; the simulated market needs them for its first price.

    Raises PyMongoError.
    """
    actions = KnownActions(clock, is_simulated=is_simulated)
    actions.refresh()
    return actions


def is_unadjusted(trade: Trade, action: CorporateAction) -> bool:
    """Return whether an action has yet to adjust an open trade, which is older than its ex-date."""
    origin = trade.bracket.entry_timestamp if trade.bracket else None
    if origin is None:
        assert trade.order is not None
        origin = trade.order.placed.timestamp
    is_older = origin < action.opens_at
    return is_older and all(each.action != action.id for each in trade.adjustments)
