"""The rules of trades and their money. Prices and amounts are rupees.

A trade is its document. Signed prices are prices times the sign of the side: a higher one is
better for the trade, on either side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from tests.support.audit.snapshot import Document

MARGIN_RATE = Decimal("0.2")
CENT = Decimal("0.01")
ZERO = Decimal(0)
OPEN = ("PENDING", "ACTIVE")
# Why a trade was closed, by its status.
CLOSED = {
    "CLOSED": "user",
    "STOP_LOSS_HIT": "stop_loss",
    "TRAILING_STOP_HIT": "trailing_stop",
    "TARGET_HIT": "target",
}
# Why an entry ended unfilled, by its status.
UNFILLED = {
    "CANCELLED": ("user", "oco", "oco_rejected", "ioc", "portfolio_reset"),
    "EXPIRED": ("expired",),
    "REJECTED": ("insufficient_margin",),
}
TRAILING = ("trailing_offset", "trailing_pct", "trailing_step")


@dataclass(frozen=True)
class Level:
    """A price that a trade waits for, from above if it `falls`."""

    price: Decimal
    falls: bool

    def is_reached(self, price: Decimal) -> bool:
        return price <= self.price if self.falls else price >= self.price


def sign_of(trade: Document) -> int:
    return 1 if trade["trade_type"] == "BUY" else -1


def margin_at(price: Decimal, quantity: int) -> Decimal:
    """Return the rupees that a quantity blocks at a price."""
    return _rounded(price * quantity * MARGIN_RATE)


def released(margin: Decimal, exited: int, quantity: int) -> Decimal:
    """Return the rupees of a margin that the exits of a part of a quantity have released."""
    return _rounded(margin * exited / quantity)


def exited_in_parts(trade: Document) -> int:
    return sum(part["quantity"] for part in trade.get("partial_exits", ()))


def held(trade: Document) -> int:
    """Return the units that a trade holds."""
    return trade["quantity"] - exited_in_parts(trade) if trade["status"] == "ACTIVE" else 0


def blocked(trade: Document) -> Decimal:
    """Return the rupees that a trade blocks."""
    if trade["status"] not in OPEN:
        return ZERO
    margin: Decimal = trade["margin_used"]
    return margin - released(margin, exited_in_parts(trade), trade["quantity"])


def pnl_at(trade: Document, price: Decimal, quantity: int) -> Decimal:
    """Return the rupees that a quantity of a trade earns at a price."""
    earned: Decimal = (price - trade["entry_price"]) * quantity * sign_of(trade)
    return earned


def realized(trade: Document) -> Decimal:
    """Return the rupees that a trade has earned so far."""
    if trade["status"] in CLOSED:
        pnl: Decimal = trade["pnl"]
        return pnl
    return sum_of(part["pnl"] for part in trade.get("partial_exits", ()))


def entry_level(trade: Document) -> Level:
    """Return what the entry of a trade waits for: a better price for a limit, a worse for a stop.

    A stop-limit waits for its stop, and once that was reached for its limit.
    """
    buys = trade["trade_type"] == "BUY"
    kind, triggered = trade["order_type"], trade.get("triggered_at")
    if kind == "LIMIT" or (kind == "STOP_LIMIT" and triggered is not None):
        return Level(trade["limit_price"], falls=buys)
    return Level(trade["stop_price"], falls=not buys)


def stop_level(trade: Document, best: Decimal | None = None) -> Level | None:
    """Return the stop that counts, the tighter one, after a best price since the start."""
    sign = sign_of(trade)
    stops = [stop for stop in (trade["stop_loss"], trailing_stop(trade, best)) if stop is not None]
    if not stops:
        return None
    return Level(max(stop * sign for stop in stops) * sign, falls=sign > 0)


def target_level(trade: Document) -> Level | None:
    target = trade["target_price"]
    return None if target is None else Level(target, falls=trade["trade_type"] == "SELL")


def trailing_start(trade: Document) -> Document:
    """Return the price that the trailing stop follows from, and its time."""
    started: Document | None = trade.get("trailing_start")
    entered = {"price": trade["entry_price"], "timestamp": trade["entry_timestamp"]}
    return started or entered


def trailing_stop(trade: Document, best: Decimal | None = None) -> Decimal | None:
    """Return the level of the trailing stop after a best price, that of its start by default.

    The best price counts in whole steps from the start. The level is rounded to the tick away from
    the market.
    """
    offset, percent = trade.get("trailing_offset"), trade.get("trailing_pct")
    if offset is None and percent is None:
        return None
    sign = sign_of(trade)
    start, step = trailing_start(trade)["price"] * sign, trade["trailing_step"]
    moved = ZERO if best is None else max(best * sign - start, ZERO)
    followed = start + moved // step * step
    distance = offset if percent is None else abs(followed) * percent / 100
    tick = trade["trailing_tick_size"]
    ticks = ((followed - distance) / tick).to_integral_value(ROUND_FLOOR)
    level: Decimal = ticks * tick * sign
    return level


def triggers(trade: Document) -> tuple[Decimal | None, Decimal | None]:
    """Return the prices at or under and at or over which something happens to an open trade."""
    if trade["status"] == "PENDING":
        levels: list[Level | None] = [entry_level(trade)]
    else:
        levels = [stop_level(trade), target_level(trade)]
    below, above = (
        next((each.price for each in levels if each and each.falls is falls), None)
        for falls in (True, False)
    )
    return below, above


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
