"""Receiving ticks: from the feed to the board, to be settled, published, shared and saved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pymongo.errors import PyMongoError

from app.domain.quote import Quote
from app.market_data.recordings.recorder import Recorder
from app.market_data.session_prices import SessionPrices
from app.metrics import metrics
from app.models import share_of
from app.monitor.recording import Recording
from app.monitor.sharing import Sharing
from app.monitor.unsettled import UnsettledTicks
from app.realtime.prices import publish_prices
from app.services import Services


class TickReceiver:
    """The ticks of the symbols that this process settles.

    Each is on the board before it is settled: a trade that commits too late for a pass finds it
    there (see settle_ticks_since).
    """

    def __init__(
        self, parts: Services, is_own: Callable[[str], bool], recorder: Recorder | None = None
    ) -> None:
        self._is_own = is_own
        self._interval = parts.settings.monitor_interval_seconds
        self._clock = parts.clock
        self._feed = parts.feed
        self._quotes = parts.quotes
        self._polled_symbols = parts.polled_symbols
        self._prices = SessionPrices(parts.calendar, parts.auctions, parts.feed.now())
        self._recording = Recording(recorder, parts) if recorder else None
        self.unsettled = UnsettledTicks()
        self.sharing = Sharing(parts.quotes, parts.clock)
        self._unpublished: dict[str, Quote] = {}
        self._unsaved: dict[str, Quote] = {}
        self._polled: set[str] = set()
        self._poll_due_at = parts.clock.monotonic()
        # By the monotonic clock, None before the first time.
        self.received_at: float | None = None

    def refresh_symbols(self) -> PyMongoError | None:
        """Read which symbols are polled; return what kept it from doing so."""
        try:
            self.sharing.is_on = self._polled_symbols.load().count > 0
        except PyMongoError as error:
            return error
        return None

    @property
    def is_poll_due(self) -> bool:
        return self._clock.monotonic() >= self._poll_due_at

    def poll(self) -> list[Quote]:
        """Ask the feed for the polled symbols; return the ticks of the own ones."""
        return self.receive(self._ask)

    def collect(self) -> list[Quote]:
        """Return the ticks of the own symbols that the feed has pushed."""
        return self.receive(self._feed.collect)

    def publish(self) -> None:
        """Publish the last price of each symbol with new ticks."""
        latest, self._unpublished = self._unpublished, {}
        publish_prices(latest.values())

    @property
    def unsaved(self) -> Collection[Quote]:
        """The last tick of each symbol, to be saved for a restart; none if all ticks are shared."""
        return () if self.sharing.is_on else self._unsaved.values()

    def forget_unsaved(self) -> None:
        """Call it once the unsaved ticks are saved."""
        self._unsaved.clear()

    def share_standing(self) -> None:
        """Store which prices still stand, unless only a source outside this process knows."""
        if not self._feed.remote:
            self.sharing.store_standing(self._polled)

    def take_over(self, numbers: Collection[int]) -> None:
        """Begin after the last quotes of the process that had these shares. Raises PyMongoError."""
        if self._recording and numbers:
            self._recording.take_over(numbers)

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the ticks of these shares, of which other processes settle the symbols."""
        self.unsettled.forget(numbers)
        self._prices.restart(self._feed.now())
        self._unsaved = {
            each: tick for each, tick in self._unsaved.items() if share_of(each) not in numbers
        }
        self.sharing.clear()

    def _ask(self) -> Sequence[Quote]:
        self._poll_due_at = self._clock.monotonic() + self._interval
        self._feed.prefer(self._polled_symbols.needed(self._is_own))
        self._polled = self._polled_symbols.symbols(self._is_own)
        return self._feed.poll(self._polled)

    def receive(self, collect: Callable[[], Sequence[Quote]]) -> list[Quote]:
        """Put the ticks that `collect` returns on the board; return those of the own symbols."""
        admitted = self._quotes.receive(collect)
        metrics().ticks.inc(len(admitted))
        own = [tick for tick in admitted if self._is_own(tick.symbol)]
        latest = {tick.symbol: tick for tick in own}
        self._unpublished.update(latest)
        # A tick outside trading hours is published, and never triggers anything.
        counted = self._prices.mark(own, self._clock.now(), self._feed.now())
        added = self.unsettled.add(counted)
        if self._recording:
            self._recording.add(added)
        self._unsaved.update(latest)
        self.sharing.add(own)
        self.received_at = self._clock.monotonic()
        return own
