"""Executing trades: here a price fills an entry, or a stop-loss or a target fires.

`app.trades.triggers` finds what prices cause. `apply_transitions` writes it in batches: one
transaction changes the trades of a batch, blocks and releases their margin, books their P&L and
records their events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from bson import ObjectId

from app.database.batches import BatchResult, ClaimLost, Fence, write_in_batches
from app.database.transactions import WriteConflict, run_transaction
from app.domain.bounds import NOTHING, Bounds
from app.domain.bracket import Bracket
from app.domain.corporate_actions import Adjusted
from app.domain.entry import Entered, EntryOrder
from app.domain.fill import Exit
from app.domain.money import ZERO
from app.domain.position import Position
from app.domain.trade import (
    Ended,
    EndReason,
    Modified,
    end_entry,
)
from app.events import publish_events, record_events
from app.models import (
    EventDraft,
    Notification,
    Portfolio,
    PortfolioDelta,
    Trade,
    TradeChange,
    apply_changes,
)
from app.services import now, services
from app.trades.events import trade_changed
from app.trades.pairs import cancellation, find_others
from app.trades.rebasing import rebase_all
from app.trades.rests import write_rests
from app.trades.trailing import TrailingStops

# How often a transaction changes a trade again: each such change may need a step of its own.
MAX_REPEATS = 25
# Each try loses against another change of a trade of the batch.
MAX_TRIES = 5

T = TypeVar("T")


def apply_transitions(
    changes: Sequence[TradeChange],
    fence: Fence | None = None,
    trailing: TrailingStops | None = None,
) -> Iterator[BatchResult[TradeChange]]:
    """Change trades in batches; yield each result.

    The changes of one user are written in their order: after an outage no later one is. A trade
    that its user changed meanwhile, by an exit of a part or a modification, is changed
    according to what it is now; one that is over is skipped. `trailing` is what the changes were
    found with. Raises LeaseLost if the `fence` does.
    """
    diverged: set[ObjectId] = set()
    apply = partial(_apply_latest, fence=fence, trailing=trailing, diverged=diverged)
    yield from write_in_batches(_with_few_repeats(changes), apply, name_change)


def _apply_latest(
    changes: Sequence[TradeChange],
    fence: Fence | None,
    trailing: TrailingStops | None,
    diverged: set[ObjectId],
) -> Sequence[TradeChange]:
    """Write changes, or what their prices cause to the trades as they are now; return them.

    `diverged` are the trades that a user changed meanwhile. A later change of one of them was found
    for what it would have become, and its version may be the same by chance. Raises WriteConflict
    if the user of one changes it again and again: a later pass decides.
    """
    latest = changes
    if not diverged.isdisjoint(item.trade.id for item in changes):
        latest = rebase_all(changes, trailing, diverged)
    for _ in range(MAX_TRIES):
        if not latest:
            return ()
        try:
            apply_steps(_to_steps(latest), lambda _: None, fence)
        except ClaimLost:
            latest = rebase_all(changes, trailing, diverged)
        else:
            return latest
    raise WriteConflict("trades of a batch kept being changed", 50)


def apply_batch(
    changes: Sequence[TradeChange],
    also: Callable[[datetime], object] | None = None,
    fence: Fence | None = None,
) -> None:
    """Change trades in one transaction, and publish their events. Each trade occurs once.

    The transaction ends with `also(now)`. An entry whose margin is no longer available is
    rejected. Raises ClaimLost if a trade is no longer as expected, and LeaseLost if the `fence`
    does.
    """
    apply_steps([changes], also or (lambda _: None), fence)


def apply_steps(
    steps: Sequence[Sequence[TradeChange]],
    finish: Callable[[datetime], T],
    fence: Fence | None = None,
) -> T:
    """Change trades in one transaction, step by step, and publish their events.

    A later step may change the trades of an earlier one again, unless that has ended them: as it
    cancels the other order of a pair. The transaction ends with `finish(now)`, whose result is
    returned. Raises what `apply_batch` does.
    """
    changes = [item for step in steps for item in step]
    widening = services().bounds.widen(_new_levels(changes))

    def write() -> tuple[list[Notification], T]:
        time = now()
        drafts: list[EventDraft] = []
        ended: set[ObjectId] = set()
        for step in steps:
            left = [item for item in step if item.trade.id not in ended]
            done = _write_step(left, time) if left else []
            ended |= {item.trade.id for item in done if not item.transition.after.is_open}
            rests = write_rests(done, time)
            for item in done:
                drafts += filter(None, (trade_changed(item), rests.get(item.trade.id)))
        events = record_events(drafts, time)
        result = finish(time)
        if fence is not None:
            fence({item.trade.symbol for item in changes})
        widening.require()
        return events, result

    events, result = run_transaction(
        write,
        already_committed=lambda written: Notification.are_written(written[0]),
        user_ids={item.user_id for item in changes},
    )
    publish_events(events)
    return result


def _new_levels(changes: Iterable[TradeChange]) -> dict[str, Bounds]:
    levels: dict[str, Bounds] = {}
    for item in changes:
        symbol = item.trade.symbol
        levels[symbol] = levels.get(symbol, NOTHING).joined(item.new_levels)
    return levels


def _write_step(changes: Sequence[TradeChange], time: datetime) -> Sequence[TradeChange]:
    resolved = _resolve_entries(changes)
    if apply_changes(resolved, time) < len(resolved):
        raise ClaimLost
    deltas = _portfolio_deltas(resolved)
    if Portfolio.settle_many(deltas, time) != len(deltas):
        raise RuntimeError("a portfolio vanished while its trades were being changed")
    return resolved


def closed_trades(written: Iterable[object]) -> list[Trade]:
    """Return the trades that the written items closed."""
    return [item.trade for item in written if isinstance(item, TradeChange) and item.is_last_exit]


def name_change(change: TradeChange) -> str:
    """Return the name of this change in a log."""
    kind = "exit" if change.exit else "entry"
    return f"the {kind} of trade {change.trade.id}"


def _with_few_repeats(changes: Sequence[TradeChange]) -> Iterator[Sequence[TradeChange]]:
    """Yield the changes in order, in parts of so few steps that one transaction writes them."""
    part: list[TradeChange] = []
    seen: set[ObjectId] = set()
    repeats = 0
    for change in changes:
        repeats += not seen.isdisjoint(_own_and_pair(change))
        if repeats > MAX_REPEATS:
            yield part
            part, seen, repeats = [], set(), 0
        part.append(change)
        seen.add(change.trade.id)
    if part:
        yield part


def _to_steps(changes: Sequence[TradeChange]) -> list[list[TradeChange]]:
    """Return the changes in steps in which each trade occurs once, those of a user in order.

    The entries of a pair are in different steps. Otherwise it would depend on the batches whether
    the trigger of one is recorded before the fill of the other cancels it.
    """
    steps: list[dict[ObjectId, TradeChange]] = [{}]
    latest: dict[str, int] = {}
    for change in changes:
        number = latest.get(change.user_id, 0)
        if not _own_and_pair(change).isdisjoint(steps[number]):
            number += 1
            if number == len(steps):
                steps.append({})
        latest[change.user_id] = number
        steps[number][change.trade.id] = change
    return [list(step.values()) for step in steps]


def _own_and_pair(change: TradeChange) -> set[ObjectId]:
    trade = change.trade
    return {trade.id} if trade.oco_id is None else {trade.id, trade.oco_id}


def _resolve_entries(changes: Sequence[TradeChange]) -> Sequence[TradeChange]:
    """Return what is written: a fill or a rejection cancels the other entry of its pair.

    An entry whose margin is not available is rejected. In their order: what an exit or a cancelled
    entry releases is available to a later entry.
    """
    entering = {item.user_id for item in changes if isinstance(item.transition.change, Entered)}
    if not entering:
        return changes
    available = Portfolio.available_margins(entering)
    others = find_others(changes)
    written: list[TradeChange] = []
    for item in changes:
        cancelled = cancellation(item, others)
        if margins := available.get(item.user_id):
            name = item.trade.portfolio
            freed = _released(cancelled) if cancelled else ZERO
            if margins[name] + freed < _needed_margin(item):
                item = _rejected(item)
                cancelled = cancellation(item, others)
            margins[name] += freed + _released(item)
        written += filter(None, (cancelled, item))
    return written


def _rejected(item: TradeChange) -> TradeChange:
    return TradeChange(item.trade, end_entry(item.trade, EndReason.INSUFFICIENT_MARGIN))


def _needed_margin(item: TradeChange) -> Decimal:
    """Return the rupees that a change needs beyond what its trade blocks."""
    change = item.transition.change
    if not isinstance(change, Entered):
        return ZERO
    return item.trade.margin_after(change) + change.rest_margin - item.trade.margin_used


def _released(item: TradeChange) -> Decimal:
    """Return the rupees that a change makes available, its P&L included."""
    delta = PortfolioDelta(item.user_id)
    add_change(delta, item)
    return delta.margin + delta.pnl


def _portfolio_deltas(changes: Sequence[TradeChange]) -> dict[ObjectId, PortfolioDelta]:
    deltas: dict[ObjectId, PortfolioDelta] = {}
    for item in changes:
        delta = deltas.setdefault(item.trade.portfolio_id, PortfolioDelta(item.user_id))
        add_change(delta, item)
    return deltas


def add_change(delta: PortfolioDelta, item: TradeChange) -> None:
    """Add what a change of a trade changes in its portfolio."""
    trade, change = item.trade, item.transition.change
    if isinstance(change, Exit):
        exited = Position.part_of(trade.entered, change.quantity)
        margin, pnl = trade.margin_of(change), change.pnl
        delta.add(trade.symbol, exited, margin, pnl, trade.pnl_after(change))
    elif isinstance(change, Entered):
        delta.margin += trade.margin_used - trade.margin_after(change) - change.rest_margin
        delta.rests += change.rest is not None
        delta.hold(trade.symbol, Position.of(change.bracket))
    elif isinstance(change, Ended):
        delta.margin += trade.margin_used
    elif isinstance(change, Adjusted):
        delta.pnl += change.adjustment.pnl
        if isinstance(change.terms, Bracket):
            delta.hold(trade.symbol, Position.of(change.terms) + -Position.of(trade.entered))
    elif isinstance(change, Modified) and isinstance(change.terms, EntryOrder):
        delta.margin += trade.margin_used - change.terms.margin_at(change.terms.margin_price)
