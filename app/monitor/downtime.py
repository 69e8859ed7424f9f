"""The time without a monitor: its trades close at the prices of that time, before the next pass."""

from __future__ import annotations

from collections.abc import Mapping

from app.database.batches import Fence
from app.logs import logger
from app.models import SHARES, MarketState
from app.monitor.gaps import Gaps
from app.monitor.progress import open_gaps, save_progress
from app.monitor.receiver import TickReceiver
from app.services import services
from app.trades.endings import expire_entries
from app.trades.trailing import TrailingStops


def settle_downtime(
    epochs: Mapping[int, int],
    fence: Fence,
    gaps: Gaps,
    trailing: TrailingStops,
    receiver: TickReceiver,
) -> int:
    """Settle the shares of `epochs` since their last pass, as far as the feed has candles.

    Returns how many trades it closed. Raises PyMongoError if the database is unavailable; the gap
    stays open then.
    """
    feed, quotes = services().feed, services().quotes
    until = feed.now()
    # Before marks and trades are looked for: one that commits too late finds the gap there.
    MarketState.begin_gap(feed.name, until, epochs)
    quotes.skip_to(until)
    stored = MarketState.load_progress(feed.name)
    begun = stored.keys() & epochs.keys()
    since = open_gaps(gaps, stored, epochs, until)
    closed = gaps.settle(fence) if since else 0
    # Also without a gap: this feed still has ticks that another process or run has settled.
    if len(begun) == SHARES:
        feed.skip_to(until)
    # Otherwise the feed has ticks of other shares up to then as well.
    receiver.unsettled.replace(begun, until)
    if since is None:
        return 0
    trailing.save(epochs)
    settled_to = dict.fromkeys(epochs, until)
    expire_entries(settled_to, fence)
    save_progress(feed, gaps, settled_to, epochs)
    logger.info("monitor: %d trades closed for %s without a monitor", closed, until - since)
    return closed
