"""Stories of a market: what users do at which prices, and when the server is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.domain.quote import Source

SYMBOLS = ("^NSEI", "^BSESN")
USERS = {"asha": Decimal(2_000), "binod": Decimal(1_000)}
MARGIN_RATE = Decimal("0.125")
START = 10_000
LOWEST = 5_000
# Paise. Everything is a multiple of this, so that prices often meet levels exactly.
UNIT = 10

distances = st.integers(1, 12)
levels = st.none() | st.integers(1, 15)
trails = st.none() | st.tuples(st.sampled_from(["offset", "pct"]), st.integers(1, 15))


@dataclass(frozen=True)
class Order:
    """An order relative to the last price; distances are in units of the price."""

    kind: str
    side: int
    # What part of the available margin it takes: of all of it, little is left for the next order.
    divisor: int
    at: int
    beyond: int
    loss: int | None
    gain: int | None
    trail: tuple[str, int] | None

    def body(self, price: int, available: Decimal) -> dict[str, Any]:
        """Return the order at a last price in paise, with `available` rupees."""
        side = self.side
        stop = price + side * self.at * UNIT if self.kind in ("STOP", "STOP_LIMIT") else None
        limit = price - side * self.at * UNIT if self.kind == "LIMIT" else None
        if self.kind == "STOP_LIMIT" and stop is not None:
            limit = stop + side * self.beyond * UNIT
        entries = [each for each in (limit, stop, price) if each is not None]
        lower, upper = (min, max) if side == 1 else (max, min)
        margin = MARGIN_RATE * (limit or stop or price) / 100
        body: dict[str, Any] = {
            "trade_type": "BUY" if side == 1 else "SELL",
            "quantity": max(int(available / self.divisor / margin), 1),
            "order_type": self.kind,
            "limit_price": limit,
            "stop_price": stop,
            "stop_loss": self.loss and lower(entries) - side * self.loss * UNIT,
            "target_price": self.gain and upper(entries) + side * self.gain * UNIT,
        }
        amounts = ("limit_price", "stop_price", "stop_loss", "target_price")
        body |= {name: body[name] / 100 for name in amounts if body[name] is not None}
        if self.trail:
            unit, distance = self.trail
            body[f"trailing_{unit}"] = distance * UNIT / 100
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True)
class Place:
    """An order, or a pair of which the first to fill cancels the other."""

    user: str
    symbol: str
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Tick:
    symbol: str
    by: int
    # Whether a server that is up makes a pass after it.
    is_last_of_pass: bool


@dataclass(frozen=True)
class Modify:
    """A modification of an open trade. Distances are in units of the last price.

    A distance of 0 removes a level, None leaves it as it is.
    """

    user: str
    trade: int
    at: int | None
    loss: int | None
    gain: int | None
    trail: tuple[str, int] | None
    percent: int | None

    def body(self, trade: dict[str, Any], price: int) -> dict[str, Any]:
        """Return the request for a trade, at a last price in paise."""
        side = 1 if trade["trade_type"] == "BUY" else -1
        stop_price, limit_price = trade.get("stop_price"), trade.get("limit_price")
        body: dict[str, Any] = {}
        if trade["status"] == "PENDING" and self.at is not None:
            if limit_price is not None:
                body["limit_price"] = (price - side * self.at * UNIT) / 100
            if stop_price is not None and trade["triggered_at"] is None:
                body["stop_price"] = (price + side * self.at * UNIT) / 100
        if trade["status"] == "PENDING" and self.percent is not None:
            body["quantity"] = max(trade["quantity"] * self.percent // 100, 1)
        entries = [price, *(int(each * 100) for each in (limit_price, stop_price) if each)]
        lower, upper = (min, max) if side == 1 else (max, min)
        if self.loss is not None:
            level = lower(entries) - side * self.loss * UNIT
            body["stop_loss"] = level / 100 if self.loss else None
        if self.gain is not None:
            level = upper(entries) + side * self.gain * UNIT
            body["target_price"] = level / 100 if self.gain else None
        if self.trail is not None:
            unit, distance = self.trail
            body[f"trailing_{unit}"] = distance * UNIT / 100 if distance else None
        return body or {"stop_loss": None}


@dataclass(frozen=True)
class Cancel:
    user: str
    trade: int


@dataclass(frozen=True)
class Exit:
    """An exit of an open trade: of a percentage, or of all that is held."""

    user: str
    trade: int
    percent: int | None


@dataclass(frozen=True)
class ExitAll:
    user: str
    symbol: str | None
    percent: int | None
    include_pending: bool


Step = Place | Modify | Cancel | Exit | ExitAll | Tick


@dataclass(frozen=True)
class Outage:
    """A time without a server, and after how many transactions the next start is interrupted.

    What users do `after` it comes once the time is settled.
    """

    ticks: Sequence[Tick]
    interrupted_after: int | None
    is_killed: bool
    after: Sequence[Step] = ()


@dataclass(frozen=True)
class Story:
    source: Source
    before: Sequence[Step]
    outages: Sequence[Outage]


orders = st.builds(
    Order,
    kind=st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]),
    side=st.sampled_from([1, -1]),
    divisor=st.sampled_from([1, 1, 2, 3]),
    at=distances,
    beyond=st.integers(-8, 8),
    loss=levels,
    gain=levels,
    trail=trails,
)
pairs = st.tuples(orders, orders).filter(lambda pair: all(each.kind != "MARKET" for each in pair))
places = st.builds(
    Place,
    user=st.sampled_from(sorted(USERS)),
    symbol=st.sampled_from(SYMBOLS),
    orders=st.tuples(orders) | st.tuples(orders) | pairs,
)
users, chosen = st.sampled_from(sorted(USERS)), st.integers(0, 7)
percents = st.sampled_from([10, 33, 50, 90])
modifications = st.builds(
    Modify,
    user=users,
    trade=chosen,
    at=st.none() | distances,
    loss=st.none() | st.integers(0, 15),
    gain=st.none() | st.integers(0, 15),
    trail=st.none() | st.tuples(st.sampled_from(["offset", "pct"]), st.integers(0, 15)),
    percent=st.none() | st.sampled_from([40, 110]),
)
others = st.one_of(
    st.builds(Cancel, user=users, trade=chosen),
    st.builds(Exit, user=users, trade=chosen, percent=st.none() | percents),
    st.builds(
        ExitAll,
        user=users,
        symbol=st.none() | st.sampled_from(SYMBOLS),
        percent=st.none() | percents,
        include_pending=st.booleans(),
    ),
)
ticks = st.builds(
    Tick,
    symbol=st.sampled_from(SYMBOLS),
    # Jumps leave less margin than a stop order that uses it all needs at its fill.
    by=st.integers(-15, 15) | st.integers(-15, 15) | st.sampled_from([-60, 60]),
    is_last_of_pass=st.booleans(),
)
operations = places | places | modifications | others
outages = st.builds(
    Outage,
    ticks=st.lists(ticks, min_size=1, max_size=12),
    interrupted_after=st.none() | st.integers(0, 3),
    is_killed=st.booleans(),
    after=st.just(()) | st.lists(operations | ticks, max_size=6),
)
stories = st.builds(
    Story,
    source=st.sampled_from([Source.ANGEL_ONE, Source.MOCK]),
    before=st.lists(places | operations | ticks, min_size=6, max_size=18),
    outages=st.lists(outages, min_size=1, max_size=3),
)
