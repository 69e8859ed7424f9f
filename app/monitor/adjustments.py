"""Corporate actions in the settlement: prices before an ex-date meet the old terms, later the new.

The ticks of a symbol from the open of an ex-date on wait until its trades and alerts are adjusted.
Those of the pre-open session may be of either units, and settle nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from app.alerts.adjusting import adjust_alerts
from app.database.batches import Fence
from app.domain.candle import Candle
from app.domain.corporate_actions import CorporateAction, in_order
from app.domain.money import to_paisa
from app.domain.quote import Quote, Source
from app.logs import logger
from app.models import SymbolState
from app.models.stored_action import StoredAction
from app.services import Services, now
from app.trades.adjusting import adjust_trades
from app.trades.trailing import TrailingStops

# A trade that was being written meanwhile is adjusted by a later sweep. Each comes after twice the
# time of the one before; after the last, nothing is being written any more.
FIRST_SWEEP_SECONDS = 6.0
SWEEP_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class _Due:
    """An action that a tick waits for, and the price (rupees) of the tick before, if known."""

    action: CorporateAction
    close: Decimal | None
    tick: Quote


@dataclass(frozen=True, slots=True)
class _Sweep:
    """A later search for what an action has not adjusted, `seconds` after the one before."""

    action: CorporateAction
    seconds: float
    due_at: float


class Adjustments:
    def __init__(self, parts: Services, trailing: TrailingStops) -> None:
        self._actions = parts.actions
        self._quotes = parts.quotes
        self._clock = parts.clock
        # Whether a simulated price may stand for an exchange's.
        self._is_remote = parts.feed.remote
        self._trailing = trailing
        self._due: dict[str, _Due] = {}
        # By id, until no trade can be missed any more.
        self._sweeps: dict[str, _Sweep] = {}

    def refresh(self) -> Sequence[Quote]:
        """Learn what was loaded; return the ticks of its symbols that are held as jumps.

        Raises PyMongoError.
        """
        new = self._actions.refresh()
        pending = self._quotes.tick_filter.pending
        return [pending[symbol].quote for symbol in sorted(new & pending.keys())]

    def forget(self) -> None:
        """Forget what is applied: another process settles these symbols meanwhile."""
        self._due.clear()
        self._sweeps.clear()
        self._actions.forget_applied()

    def divide(self, ticks: Sequence[Quote]) -> tuple[list[Quote], set[Quote]]:
        """Return the ticks that may be settled now, and those that wait for an action."""
        if self._actions.symbols.isdisjoint(tick.symbol for tick in ticks):
            return list(ticks), set()
        ready: list[Quote] = []
        waiting: set[Quote] = set()
        closes: dict[str, Decimal] = {}
        for tick in ticks:
            if action := self._awaited(tick):
                waiting.add(tick)
                self._due.setdefault(action.id, _Due(action, closes.get(tick.symbol), tick))
            elif not self._is_unclear(tick.symbol, tick.timestamp, tick.source):
                ready.append(tick)
                closes[tick.symbol] = tick.price
        return ready, waiting

    @property
    def is_due(self) -> bool:
        """Whether ticks wait for an action."""
        return bool(self._due)

    def apply_due(self, fence: Fence) -> None:
        """Adjust what ticks wait for. Call it once all earlier ticks are settled.

        Raises PyMongoError, and LeaseLost if the `fence` does.
        """
        actions = in_order(due.action for due in self._due.values())
        for action in actions:
            due = self._due[action.id]
            close = due.close or self._close_of(action)
            if close is None:
                # Nothing older is known than the first price after it.
                close = _multiplied(due.tick.price, action.factor)
            self._apply(action, close, fence)
            del self._due[action.id]

    def sweep(self, fence: Fence) -> None:
        """Adjust what was being written when its action was applied. Raises as `apply_due` does."""
        time = self._clock.monotonic()
        for sweep in [each for each in self._sweeps.values() if each.due_at <= time]:
            self._adjust(sweep.action, None, fence)
            if sweep.seconds >= SWEEP_SECONDS:
                StoredAction.mark_applied(sweep.action, now())
                # Other processes value positions by its state.
                StoredAction.count_load()
                del self._sweeps[sweep.action.id]
            else:
                self._begin_sweep(sweep.action, 2 * sweep.seconds)

    def between(
        self, symbols: Iterable[str], since: datetime, until: datetime
    ) -> list[CorporateAction]:
        """Return the actions of these symbols that a gap contains and that are not applied."""
        return in_order(
            action
            for symbol in symbols
            for action in self._actions.of(symbol)
            if since < action.opens_at <= until and not self._actions.is_applied(action)
        )

    def apply_in_gap(
        self, action: CorporateAction, candles: Iterable[Candle], fence: Fence
    ) -> None:
        """Adjust what an action within a gap changes; `candles` are those before it."""
        last = max(candles, key=lambda candle: candle.time, default=None)
        self._apply(action, last.close if last else self._close_of(action), fence)

    def restored(self, candles: Sequence[Candle]) -> list[Candle]:
        """Return candles of a symbol in the units of their time, without those of a pre-open."""
        return [
            self._restored(candle)
            for candle in candles
            if not self._is_unclear(candle.symbol, candle.time, candle.source)
        ]

    def _restored(self, candle: Candle) -> Candle:
        if candle.source is not Source.YAHOO:
            return candle
        # Yahoo divides earlier prices by later splits.
        time = self._clock.now()
        factors = self._actions.factors_between(candle.symbol, candle.time, time)
        factor = next(iter(factors), Fraction(1))
        return replace(
            candle,
            open=_multiplied(candle.open, factor),
            high=_multiplied(candle.high, factor),
            low=_multiplied(candle.low, factor),
            close=_multiplied(candle.close, factor),
        )

    def _awaited(self, tick: Quote) -> CorporateAction | None:
        """Return the first action that must be applied before a tick is settled."""
        if self._is_remote and tick.source is Source.MOCK:
            return None
        for action in self._actions.of(tick.symbol):
            if action.opens_at <= tick.timestamp and not self._actions.is_applied(action):
                return action
        return None

    def _is_unclear(self, symbol: str, time: datetime, source: Source) -> bool:
        """Return whether a price is of a pre-open, or of units that trades no longer have.

        The simulated market divides its prices at the open.
        """
        has_pre_open = source is not Source.MOCK
        return any(
            time < action.opens_at
            and ((has_pre_open and action.pre_open <= time) or self._actions.is_applied(action))
            for action in self._actions.of(symbol)
            if action.kind.changes_units
        )

    def _close_of(self, action: CorporateAction) -> Decimal | None:
        """Return the last known price before an action, None if none is known."""
        ticks = self._quotes.ticks(action.symbol)
        before = [tick for tick in ticks if tick.timestamp < action.opens_at]
        if before:
            return before[-1].price
        stored = SymbolState.find_quote(action.symbol)
        return stored.price if stored and stored.timestamp < action.opens_at else None

    def _apply(self, action: CorporateAction, close: Decimal | None, fence: Fence) -> None:
        # Of the first try: the fraction of a share is paid for once.
        count = self._adjust(action, StoredAction.fix_close(action, close), fence)
        self._actions.note_applied(action)
        self._begin_sweep(action, FIRST_SWEEP_SECONDS)
        logger.info("%s: %d trades and alerts were adjusted", action.id, count)

    def _begin_sweep(self, action: CorporateAction, seconds: float) -> None:
        due_at = self._clock.monotonic() + seconds
        self._sweeps[action.id] = _Sweep(action, seconds, due_at)

    def _adjust(self, action: CorporateAction, close: Decimal | None, fence: Fence) -> int:
        close = StoredAction.fix_close(action, None) if close is None else close
        trades = adjust_trades(action, close, self._trailing, fence)
        if trades:
            self._trailing.reread(action.symbol)
        return trades + adjust_alerts(action)


def _multiplied(price: Decimal, factor: Fraction) -> Decimal:
    return to_paisa(price * factor.numerator / factor.denominator)


def only(candles: Iterable[Candle], begin: datetime, end: datetime | None) -> list[Candle]:
    """Return the candles that began from `begin` to before `end`."""
    return [each for each in candles if begin <= each.time and (end is None or each.time < end)]
