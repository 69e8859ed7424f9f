"""Trades without a database, settled from ticks or from candles of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit
from app.domain.quote import Quote, Source
from app.domain.trade import TradeStatus, Transition, on_candle, on_quote
from app.domain.triggers import triggered_by, triggered_in
from tests.support.quotes import NOON

SOURCE = Source.MOCK


@dataclass(frozen=True)
class Trade:
    """A trade that waits. The best price of its trailing stop is kept in `followed`."""

    id: int
    status: TradeStatus
    order: EntryOrder | None = None
    bracket: Bracket | None = None
    followed: dict[str, Quote | None] = field(default_factory=dict, compare=False)

    def after(self, transition: Transition) -> Trade | None:
        change = transition.change
        if isinstance(change, Entered):
            return replace(self, status=transition.after, bracket=change.bracket, followed={})
        if isinstance(change, Triggered) and self.order:
            order = replace(self.order, triggered_at=change.quote.timestamp)
            return replace(self, order=order)
        return None

    def on_quote(self, tick: Quote) -> Transition | None:
        best = self.followed.get("best")
        transition = on_quote(self, tick, best=best)
        if transition is None and self.bracket and (stop := self.bracket.trailing_stop):
            self.followed["best"] = stop.after(best, tick)
        return transition

    def on_candle(self, candle: Candle) -> Transition | None:
        best = self.followed.get("best")
        transition = on_candle(self, candle, best=best)
        if transition is None and self.bracket and (stop := self.bracket.trailing_stop):
            self.followed["best"] = stop.after_candle(best, candle)
        return transition


def pending(order: EntryOrder, id: int = 1) -> Trade:
    return Trade(id, TradeStatus.PENDING, order)


def active(bracket: Bracket, id: int = 1) -> Trade:
    return Trade(id, TradeStatus.ACTIVE, bracket=bracket)


def by_ticks(ticks: Sequence[Quote], *trades: Trade) -> list[tuple[Trade, Transition]]:
    """Return what ticks change about trades, in order."""
    return triggered_by(ticks, _find(trades), Trade.on_quote, Trade.after)


def by_candles(candles: Sequence[Candle], *trades: Trade) -> list[tuple[Trade, Transition]]:
    """Return what candles after noon change about trades, in order."""

    def candles_after(_symbol: str, time: datetime) -> list[Candle]:
        return [candle for candle in candles if candle.time > time]

    return triggered_in(
        ["^NSEI"],
        candles_after,
        NOON,
        find=_find(trades),
        began=lambda _trade: NOON,
        react=Trade.on_candle,
        advance=Trade.after,
    )


def _find(trades: Sequence[Trade]) -> Callable[[str, Decimal, Decimal], Iterable[Trade]]:
    # Each test settles a trade once: what it has followed before is not its own.
    return lambda _symbol, _lowest, _highest: [replace(each, followed={}) for each in trades]


def minutes_of(*minutes: Sequence[int | Decimal], symbol: str = "^NSEI") -> list[list[Quote]]:
    """Return the ticks of the minutes after noon, a second apart, from their prices."""
    return [
        [
            Quote(symbol, Decimal(price), SOURCE, NOON + timedelta(minutes=number, seconds=second))
            for second, price in enumerate(prices)
        ]
        for number, prices in enumerate(minutes, 1)
    ]


def outcome(transition: Transition) -> tuple[object, ...]:
    """Return what a transition books: its kind, its price and its P&L."""
    change = transition.change
    match change:
        case Entered(bracket):
            return (transition.after, bracket.entry_price)
        case Triggered():
            return (transition.after,)
        case Exit():
            return (transition.after, change.price, change.pnl)
    raise AssertionError(change)
