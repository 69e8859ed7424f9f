"""Verification: the prices, the P&L and the margin of a trade, derived again from its evidence.

The evidence of a fill is the quote that caused it and the rule that set its price. Every figure is
computed here from those and from the terms of the trade, and compared with what is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.corporate_actions import Adjustment, divide
from app.domain.entry import EntryOrder, MarginBasis
from app.domain.fill import SLIPPING, ExitReason, Fill, FillKind, FillRule
from app.domain.fill_profile import FillModel, Slippage
from app.domain.money import ZERO, format_rupees, required_margin, to_paisa
from app.domain.order import OrderType, TimeInForce
from app.domain.side import TradeType
from app.domain.triggers import SettledFrom


@dataclass(frozen=True, slots=True)
class Step:
    """One derived value (rupees) beside the recorded one. `reason` says how it is derived.

    `flaw` is what is wrong with the evidence itself, if anything.
    """

    name: str
    reason: str
    derived: Decimal
    recorded: Decimal
    flaw: str = ""

    @property
    def agrees(self) -> bool:
        return self.derived == self.recorded and not self.flaw


@dataclass(frozen=True, slots=True)
class Record:
    """What is recorded of a trade that was entered. Amounts are rupees.

    `margin_rate` is the fraction of the entry's value that was blocked as `margin_used`. `ordered`
    is the quantity of an order that was filled in part.
    `brackets` are the bracket in the units of the entry and then of each exit: corporate actions
    change them by the `adjustments`.
    """

    brackets: Sequence[Bracket]
    adjustments: Sequence[Adjustment]
    order: EntryOrder | None
    fills: Sequence[Fill]
    pnl: Decimal | None
    margin_used: Decimal
    margin_rate: Decimal
    ordered: int | None = None


def verify(record: Record) -> Iterator[Step]:
    """Yield each step of the derivation, in order."""
    exits = [fill for fill in record.fills if fill.kind is FillKind.EXIT]
    side, exited = record.brackets[0].trade_type.sign, 0
    for fill in record.fills:
        if fill.kind is FillKind.ENTRY:
            entry = _entry(fill, record.brackets[0], record.order)
            yield from _under_model(entry, fill, side, "entry", "entry")
            if record.ordered is not None:
                yield _part(fill, record.ordered)
    yield _margin(record)
    for number, (fill, bracket) in enumerate(zip(exits, record.brackets[1:], strict=True), 1):
        exit = _exit(number, fill, bracket)
        yield from _under_model(exit, fill, -side, f"exit {exited}", f"target {exited}")
        yield _pnl(number, fill, bracket)
        exited += fill.quantity
    for adjustment in record.adjustments:
        yield from _adjustment(adjustment, record.brackets[0].trade_type)
    if exits or record.adjustments:
        pnls = [fill.pnl or ZERO for fill in exits]
        pnls += [adjustment.pnl for adjustment in record.adjustments]
        reason = "the sum over all exits" + (" and adjustments" if record.adjustments else "")
        yield Step("P&L of the trade", reason, sum(pnls, ZERO), record.pnl or ZERO)


def _adjustment(each: Adjustment, trade_type: TradeType) -> Iterator[Step]:
    """Yield the entry price after a corporate action, and what it booked."""
    name = f"{each.ratio} {each.kind}" if each.ratio else each.kind.value
    if each.amount is not None:
        reason = f"{each.amount} x {each.quantity}" + (" x -1" if trade_type.sign < 0 else "")
        derived = each.amount * each.quantity * trade_type.sign + ZERO
        yield Step(f"Booked by {name}", reason, derived, each.pnl)
    before, after = each.entry_price_before, each.entry_price
    if before is None or after is None or not each.kind.changes_units:
        return
    factor = each.factor
    yield Step(
        f"Entry after {name}", f"{before} / {factor}", to_paisa(divide(before, factor)), after
    )
    fraction = each.quantity_before * factor - each.quantity
    close = divide(before if each.close is None else each.close, factor)
    cash = to_paisa(close * fraction.numerator / fraction.denominator)
    rest = cash + after * each.quantity - before * each.quantity_before
    reason = f"{fraction} at {close.normalize():f}, and the rounding of the entry price"
    yield Step(f"Booked by {name}", reason, rest * trade_type.sign + ZERO, each.pnl)


def verify_margin(
    order: EntryOrder, margin_used: Decimal, *, ended_on_arrival: bool = False
) -> Step:
    """Return the derivation of what an order without a fill blocks, or blocked until it ended."""
    basis = order.margin_basis or MarginBasis(order.margin_price, order.quantity)
    name, price = "Margin blocked", basis.price
    if order.time_in_force is TimeInForce.IOC or ended_on_arrival:
        return Step(name, "nothing: the order did not wait", ZERO, margin_used)
    reason = f"{price} x {basis.quantity} x {order.margin_rate}"
    derived = required_margin(price, basis.quantity, order.margin_rate)
    return Step(name, reason, derived, margin_used)


def _entry(fill: Fill, bracket: Bracket, order: EntryOrder | None) -> Step:
    name = f"Entry of {fill.quantity}"
    limit = order.limit_price if order else None
    stop = order.stop_price if order and order.order_type is OrderType.STOP else None
    # A buyer's limit is reached from above, its stop from below.
    reached = bracket.trade_type
    opposite = TradeType.SELL if reached is TradeType.BUY else TradeType.BUY
    if fill.rule is FillRule.LIMIT and limit is not None:
        flaw = _unless_reached(fill, limit, opposite)
        return Step(name, f"limit: at the limit itself, {_quoted(fill)}", limit, fill.price, flaw)
    if fill.rule is FillRule.CANDLE and stop is not None:
        return Step(name, "candle: at the stop that a candle reached", stop, fill.price)
    flaw = _unless_reached(fill, stop, reached) or _unless_reached(fill, limit, opposite)
    return Step(name, f"{_rule(fill)}: {_quoted(fill)}", fill.quote.price, fill.price, flaw)


def _exit(number: int, fill: Fill, bracket: Bracket) -> Step:
    name = f"Exit {number} of {fill.quantity} ({fill.reason})"
    # A stop lies on the losing side, a target on the winning one.
    losing = TradeType.SELL if bracket.trade_type is TradeType.BUY else TradeType.BUY
    flaw = "" if bracket.may_exit_at(fill.quote) else "a real entry exited at a mock price"
    if fill.reason is ExitReason.TARGET:
        target = bracket.target_price
        flaw = flaw or _unless_reached(fill, target, bracket.trade_type)
        if fill.rule is FillRule.LIMIT and target is not None:
            reason = f"limit: at the target itself, {_quoted(fill)}"
            return Step(name, reason, target, fill.price, flaw)
    elif fill.reason is not ExitReason.USER:
        flaw = flaw or _unless_reached(fill, _stop(fill, bracket), losing)
    return Step(name, f"{_rule(fill)}: {_quoted(fill)}", fill.quote.price, fill.price, flaw)


def _stop(fill: Fill, bracket: Bracket) -> Decimal | None:
    if fill.reason is ExitReason.STOP_LOSS:
        return bracket.stop_loss
    trailing = bracket.trailing_stop
    if trailing is None or fill.best is None:
        return None
    return trailing.terms.level(bracket.trade_type, trailing.start.price, fill.best.price)


def _under_model(step: Step, fill: Fill, side: int, execution: str, limit: str) -> Iterator[Step]:
    """Yield the step of a fill as its model changes it, after the slippage if it has some.

    `execution` and `limit` are the indices of its random numbers.
    """
    model, slip = fill.model, fill.slip
    if model is None or fill.rule not in SLIPPING:
        flaw = "" if slip is None else "a fill of this rule has no slippage"
        yield replace(step, flaw=step.flaw or flaw or _unless_filled(fill, limit))
        return
    if slip is None:
        yield replace(step, flaw="no slippage is recorded")
        return
    derived = model.price(step.derived, side, slip.spread, slip.latency, slip.bound)
    amount = abs(derived - step.derived)
    is_drawn = slip.latency == model.latency(execution)
    flaw = "" if is_drawn else f"the seed gives {model.latency(execution)} ticks of latency"
    reason = _slippage(model, slip, side)
    yield Step(f"Slippage of {step.name.lower()}", reason, amount, slip.amount, flaw)
    how = f"{step.reason}, {'+' if side > 0 else '-'} {amount}"
    yield replace(step, reason=how, derived=derived)


def _slippage(model: FillModel, slip: Slippage, side: int) -> str:
    """Return the slippage of a fill in words."""
    half = f"{model.slippage_bps} bps" if slip.spread is None else f"half of {slip.spread} spread"
    latency = f", {slip.latency} ticks of latency" if slip.latency else ""
    worst = "most" if side > 0 else "least"
    bound = "" if slip.bound is None else f", at {worst} {slip.bound}"
    return f"{model.profile}: {half} in ticks of {model.tick_size}{latency}{bound}"


def _unless_filled(fill: Fill, limit: str) -> str:
    """Return a flaw if a tick touched the limit of a fill in a minute that fills none."""
    model = fill.model
    is_touched = fill.rule is FillRule.LIMIT and fill.price == fill.quote.price
    # A candle is recorded at the limit, however far its prices went.
    if model is None or not is_touched or fill.settled_from is SettledFrom.GAP:
        return ""
    if model.fills_touched(limit, fill.quote.timestamp):
        return ""
    return "the seed leaves a limit waiting that is touched in this minute"


def _part(fill: Fill, ordered: int) -> Step:
    """Return the derivation of the units of an order that a touched limit filled."""
    time = fill.quote.timestamp
    part = fill.model.part_touched("entry", time, ordered) if fill.model else ordered
    reason = f"the seed's part of {ordered} in this minute"
    return Step("Filled part", reason, Decimal(part), Decimal(fill.quantity))


def _pnl(number: int, fill: Fill, bracket: Bracket) -> Step:
    entry, sign = bracket.entry_price, bracket.trade_type.sign
    reason = f"({fill.price} - {entry}) x {fill.quantity}" + (" x -1" if sign < 0 else "")
    derived = (fill.price - entry) * fill.quantity * sign + ZERO
    return Step(f"P&L of exit {number}", reason, derived, fill.pnl or ZERO)


def _margin(record: Record) -> Step:
    entry, rate = record.brackets[0], record.margin_rate
    price, quantity = entry.entry_price, entry.quantity
    reason, rest = f"{price} x {quantity} x {rate}", ZERO
    if record.ordered is not None:
        # So that the part and the rest block what the whole order blocked, to the paisa.
        rest = required_margin(price, record.ordered - quantity, rate)
        quantity, reason = record.ordered, f"{price} x {record.ordered} x {rate} - {rest}, the rest"
    derived = required_margin(price, quantity, rate) - rest
    return Step("Margin used", reason, derived, record.margin_used)


def _unless_reached(fill: Fill, level: Decimal | None, upwards: TradeType) -> str:
    """Return a flaw unless the quote of a fill is at a level or beyond it."""
    if level is None or (fill.quote.price - level) * upwards.sign >= 0:
        return ""
    return f"the quote did not reach {level}"


def _rule(fill: Fill) -> str:
    return fill.rule.value if fill.rule else "a trade of an earlier version, at its quote"


def _quoted(fill: Fill) -> str:
    quote = fill.quote
    return f"{quote.source} quoted {format_rupees(quote.price)} at {quote.timestamp.isoformat()}"
