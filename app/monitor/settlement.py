"""The settlement of ticks: what they trigger is found, written in batches, and published."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any

from pymongo.errors import PyMongoError

from app.alerts.execution import find_crossed, fire_alerts
from app.database.batches import BatchResult, Fence
from app.domain.quote import Quote
from app.monitor.adjustments import Adjustments
from app.monitor.announcements import Announcements
from app.monitor.gaps import Gaps
from app.monitor.known_bounds import KnownBounds
from app.monitor.lease import Term
from app.monitor.receiver import TickReceiver
from app.services import Services
from app.trades.execution import apply_transitions, closed_trades
from app.trades.service import settle_rests
from app.trades.trailing import TrailingStops
from app.trades.triggers import find_triggered


class Settlement:
    def __init__(
        self,
        parts: Services,
        receiver: TickReceiver,
        gaps: Gaps,
        adjustments: Adjustments,
        trailing: TrailingStops,
    ) -> None:
        """Settle the ticks of `receiver`, except those that `gaps` and `adjustments` hold."""
        self._polled_symbols = parts.polled_symbols
        self._receiver = receiver
        self._gaps = gaps
        self._adjustments = adjustments
        self._trailing = trailing
        self.bounds = KnownBounds(parts.clock)
        self.announcements = Announcements(parts.bounds, self.bounds, trailing)
        # The ticks that the last `settle` has settled, of symbols that something may wait for.
        self._settled: list[Quote] = []

    def settle(self, term: Term, *, only_own: bool, keep_unmarked: bool) -> Iterator[int]:
        """Write what the received ticks trigger; yield after each batch how many trades it closed.

        Ticks wait until their gap is settled, and until their corporate action is applied. With
        `only_own` no other process announces anything. With `keep_unmarked` the next call looks
        again at ticks of symbols without a mark.

        Raises PyMongoError, after the last batch, if the database was unavailable, and LeaseLost if
        the term has ended.
        """
        # Only marked symbols can have trades or alerts; the others need no query.
        traded, alerted = self._polled_symbols.traded, self._polled_symbols.alerted
        marked = traded | alerted
        held = self._gaps.held()
        left = taken = self._receiver.unsettled.take()
        ready = [tick for tick in taken if tick.symbol not in held]
        ticks, waiting = self._adjustments.divide(ready)
        try:
            # Before trades are looked for: see app/market_data/shared_quotes.py.
            self._receiver.sharing.store()
            self.announcements.refresh(term.epochs, only_own=only_own)
            yield from self._settle_ready(ticks, traded, alerted, term.fence)
            left = [
                tick
                for tick in taken
                if tick.symbol in held
                or tick in waiting
                or (keep_unmarked and tick.symbol not in marked)
            ]
        finally:
            self._receiver.publish()
            self._receiver.unsettled.put_back(left)
        self._settled = [tick for tick in ticks if tick.symbol in marked]

    def narrow_bounds(self) -> None:
        """Narrow the bounds that ticks of the last `settle` have reached. Raises PyMongoError."""
        self.bounds.narrow(self._settled)

    def _settle_ready(
        self,
        ticks: Sequence[Quote],
        traded: Collection[str],
        alerted: Collection[str],
        fence: Fence,
    ) -> Iterator[int]:
        deciding = self._gaps.deciding(ticks)
        quiet = self.bounds.quiet(ticks)
        of_trades = [tick for tick in ticks if tick.symbol in traded]
        of_alerts = [tick for tick in ticks if tick.symbol in alerted and tick.symbol not in quiet]
        exits = find_triggered(of_trades, deciding, self._trailing, quiet)
        triggers = find_crossed(of_alerts, deciding)
        self._receiver.publish()
        written: list[object] = []
        outage: PyMongoError | None = None
        for result in chain[BatchResult[Any]](
            apply_transitions(exits, fence, self._trailing),
            fire_alerts(triggers, fence),
        ):
            written += result.written
            outage = outage or result.outage
            yield len(closed_trades(result.written))
        if outage:
            raise outage
        self._trailing.advance(of_trades, closed_trades(written))
        self._gaps.decided(deciding)
        settle_rests(written)
