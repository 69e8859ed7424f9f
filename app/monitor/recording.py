"""What a monitor records: the ticks that it acts on, and quotes that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from app.domain.quote import Quote
from app.market_data.recordings.recorder import Recorder
from app.services import Services


class Recording:
    def __init__(self, recorder: Recorder, parts: Services) -> None:
        self._recorder = recorder
        self._feed = parts.feed
        self._quotes = parts.quotes
        self._calendar = parts.calendar

    def add(self, counted: Sequence[Quote]) -> None:
        """Record the ticks that count, and the quotes at which trades may have been opened.

        Simulated prices that stand in for real ones are none of the recorded market.
        """
        fetched = self._quotes.take_fetched()
        if self._feed.remote:
            self._recorder.record(tick for tick in counted if tick.source.is_real)
            return
        allowed = [each for each in fetched if self._calendar.trading_allowed(each.timestamp)]
        # A feed of this process has its ticks in order of time.
        self._recorder.record(sorted([*allowed, *counted], key=attrgetter("timestamp")))
