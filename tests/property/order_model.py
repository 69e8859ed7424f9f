"""A model of one user's orders of every type in one symbol, which shares no code with the server.

Prices and amounts are paise, sides are +1 and -1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

MARGIN_RATE = Fraction(1, 8)


@dataclass
class Lot:
    """One trade: its order, and what has become of it."""

    side: int
    quantity: int
    type: str = "MARKET"
    limit: int | None = None
    stop: int | None = None
    stop_loss: int | None = None
    target: int | None = None
    status: str = "PENDING"
    triggered: bool = False
    entry: int | None = None
    margin: int = 0
    exited: int = 0
    pnl: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in ("PENDING", "ACTIVE")

    @property
    def held(self) -> int:
        return self.quantity - self.exited if self.status == "ACTIVE" else 0

    @property
    def blocked(self) -> int:
        return self.margin - share(self.margin, self.exited, self.quantity) if self.is_open else 0

    @property
    def waits_for_limit(self) -> bool:
        return self.type == "LIMIT" or (self.type == "STOP_LIMIT" and self.triggered)

    @property
    def waiting_price(self) -> int:
        price = self.limit if self.waits_for_limit else self.stop
        assert price is not None
        return price

    def is_filled_at(self, price: int) -> bool:
        """Whether a price reaches what the order waits for."""
        if self.waits_for_limit:
            return self.side * price <= self.side * self.waiting_price
        return self.side * price >= self.side * self.waiting_price

    def worth_at(self, price: int) -> int:
        return 0 if self.entry is None else self.side * self.held * (price - self.entry)


@dataclass
class Refusal(Exception):
    code: str


@dataclass
class OrderModel:
    initial: int
    price: int
    lots: list[Lot] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    @property
    def total_pnl(self) -> int:
        return sum(lot.pnl for lot in self.lots)

    @property
    def utilized(self) -> int:
        return sum(lot.blocked for lot in self.lots)

    @property
    def available(self) -> int:
        return self.initial + self.total_pnl - self.utilized

    @property
    def equity(self) -> int:
        return self.initial + self.total_pnl + sum(lot.worth_at(self.price) for lot in self.lots)

    def create(self, lot: Lot) -> Lot:
        """Place an order at the current price; it may be filled at once."""
        if lot.stop is not None and lot.side * self.price >= lot.side * lot.stop:
            raise Refusal("would_trigger_immediately")
        fills = lot.type == "MARKET" or (lot.type == "LIMIT" and lot.is_filled_at(self.price))
        lot.margin = margin_at(self.price if fills else lot.limit or lot.stop or 0, lot.quantity)
        if lot.margin > self.available or self.equity <= 0:
            raise Refusal("insufficient_margin")
        if fills:
            lot.status, lot.entry = "ACTIVE", self.price
        self.lots.append(lot)
        self.events.append("trade_created")
        return lot

    def cancel(self, lot: Lot) -> None:
        if lot.status != "PENDING":
            raise Refusal("not_pending")
        lot.status = "CANCELLED"
        self.events.append("trade_cancelled")

    def move_limit(self, lot: Lot, limit: int) -> None:
        """Modify the limit of an order that waits for it; the current price may fill it."""
        if not lot.is_open:
            raise Refusal("trade_ended")
        if lot.status != "PENDING":
            raise Refusal("not_pending")
        new = Lot(lot.side, lot.quantity, "LIMIT", limit)
        growth = margin_at(limit, lot.quantity) - lot.margin
        if growth > 0 and (growth > self.available or self.equity <= 0):
            raise Refusal("insufficient_margin")
        lot.limit, lot.margin = limit, lot.margin + growth
        self.events.append("trade_modified")
        if new.is_filled_at(self.price):
            self._enter(lot, self.price)

    def move_levels(self, lot: Lot, stop_loss: int | None, target: int | None) -> None:
        """Modify the bracket of an active trade; the levels are on their sides of the price."""
        if not lot.is_open:
            raise Refusal("trade_ended")
        lot.stop_loss, lot.target = stop_loss, target
        self.events.append("trade_modified")

    def exit(self, lot: Lot, quantity: int) -> int:
        """Exit a part or all of a trade; return the P&L of this exit."""
        if lot.status != "ACTIVE":
            raise Refusal("trade_not_active")
        is_last = quantity == lot.held
        pnl = self._exit(lot, quantity, self.price, "CLOSED")
        self.events.append("trade_exited" if is_last else "trade_partially_exited")
        return pnl

    def tick(self, price: int) -> None:
        self.price = price
        for lot in self.lots:
            if lot.status == "PENDING":
                self._fill(lot, price)
            elif lot.status == "ACTIVE":
                self._close(lot, price)

    def _fill(self, lot: Lot, price: int) -> None:
        if not lot.is_filled_at(price):
            return
        if lot.type == "STOP_LIMIT" and not lot.triggered:
            assert lot.limit is not None
            lot.triggered = True
            if lot.side * price > lot.side * lot.limit:
                self.events.append("trade_triggered")
                return
            fill = price
        else:
            fill = lot.waiting_price if lot.waits_for_limit else price
        if margin_at(fill, lot.quantity) - lot.margin > self.available:
            # It was never triggered: nothing of it was carried out.
            lot.status = "REJECTED"
            self.events.append("trade_rejected")
        else:
            self._enter(lot, fill)

    def _enter(self, lot: Lot, price: int) -> None:
        lot.status, lot.entry = "ACTIVE", price
        lot.margin = margin_at(price, lot.quantity)
        self.events.append("trade_filled")

    def _close(self, lot: Lot, price: int) -> None:
        if lot.stop_loss is not None and lot.side * price <= lot.side * lot.stop_loss:
            self._exit(lot, lot.held, price, "STOP_LOSS_HIT")
        elif lot.target is not None and lot.side * price >= lot.side * lot.target:
            assert lot.entry is not None
            beyond = lot.side * lot.entry >= lot.side * lot.target
            self._exit(lot, lot.held, price if beyond else lot.target, "TARGET_HIT")
        else:
            return
        self.events.append("trade_auto_closed")

    def _exit(self, lot: Lot, quantity: int, price: int, status: str) -> int:
        assert lot.entry is not None
        pnl = lot.side * quantity * (price - lot.entry)
        lot.pnl += pnl
        if quantity == lot.held:
            lot.status = status
        lot.exited += quantity
        return pnl


def margin_at(price: int, quantity: int) -> int:
    return half_up(price * quantity * MARGIN_RATE)


def share(margin: int, part: int, whole: int) -> int:
    """Return the margin of a part, rounded to whole paise."""
    return half_up(Fraction(margin * part, whole))


def half_up(amount: Fraction) -> int:
    return floor(amount + Fraction(1, 2))
