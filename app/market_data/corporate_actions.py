"""The corporate actions that this process knows, by symbol.

The process that settles a symbol adjusts its trades before it evaluates the first price of an
ex-date. Until then nothing may compare a trade with such a price.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from math import prod
from typing import Protocol

from app.clock import Clock
from app.domain.corporate_actions import CorporateAction, factor_of_all, in_order
from app.domain.errors import MarketDataUnavailable
from app.domain.money import PAISA
from app.domain.quote import Quote
from app.market_data.feeds.divided import Division, divided_quote
from app.models.stored_action import RECORDED, SIMULATED, StoredAction

REFRESH_SECONDS = 5.0


class Adjustable(Protocol):
    """A trade or an alert: its levels are in the units of one time.

    `set_at` is the time of the quote that it began at, and `adjusted_by` are the ids of the actions
    that have adjusted it since.
    """

    @property
    def symbol(self) -> str: ...

    @property
    def set_at(self) -> datetime: ...

    @property
    def adjusted_by(self) -> Collection[str]: ...


class KnownActions:
    def __init__(self, clock: Clock, market: str) -> None:
        """Know the actions of a market: `simulated`, `replay` or `real`.

        Those of the simulated market, and those of recordings, are of no other one.
        """
        self._clock = clock
        self._market = market
        self._by_symbol: Mapping[str, Sequence[CorporateAction]] = {}
        # Those of which everything is adjusted, by id.
        self._applied: set[str] = set()
        # Those of them of which that is stored: also what was being written meanwhile is adjusted.
        self._completed: set[str] = set()
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
        stored = [each for each in StoredAction.find_all() if self._is_of_market(each)]
        return self._replace(stored, version)

    def _is_of_market(self, stored: StoredAction) -> bool:
        if self._market == "replay" and stored.is_recorded:
            return True
        is_own = self._market == "simulated" and stored.source == SIMULATED
        return is_own or stored.source not in (SIMULATED, RECORDED)

    def _replace(self, stored: Sequence[StoredAction], version: int) -> set[str]:
        by_symbol: dict[str, list[CorporateAction]] = {}
        for each in stored:
            by_symbol.setdefault(each.action.symbol, []).append(each.action)
        with self._lock:
            before = {action.id for each in self._by_symbol.values() for action in each}
            self._completed = {each.action.id for each in stored if each.applied_at}
            self._applied |= self._completed
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

    def has_same_units(self, terms: Adjustable, time: datetime) -> bool:
        """Return whether levels are in the units of the prices of a time.

        After the open of an ex-date, either may be of before it for a few seconds.
        """
        return all(
            (action.opens_at <= time) is not is_unadjusted(terms, action)
            for action in self._dividing(terms.symbol)
        )

    def require_same_units(self, terms: Adjustable, quote: Quote) -> None:
        """Raise MarketDataUnavailable unless levels are in the units of a quote."""
        if self.has_same_units(terms, quote.timestamp):
            return
        actions = self._dividing(terms.symbol)
        if any(
            quote.timestamp < action.opens_at and not is_unadjusted(terms, action)
            for action in actions
        ):
            raise _no_price_since(quote)
        raise MarketDataUnavailable(
            f"{quote.symbol} has a split or a bonus today, and what you have of it is being "
            "adjusted. Try again in a few seconds."
        )

    def require_current(self, quote: Quote, time: datetime) -> None:
        """Raise MarketDataUnavailable for a quote in units that the prices of `time` do not have.

        A user who sets a level at such a quote may mean either units.
        """
        actions = self._dividing(quote.symbol)
        if any(quote.timestamp < action.opens_at <= time for action in actions):
            raise _no_price_since(quote)

    def opened(self, symbol: str, time: datetime) -> list[CorporateAction]:
        """Return the splits and bonuses of a symbol that have opened at `time`."""
        return [action for action in self._dividing(symbol) if action.opens_at <= time]

    def is_completed(self, action: CorporateAction) -> bool:
        """Return whether no trade can be found any more that it has not adjusted."""
        return action.id in self._completed

    def in_units_of(self, terms: Adjustable, quote: Quote, time: datetime) -> Quote:
        """Return a quote in the units that levels have at `time`."""
        opened = self.opened(terms.symbol, max(time, quote.timestamp))
        unadjusted = factor_of_all(each for each in opened if is_unadjusted(terms, each))
        return _divided(quote, _factor_since(quote, opened) / unadjusted)

    def in_units_at(self, quote: Quote, time: datetime) -> Quote:
        """Return a quote in the units of the prices of `time`."""
        return _divided(quote, _factor_since(quote, self.opened(quote.symbol, time)))

    def _dividing(self, symbol: str) -> list[CorporateAction]:
        return [action for action in self.of(symbol) if action.kind.changes_units]

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


def load_actions(clock: Clock, market: str) -> KnownActions:
    """Return the actions that are known now; the simulated market needs them for its first price.

    Raises PyMongoError.
    """
    actions = KnownActions(clock, market)
    actions.refresh()
    return actions


def is_unadjusted(terms: Adjustable, action: CorporateAction) -> bool:
    """Return whether an action has yet to adjust what was set before the open of its ex-date."""
    return terms.set_at < action.opens_at and action.id not in terms.adjusted_by


def _factor_since(quote: Quote, opened: Iterable[CorporateAction]) -> Fraction:
    """Return the units after the opened actions for each unit of a quote."""
    return factor_of_all(each for each in opened if quote.timestamp < each.opens_at)


def _divided(quote: Quote, factor: Fraction) -> Quote:
    """Return a quote in units of which there are `factor` for each of its own."""
    return quote if factor == 1 else divided_quote(quote, Division(factor, factor), PAISA)


def _no_price_since(quote: Quote) -> MarketDataUnavailable:
    return MarketDataUnavailable(
        f"{quote.symbol} has a split or a bonus today, and no price since. Try again once it has "
        "one."
    )
