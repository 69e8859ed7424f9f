"""Movers: the shares that rose, fell and traded most in a day."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.domain.day import start_of_day
from app.domain.quote import Quote, Source


@dataclass(frozen=True, slots=True)
class Movers:
    """The quotes of shares, each list from the largest mover on.

    `watched` is the number of shares that were compared.
    """

    gainers: list[Quote]
    losers: list[Quote]
    by_turnover: list[Quote]
    by_volume: list[Quote]
    watched: int


def find_movers(quotes: Collection[Quote], limit: int) -> Movers:
    """Return at most `limit` movers of each kind; a quote that lacks the figure is none."""
    return Movers(
        gainers=_largest(quotes, lambda quote: quote.change_pct, limit),
        losers=_largest(quotes, lambda quote: -(quote.change_pct or 0), limit),
        by_turnover=_largest(quotes, turnover, limit),
        by_volume=_largest(quotes, lambda quote: quote.details.volume, limit),
        watched=len(quotes),
    )


def turnover(quote: Quote) -> Decimal | None:
    """Return the volume of the day at the last price, in rupees.

    The exact sum is unknown: sources give the volume only.
    """
    volume = quote.details.volume
    return None if volume is None else quote.price * volume


def of_last_day(quotes: Iterable[Quote]) -> list[Quote]:
    """Return the quotes of the last day, in India, of which their source has quotes.

    The others moved on an earlier day. Each source has its own, because a recording has.
    """
    by_source: dict[Source, list[Quote]] = {}
    for quote in quotes:
        by_source.setdefault(quote.source, []).append(quote)
    found: list[Quote] = []
    for each in by_source.values():
        last_day = start_of_day(max(quote.timestamp for quote in each))
        found += [quote for quote in each if quote.timestamp >= last_day]
    return found


def _largest(
    quotes: Iterable[Quote], size: Callable[[Quote], Decimal | int | None], limit: int
) -> list[Quote]:
    """Return the quotes with the largest sizes above 0; equal ones in the order of symbols."""
    sizes = ((size(quote) or 0, quote) for quote in quotes)
    ranked = [(-amount, quote.symbol, quote) for amount, quote in sizes if amount > 0]
    return [quote for *_, quote in heapq.nsmallest(limit, ranked)]
