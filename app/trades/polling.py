"""Keep the symbols of open trades polled, by a timestamped mark for each symbol.

The mark is written before the trade, so no crash in between leaves a trade without prices. A
process reuses its own mark for MARK_REUSE, and checks again after the trade was written. A mark
is removed after MARK_LIFETIME, which is much longer, if the symbol has no active trades. A trade
opened during that check therefore has a newer mark, and the removal skips it.
"""

from __future__ import annotations

from datetime import timedelta

from pymongo.errors import PyMongoError

from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.models import SymbolState, Trade
from app.services import now, services

MARK_LIFETIME = timedelta(hours=1)


def mark_traded(symbol: str) -> None:
    """Have the symbol polled, before a trade in it is written."""
    polled = services().polled_symbols
    time = now()
    if not polled.has_mark(symbol, time):
        SymbolState.mark_traded(symbol, time)
        polled.mark_traded(symbol, time)


def renew_mark(symbol: str) -> None:
    """Mark again if writing the trade took longer than a mark is reused; log a failure.

    The trade is committed by then.
    """
    try:
        mark_traded(symbol)
    except PyMongoError:
        logger.exception("%s could not be marked as traded again", symbol)


def remove_old_marks() -> int:
    """Remove the old marks of symbols without active trades, and renew the other old marks.

    Return how many were removed. Raises PyMongoError.
    """
    time = now()
    before = time - MARK_LIFETIME
    removed = 0
    # The indices are always polled, and have the most trades to search.
    for symbol in SymbolState.find_traded(before=before) - set(DEFAULT_INDICES):
        if Trade.has_active(symbol):
            SymbolState.mark_traded(symbol, time)
        else:
            removed += SymbolState.unmark_traded(symbol, before)
    return removed
