"""The progress of the settlement: up to when each share is settled, for its next holder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from app.market_data.feed import Feed, Gap
from app.models import MarketState, SymbolState, share_of
from app.monitor.gaps import Gaps


def save_progress(
    feed: Feed, gaps: Gaps, settled_to: Mapping[int, datetime], epochs: Mapping[int, int]
) -> None:
    """Store these times by share, or the beginnings of gaps that are still open."""
    MarketState.save_progress(feed.name, gaps.settled_to(settled_to), epochs)


def open_gaps(
    gaps: Gaps, stored: Mapping[int, datetime], numbers: Collection[int], until: datetime
) -> datetime | None:
    """Add the time since the last pass of any process as a gap of every marked symbol.

    Only those of these shares; `stored` is the progress by share. Returns when the oldest gap
    began, None if there is none.
    """
    since = {each: stored[each] for each in numbers if each in stored and stored[each] < until}
    if not since:
        return None
    marks = SymbolState.find_marks()
    gaps.add(
        Gap(symbol, since[share_of(symbol)], until)
        for symbol in marks.traded | marks.alerted
        if share_of(symbol) in since
    )
    return min(since.values())
