"""What a monitor records: the ticks that it acts on, and quotes that were asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import attrgetter

from app.domain.quote import Quote
from app.market_data.recordings.recorder import Recorder
from app.models import SymbolState, share_of
from app.services import Services


class Recording:
    def __init__(self, recorder: Recorder, parts: Services) -> None:
        self._recorder = recorder
        self._feed = parts.feed
        self._quotes = parts.quotes
        self._calendar = parts.calendar
        # The last quotes of other processes, by symbol: those have recorded them.
        self._recorded: dict[str, Quote] = {}

    def take_over(self, numbers: Collection[int]) -> None:
        """Record the last quotes of these shares not again, if the feed returns them first.

        Raises PyMongoError.
        """
        last = SymbolState.load_quotes()
        self._recorded |= {each: last[each] for each in last if share_of(each) in numbers}

    def add(self, counted: Sequence[Quote]) -> None:
        """Record the ticks that count, and the quotes at which trades may have been opened.

        Simulated prices that stand in for real ones are none of the recorded market.
        """
        fetched = self._new(self._quotes.take_fetched())
        ticks = self._new(counted)
        if self._feed.remote:
            self._recorder.record(tick for tick in ticks if tick.source.is_real)
            return
        allowed = [each for each in fetched if self._calendar.trading_allowed(each.timestamp)]
        # A feed of this process has its ticks in order of time.
        self._recorder.record(sorted([*allowed, *ticks], key=attrgetter("timestamp")))

    def _new(self, quotes: Sequence[Quote]) -> Sequence[Quote]:
        """Return the quotes without those that another process has recorded."""
        if not self._recorded:
            return quotes
        return [quote for quote in quotes if quote != self._recorded.get(quote.symbol)]
