"""Modifying and cancelling trades. Each answers with the trade as it then is.

A change is one update, guarded by the status and the version of the trade: if something else has
changed the trade first, the error has the trade as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import ClaimLost
from app.domain.bracket import Bracket
from app.domain.checks import (
    Funds,
    Market,
    form_problems,
    insufficient_margin,
    market_problems,
    tick_size_of,
)
from app.domain.entry import Entered, EntryOrder
from app.domain.errors import ResultUnconfirmed
from app.domain.instrument import Instrument
from app.domain.modification import (
    TRAILING_FIELDS,
    changes_order,
    modified_bracket,
    modified_order,
    modified_trailing,
)
from app.domain.order import Order, OrderType
from app.domain.quote import Quote
from app.domain.trade import EndReason, Modified, TradeStatus, Transition, end_entry, enter, modify
from app.domain.trade_errors import ChangedMeanwhile, NotPending, TradeEnded
from app.domain.trailing import Start, Unit
from app.models import IdempotencyKey, IdempotencyRecord, Trade, TradeChange
from app.portfolio.service import get_portfolio
from app.portfolio.valuation import value
from app.services import market_time, services
from app.trades.execution import apply_steps
from app.trades.placing import expiry
from app.trades.service import get_trade, settle_ticks_since
from app.trades.state import trade_state

# Each try loses against another change of the same trade.
MAX_TRIES = 5


def modify_trade(
    user_id: str,
    trade_id: str,
    fields: Mapping[str, Any],
    key: IdempotencyKey | None = None,
    *,
    version: int | None = None,
) -> Trade:
    """Change terms of the user's trade; for a retry of `key`, return the trade as it then was.

    A pending order has other prices, quantity and levels, an active trade other levels. A
    limit that the price has reached is filled at once. Raises NotFound, NotPending for terms that
    an entered trade no longer has, TradeEnded, ChangedMeanwhile if the trade has another `version`
    or is changed at the same time, InvalidFields, and what app.domain.checks finds.
    """
    if earlier := _changed_earlier(key):
        return earlier
    trade = get_trade(user_id, trade_id)
    _require_modifiable(trade, fields, version)
    instrument = services().instruments.get_ordered(trade.symbol)
    if not TRAILING_FIELDS.isdisjoint(fields):
        services().bounds.expect_trailing_stop(trade.symbol)
    market = _market(trade)
    since = market.quote or _origin(trade)
    modified = TradeChange(trade, modify(trade, _terms(trade, fields, since, instrument)))
    order = _as_order(modified, instrument)
    for problem in chain(
        form_problems(order, instrument, fields),
        market_problems(order, instrument, market, fields),
    ):
        raise problem
    steps = [modified, *_filled_on_arrival(modified, market)]
    try:
        result = _write(trade, steps, key, partial(_require_margin, steps, order, instrument))
    except ClaimLost:
        _require_modifiable(get_trade(user_id, trade_id), fields, trade.version)
        raise ResultUnconfirmed from None
    settle_ticks_since(since, result)
    return result


def cancel_trade(user_id: str, trade_id: str, key: IdempotencyKey | None = None) -> Trade:
    """Cancel the user's entry order, or the exit of a trade that waits for the next session.

    For a retry of `key`, return the trade as it then was. Raises NotFound for an unknown trade,
    NotPending for one that has neither.
    """
    if earlier := _changed_earlier(key):
        return earlier
    for _ in range(MAX_TRIES):
        trade = get_trade(user_id, trade_id)
        try:
            return _write(trade, [TradeChange(trade, _cancellation(trade))], key)
        except ClaimLost:
            # It was modified or triggered: what is left of it is cancelled all the same.
            continue
    raise ResultUnconfirmed


def _cancellation(trade: Trade) -> Transition:
    if trade.status is TradeStatus.PENDING:
        return end_entry(trade, EndReason.USER)
    if trade.status is TradeStatus.ACTIVE and trade.entered.exit_queued:
        return modify(trade, replace(trade.entered, exit_queued=None))
    raise NotPending(trade_state(trade))


def _changed_earlier(key: IdempotencyKey | None) -> Trade | None:
    """Return the trade as an earlier try of this request left it."""
    record = IdempotencyRecord.find(key) if key else None
    return Trade.from_document(record["trade"]) if record else None


def _require_modifiable(trade: Trade, fields: Mapping[str, Any], version: int | None) -> None:
    if not trade.status.is_open:
        raise TradeEnded(trade_state(trade))
    if changes_order(fields) and trade.status is not TradeStatus.PENDING:
        raise NotPending(trade_state(trade))
    if version is not None and version != trade.version:
        raise ChangedMeanwhile(trade_state(trade))


def _market(trade: Trade) -> Market:
    """Return the market of a trade: its quote is the last one that may settle the trade.

    Outside market hours it has the present time of the market: only later prices count. Those of a
    closing auction that takes no orders any more do not.
    """
    parts, quote, time = services(), _last_quote(trade), market_time()
    if quote:
        parts.actions.require_current(quote, time)
        parts.actions.require_same_units(trade, quote)
    in_auction = parts.auctions.collects(trade.symbol, time)
    if parts.calendar.trading_allowed(time) and not in_auction:
        return Market(quote)
    ended = parts.auctions.matching(trade.symbol, time)
    quote = replace(quote, timestamp=ended.end if ended else time) if quote else None
    return Market(quote, queued_for=parts.calendar.session_of_order(time).day)


def _last_quote(trade: Trade) -> Quote | None:
    quotes, source = services().quotes, _origin(trade).source
    quote = quotes.confirmed([trade.symbol]).get(trade.symbol)
    if quote and quote.counts_for(source):
        return quote
    known = quotes.known([trade.symbol]).get(trade.symbol)
    return known.quote if known and known.quote.counts_for(source) else None


def _origin(trade: Trade) -> Quote:
    if trade.bracket is None:
        assert trade.order is not None
        return trade.order.placed
    bracket = trade.bracket
    return Quote(
        trade.symbol,
        bracket.entry_quote_price or bracket.entry_price,
        bracket.entry_source,
        bracket.entry_timestamp,
        bracket.entry_posting,
    )


def _terms(
    trade: Trade, fields: Mapping[str, Any], since: Quote, instrument: Instrument
) -> Bracket | EntryOrder:
    own = {name: value for name, value in fields.items() if name not in TRAILING_FIELDS}
    trailing = trade.terms.trailing
    if changed := {name: value for name, value in fields.items() if name in TRAILING_FIELDS}:
        tick_size = tick_size_of(instrument, "trailing_step")
        trailing = modified_trailing(trailing, changed, tick_size)
    if trade.bracket:
        start = trade.bracket.trailing_start
        if changed:
            # Not from its entry: the price may have been better than that for long.
            start = Start(since.price, since.source, since.timestamp, since.posting)
        bracket = modified_bracket(trade.bracket, own, since)
        return replace(bracket, trailing=trailing, trailing_start=start if trailing else None)
    assert trade.order is not None
    order = replace(modified_order(trade.order, own, since), trailing=trailing)
    if "time_in_force" in fields:
        return replace(order, expires_at=expiry(order.time_in_force))
    return order


def _as_order(modified: TradeChange, instrument: Instrument) -> Order:
    """Return the modified terms as an order, for the checks of an order."""
    trade = modified.trade
    change = modified.transition.change
    assert isinstance(change, Modified)
    terms = change.terms
    levels = terms.stop_loss, terms.target_price
    trailing = terms.trailing
    step = trailing.step if trailing else None
    offset = trailing.distance if trailing and trailing.unit is Unit.RUPEES else None
    if isinstance(terms, Bracket):
        # What it holds was checked when it was ordered.
        return Order(
            trade.symbol,
            trade.trade_type,
            instrument.lot_size,
            *levels,
            trailing_offset=offset,
            trailing_step=step,
        )
    is_limit = terms.waits_for_limit
    return Order(
        trade.symbol,
        trade.trade_type,
        terms.quantity,
        *levels,
        order_type=OrderType.LIMIT if is_limit else terms.order_type,
        limit_price=terms.limit_price,
        stop_price=None if is_limit else terms.stop_price,
        trailing_offset=offset,
        trailing_step=step,
    )


def _filled_on_arrival(modified: TradeChange, market: Market) -> list[TradeChange]:
    """Return the fill of a limit that the current price has reached."""
    trade, quote = modified.trade.after(modified.transition), market.quote
    if not trade or trade.bracket or not trade.order or not quote or market.is_queueing:
        return []
    if quote != services().quotes.confirmed([quote.symbol]).get(quote.symbol):
        return []
    entered = trade.order.filled_on_arrival(quote)
    return [TradeChange(trade, enter(trade, entered))] if entered else []


def _require_margin(steps: Sequence[TradeChange], order: Order, instrument: Instrument) -> None:
    """Raise InsufficientMargin if a modification needs more margin than was available."""
    trade, last = steps[0].trade, steps[-1].transition.change
    changed = Trade.find_by_id(trade.user_id, trade.id)
    assert changed is not None
    if changed.status is TradeStatus.REJECTED and isinstance(last, Entered):
        # It was to be filled at once. What it blocked is available again.
        available = get_portfolio(trade.user_id, trade.portfolio).available_margin
        assert changed.order is not None
        funds = Funds(available, changed.order.margin_rate)
        raise insufficient_margin(order, instrument, last.bracket.entry_price, funds)
    if (growth := changed.margin_used - trade.margin_used) <= 0:
        return
    portfolio = get_portfolio(trade.user_id, trade.portfolio)
    equity = value(portfolio).equity
    if portfolio.available_margin < 0 or equity <= 0:
        assert changed.order is not None
        available = portfolio.available_margin + growth + trade.margin_used
        funds = Funds(available, changed.order.margin_rate, equity if equity <= 0 else None)
        raise insufficient_margin(order, instrument, changed.order.margin_price, funds)


def _write(
    trade: Trade,
    steps: Sequence[TradeChange],
    key: IdempotencyKey | None,
    check: Callable[[], object] = lambda: None,
) -> Trade:
    """Write changes of one trade, one after the other; return the trade as it then is.

    The `check` may refuse what was written. Raises ClaimLost if the trade has changed meanwhile.
    """

    def finish(time: datetime) -> Document:
        check()
        document = Trade.find_document(trade.user_id, trade.id)
        assert document is not None
        if key:
            IdempotencyRecord.save(key, {"trade": document}, time)
        return document

    try:
        return Trade.from_document(apply_steps([[step] for step in steps], finish))
    except DuplicateKeyError:
        # The same request is handled twice at the same time.
        if earlier := _changed_earlier(key):
            return earlier
        raise ResultUnconfirmed from None
