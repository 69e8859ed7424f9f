"""The prices that open trades wait for: the last known one, and the stop that follows the best one.

Nothing waits for a source. The process that settles a symbol stores its best prices once a pass
(app/models/trail.py). The ticks since then are on the quote board, or those that it shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from bson import ObjectId

from app.domain.fill import PricePoint
from app.domain.quote import Quote
from app.market_data.quotes import KnownQuote
from app.market_data.session_prices import SessionPrices
from app.models import Trade, Trail
from app.services import market_time, now, services
from app.trades.trailed_symbol import TrailedSymbol


@dataclass(frozen=True, slots=True)
class TrailedPrices:
    """The best price that a trailing stop has followed, and the rupees at which it fires."""

    best: PricePoint
    stop: Decimal


@dataclass(frozen=True, slots=True)
class CurrentPrices:
    """The last known quote of a trade's symbol, None if there never was one, and its stop.

    `trailed` is None for a trade without a trailing stop, and before its entry.
    """

    known: KnownQuote | None
    trailed: TrailedPrices | None


def current_prices(trades: Iterable[Trade]) -> dict[ObjectId, CurrentPrices]:
    """Return the current prices of those of the trades that are open, by id; never waits."""
    waiting = [trade for trade in trades if trade.status.is_open]
    known = services().quotes.known({trade.symbol for trade in waiting})
    trailed = _trailed_prices(waiting)
    return {
        trade.id: CurrentPrices(
            _in_its_units(trade, known.get(trade.symbol)), trailed.get(trade.id)
        )
        for trade in waiting
    }


def _in_its_units(trade: Trade, known: KnownQuote | None) -> KnownQuote | None:
    """Return a quote in the units of a trade: either may be of before a split or a bonus."""
    if known is None:
        return None
    quote = services().actions.in_units_of(trade, known.quote, market_time())
    return replace(known, quote=quote)


def _trailed_prices(trades: Iterable[Trade]) -> dict[ObjectId, TrailedPrices]:
    stops = [(trade, stop) for trade in trades if (stop := trade.trailing_stop)]
    symbols = _trailed_symbols({trade.symbol for trade, _ in stops})
    prices = {}
    for trade, stop in stops:
        best = symbols[trade.symbol].best_of(stop)
        followed = best or stop.start
        point = PricePoint(followed.price, followed.timestamp)
        prices[trade.id] = TrailedPrices(point, stop.level(best))
    return prices


def _trailed_symbols(symbols: set[str]) -> dict[str, TrailedSymbol]:
    """Return the best prices of symbols: those that are stored, and the ticks since then."""
    if not symbols:
        return {}
    stored, ticks = Trail.find(symbols), services().quotes.ticks_by_symbol(symbols)
    return {
        symbol: _trailed_symbol(stored.get(symbol, Trail(symbol)), ticks.get(symbol, []))
        for symbol in symbols
    }


def _trailed_symbol(stored: Trail, ticks: Sequence[Quote]) -> TrailedSymbol:
    """Return the best prices of a symbol after further ticks, of which some may be stored."""
    if not ticks:
        return TrailedSymbol(stored, "")
    parts, posting = services(), ticks[-1].posting
    state = TrailedSymbol(stored, posting.board if posting else "")
    # Ticks outside trading hours move no stop.
    prices = SessionPrices(parts.calendar, parts.auctions, ticks[0].timestamp)
    for tick in prices.mark(ticks, now(), parts.feed.now()):
        if stored.as_of is None or tick.timestamp >= stored.as_of:
            state.follow(tick)
    return state
