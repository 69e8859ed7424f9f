"""Which symbols are watched for trades: those with a mark, made before a trade is written.

A mark stays when the trade is closed. Now and then the marks of symbols without active trades
are taken away, so that what was traded once is not polled for ever. No trade may lose its mark:

1. A process relies on a mark it made for MARK_SECONDS. After that the next trade makes it anew.
2. A symbol without active trades is called idle first. Each new mark takes that back.
3. IDLE_SECONDS later, which is much longer, a symbol still idle and without active trades loses
   its mark. A trade that was opened meanwhile is either seen as active, or its process relies
   on a mark made since, by which the symbol is not idle any more.

All times are spans of a clock that cannot be set; no two processes compare theirs.
"""

from __future__ import annotations

from bson import ObjectId
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.models import SymbolState, Trade
from app.services import services

IDLE_SECONDS = 3_600.0


def watch(symbol: str) -> None:
    """Have the symbol watched, before a trade in it is written.

    Then no crash in between can leave the trade without anyone watching.
    """
    watchlist = services().watchlist
    time = services().clock.monotonic()
    if not watchlist.has_mark(symbol, time):
        SymbolState.mark_traded(symbol)
        watchlist.mark_traded(symbol, time)


def watch_again(symbol: str) -> None:
    """Do as `watch` when the trade was written: it may have taken longer than a mark lasts.

    A failure is logged, for the trade stands.
    """
    try:
        watch(symbol)
    except PyMongoError:
        logger.exception("%s could not be marked as traded again", symbol)


class IdleSymbols:
    """Takes away the marks of symbols that nobody trades any more, an hour after it saw that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_at = clock.monotonic()
        self._round: ObjectId | None = None

    @property
    def is_due(self) -> bool:
        return self._clock.monotonic() >= self._due_at

    def prune(self) -> int:
        """Take away marks if it is time to; return how many. Raises PyMongoError.

        It asks two questions for each symbol with a mark, so that it belongs beside a pass of
        the monitor rather than into one.
        """
        if not self.is_due:
            return 0
        former, self._round = self._round, None
        cleared = _clear(former) if former else 0
        self._round = _begin_round()
        # From its end: every symbol has then been idle for an hour when it comes to be cleared.
        self._due_at = self._clock.monotonic() + IDLE_SECONDS
        return cleared


def _clear(former: ObjectId) -> int:
    return sum(
        SymbolState.unmark_traded(symbol, former)
        for symbol in SymbolState.find_idle(former)
        if not Trade.has_active(symbol)
    )


def _begin_round() -> ObjectId:
    round = ObjectId()
    # The indices are polled in any case, and their trades are the most to look through.
    traded = SymbolState.find_traded() - set(DEFAULT_INDICES)
    SymbolState.mark_idle([each for each in traded if not Trade.has_active(each)], round)
    return round
