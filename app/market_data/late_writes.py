"""What is committed in one process while another one settles a gap.

The process that takes over a symbol settles the time without a monitor from candles: no quote board
ever has these prices. It stores the end of the gap before it looks for trades and alerts. So of a
trade that is being written at an earlier quote, either it finds the trade, or the writer finds the
end of the gap after its commit, and hands the trade over.
"""

from __future__ import annotations

from pymongo.errors import PyMongoError

from app.logs import logger
from app.market_data.feed import Feed
from app.market_data.quotes import QuoteBoard
from app.models import LateWrite, MarketState, share_of


def hand_over_if_late(late: LateWrite, feed: Feed, quotes: QuoteBoard) -> None:
    """Have the process that polls the symbol settle a gap for what was just committed.

    Nothing, if this process polls it (see `QuoteBoard.unposted_since`), or if the gap ended before
    the quote. A failure is logged: the write is committed, and its next price decides.
    """
    quote = late.quote
    if quotes.is_polled(quote.symbol):
        return
    try:
        end = MarketState.find_gap_end(feed.name, share_of(quote.symbol))
        if end is not None and quote.timestamp < end:
            late.insert()
    except PyMongoError:
        logger.exception("the prices of a gap of %s may be missing", quote.symbol)
