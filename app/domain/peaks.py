"""The best prices of a symbol, by the time since when: what trailing stops follow."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from app.domain.quote import Posting, Quote
from app.domain.side import TradeType
from app.domain.trailing import is_better


class Origin(Protocol):
    """The origin of a quote. It has no posting if it is a price of a candle."""

    @property
    def timestamp(self) -> datetime: ...

    @property
    def posting(self) -> Posting | None: ...


class Peaks:
    """A monotonic stack: each quote is better than all later ones.

    So the best price after any time is the first quote after it. `board` is the quote board whose
    quotes are added: those of other boards precede them.
    """

    def __init__(self, trade_type: TradeType, board: str, quotes: Iterable[Quote] = ()) -> None:
        self._trade_type = trade_type
        self._board = board
        self._quotes = list(quotes)

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """The quotes, oldest first."""
        return tuple(self._quotes)

    def add(self, quote: Quote) -> None:
        """Add the next quote."""
        while self._quotes and not is_better(self._trade_type, self._quotes[-1].price, quote.price):
            self._quotes.pop()
        self._quotes.append(quote)

    def best_since(self, start: Origin) -> Quote | None:
        """Return the best quote after `start`, None if there is none."""
        first = bisect_left(self._quotes, True, key=lambda quote: self._follows(quote, start))
        return self._quotes[first] if first < len(self._quotes) else None

    def keep(self, prices: Collection[Decimal], after: Origin | None) -> None:
        """Forget the quotes that are neither at one of these prices nor after that quote."""
        self._quotes = [
            quote
            for quote in self._quotes
            if quote.price in prices or (after is not None and self._follows(quote, after))
        ]

    def _follows(self, quote: Quote, start: Origin) -> bool:
        if quote.posting is None and start.posting is None:
            # Of candles: the one that holds the start may precede it.
            return quote.timestamp > start.timestamp
        if quote.posting is None or start.posting is None:
            return quote.timestamp >= start.timestamp
        if quote.posting.board == start.posting.board:
            return quote.posting.number > start.posting.number
        if self._board in (quote.posting.board, start.posting.board):
            return quote.posting.board == self._board
        return quote.timestamp >= start.timestamp
