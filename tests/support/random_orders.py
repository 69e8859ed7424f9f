"""Random bodies of requests: orders of every type, and modifications of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.support.recording import BASES

Body = dict[str, Any]
ENTRIES = ("MARKET", "LIMIT", "STOP", "STOP_LIMIT", "marketable", "far")
WEIGHTS = (62, 10, 8, 8, 5, 7)
# Fractions of the price. The next swings of the market reach the nearer ones.
NEAR, FAR = (0.005, 0.035), (0.06, 0.09)
LEVEL = (0.01, 0.05)
TRAIL = (0.005, 0.03)


class RandomOrders:
    """Orders in the symbols of the recordings, at prices around those that the market returns to.

    Each price is a multiple of a tenth of a rupee, which every tick size here divides.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def order(self) -> Body:
        """Return an order of any type, mostly with a bracket."""
        (kind,) = self._chance.choices(ENTRIES, WEIGHTS)
        symbol, side = self._chance.choice(list(BASES)), self._side()
        return self._order(kind, symbol, side)

    def pair(self) -> list[Body]:
        """Return two orders of one symbol that wait for their prices."""
        symbol = self._chance.choice(list(BASES))
        kinds = self._chance.choices(("LIMIT", "STOP", "STOP_LIMIT", "far"), k=2)
        return [self._order(kind, symbol, self._side(), waits=True) for kind in kinds]

    def modification(self, trade: Mapping[str, Any]) -> Body:
        """Return other terms for a trade as the server has shown it."""
        symbol, sign = trade["symbol"], _sign(trade["trade_type"])
        body: Body = {}
        if trade["status"] == "PENDING" and self._happens(0.7):
            body |= self._other_entry(trade["order_type"], symbol, sign)
        if not body or self._happens(0.4):
            body |= self._other_levels(symbol, sign)
        if self._happens(0.3):
            body["version"] = trade["version"]
        return body

    def share(self) -> Body:
        """Return what part of a trade to exit."""
        if self._happens(0.5):
            return {"quantity": self._chance.randint(1, 5)}
        return {"percent": self._chance.choice([10, 33.33, 50, 75])}

    def selection(self) -> Body:
        """Return which trades to exit, mostly all of them."""
        choices: list[Body] = [
            {},
            {"include_pending": True},
            {"percent": 50},
            {"symbol": self._chance.choice(list(BASES)), "include_pending": True},
        ]
        (body,) = self._chance.choices(choices, weights=[4, 3, 2, 2])
        return body

    def _order(self, kind: str, symbol: str, side: str, *, waits: bool = False) -> Body:
        sign, base = _sign(side), BASES[symbol]
        body: Body = {
            "symbol": symbol,
            "trade_type": side,
            "quantity": self._chance.randint(1, 9),
        }
        if kind == "MARKET":
            entry = float(base)
        elif kind in ("LIMIT", "far", "marketable"):
            fraction = self._chance.uniform(*(FAR if kind == "far" else NEAR))
            entry = _price(base, sign * fraction if kind == "marketable" else -sign * fraction)
            body |= {"order_type": "LIMIT", "limit_price": entry}
        else:
            entry = _price(base, sign * self._chance.uniform(*NEAR))
            body |= {"order_type": kind, "stop_price": entry}
            if kind == "STOP_LIMIT":
                # Beyond the stop it is filled with it, before the stop it rests.
                body["limit_price"] = _price(entry, sign * self._chance.uniform(-0.01, 0.03))
        if kind != "MARKET":
            body["time_in_force"] = self._time_in_force(body["order_type"], waits=waits)
        return body | self._levels(body.get("limit_price", entry), sign) | self._trailing(base, 0.2)

    def _time_in_force(self, order_type: str, *, waits: bool) -> str:
        if order_type == "LIMIT" and not waits and self._happens(0.15):
            return "IOC"
        return "DAY" if self._happens(0.4) else "GTC"

    def _levels(self, entry: float, sign: int) -> Body:
        return {
            name: _price(entry, direction * self._chance.uniform(*LEVEL))
            for name, direction in (("stop_loss", -sign), ("target_price", sign))
            if self._happens(0.8)
        }

    def _trailing(self, base: float, share: float) -> Body:
        if not self._happens(share):
            return {}
        fraction = self._chance.uniform(*TRAIL)
        if self._happens(0.5):
            body: Body = {"trailing_pct": round(100 * fraction, 2)}
        else:
            body = {"trailing_offset": _price(base * fraction, 0)}
        return body | ({"trailing_step": 2.5} if self._happens(0.3) else {})

    def _other_entry(self, order_type: str, symbol: str, sign: int) -> Body:
        base, near = BASES[symbol], self._chance.uniform(*NEAR)
        choices: list[Body] = [
            {"quantity": self._chance.randint(1, 9)},
            {"time_in_force": self._chance.choice(["DAY", "GTC"])},
        ]
        if order_type == "LIMIT":
            # At times the price has reached the new limit.
            choices += 2 * [{"limit_price": _price(base, -sign * near)}]
            choices += [{"limit_price": _price(base, sign * near)}]
        if order_type in ("STOP", "STOP_LIMIT"):
            choices += 2 * [{"stop_price": _price(base, sign * near)}]
        if order_type == "STOP_LIMIT":
            choices += [{"limit_price": _price(base, sign * (near + 0.005))}]
        return self._chance.choice(choices)

    def _other_levels(self, symbol: str, sign: int) -> Body:
        base = BASES[symbol]
        choices: list[Body] = [
            {"stop_loss": _price(base, -sign * self._chance.uniform(*LEVEL))},
            {"target_price": _price(base, sign * self._chance.uniform(*LEVEL))},
            {"stop_loss": None},
            {"target_price": None},
            {"trailing_offset": None, "trailing_pct": None},
            self._trailing(base, 1),
            self._trailing(base, 1),
        ]
        return self._chance.choice(choices)

    def _side(self) -> str:
        return self._chance.choice(["BUY", "SELL"])

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share


def _sign(side: str) -> int:
    return 1 if side == "BUY" else -1


def _price(base: float, fraction: float) -> float:
    return round(base * (1 + fraction), 1)
