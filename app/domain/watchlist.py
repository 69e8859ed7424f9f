"""Watchlists: named lists of symbols in an order of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

MAX_LISTS = 20
MAX_SYMBOLS = 100
MAX_NAME = 40

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watchlist:
    """One list. A symbol is in it once at most."""

    id: str
    name: str
    symbols: tuple[str, ...]
    created_at: datetime
    updated_at: datetime

    def with_symbol(self, symbol: str, position: int | None, now: datetime) -> Watchlist:
        """Return the list with a symbol at a position from 1, beyond the end meaning last.

        Without a position a symbol that it has stays in its place, and a new one is the last.
        """
        if position is None:
            return self if symbol in self.symbols else self._of((*self.symbols, symbol), now)
        return self._of(moved(self.symbols, symbol, position), now)

    def without_symbol(self, symbol: str, now: datetime) -> Watchlist:
        if symbol not in self.symbols:
            return self
        return self._of(tuple(each for each in self.symbols if each != symbol), now)

    def _of(self, symbols: tuple[str, ...], now: datetime) -> Watchlist:
        return replace(self, symbols=symbols, updated_at=now)


def moved(items: Sequence[T], item: T, position: int) -> tuple[T, ...]:
    """Return the items with `item` at a position from 1; a position beyond the end means last."""
    others = [each for each in items if each != item]
    others.insert(position - 1, item)
    return tuple(others)


def is_same_name(one: str, other: str) -> bool:
    """Return whether two names differ in capitals only."""
    return one.casefold() == other.casefold()
