"""The trailing stops of one side of a symbol, grouped by the best price that they follow.

A new best price raises every group that it is better than to the same price, so they become one.
Each group has its stops in order of their distance, so neither a tick that is a new best price nor
one that fires nothing costs more with more stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import Any

from app.domain.quote import Quote
from app.domain.trailing import Swing, TrailingStop, Unit, highest_level, percent_between

NOWHERE = Decimal("-Infinity")
FAR = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Follower:
    """A trailing stop, the id of its trade, and the best price before the next tick.

    `best` is None if no price has been better than that of its start.
    """

    id: Any
    stop: TrailingStop
    best: Quote | None


@dataclass(slots=True)
class _Reach:
    """What may fire: no level, signed, is higher, and no distance is less."""

    highest: Decimal = NOWHERE
    rupees: Decimal = FAR
    percent: Decimal = FAR

    def may_fire(self, worst: Decimal, swing: Swing) -> bool:
        return self.highest >= worst or self.rupees <= swing.rupees or self.percent <= swing.percent

    def joined(self, other: _Reach) -> _Reach:
        return _Reach(
            max(self.highest, other.highest),
            min(self.rupees, other.rupees),
            min(self.percent, other.percent),
        )


@dataclass(slots=True)
class _Group:
    """The stops that follow one best price, signed. Those near to the market are examined."""

    price: Decimal
    best: Quote | None
    # By unit: (distance, number, id, stop), the least distance first.
    heaps: dict[Unit, list[tuple[Decimal, int, Any, TrailingStop]]] = field(
        default_factory=lambda: {unit: [] for unit in Unit}
    )
    # By id: the stop and its signed level.
    examined: dict[Any, tuple[TrailingStop, Decimal]] = field(default_factory=dict)
    reach: _Reach = field(default_factory=_Reach)
    # Of this group and all that follow better prices.
    joint_reach: _Reach = field(default_factory=_Reach)

    def __len__(self) -> int:
        return len(self.examined) + sum(map(len, self.heaps.values()))

    def measure(self) -> None:
        """Compute what may fire, after a change."""
        levels = [level for _, level in self.examined.values()]
        distances: dict[Unit, list[Decimal]] = {unit: [] for unit in Unit}
        for stop, _ in self.examined.values():
            distances[stop.terms.unit].append(stop.terms.distance)
        for unit, heap in self.heaps.items():
            if heap:
                levels.append(highest_level(unit, heap[0][0], self.price))
                distances[unit].append(heap[0][0])
        self.reach = _Reach(
            max(levels, default=NOWHERE),
            min(distances[Unit.RUPEES], default=FAR),
            min(distances[Unit.PERCENT], default=FAR),
        )


class TrailingBook:
    """Trailing stops of one side, with the best price that each follows."""

    def __init__(self, sign: int, followers: Iterable[Follower] = ()) -> None:
        """Take the followers of a side: `sign` is +1 for BUY, -1 for SELL."""
        self._sign = sign
        self._numbers = count()
        by_price: dict[Decimal, _Group] = {}
        for follower in followers:
            price = self._price_of(follower)
            group = by_price.setdefault(price, _Group(price, follower.best))
            group.best = group.best or follower.best
            self._push(group, follower.id, follower.stop)
        # The best price first.
        self._groups = [by_price[price] for price in sorted(by_price, reverse=True)]
        for group in self._groups:
            group.measure()
        self._join(0)

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def prices(self) -> set[Decimal]:
        """The best prices that stops follow."""
        return {group.price * self._sign for group in self._groups}

    def follow(self, quote: Quote) -> None:
        """Raise the stops whose best price is worse than the next quote."""
        price = quote.price * self._sign
        passed: list[_Group] = []
        while self._groups and self._groups[-1].price < price:
            passed.append(self._groups.pop())
        if not passed:
            return
        if self._groups and self._groups[-1].price == price:
            passed.append(self._groups.pop())
        self._groups.append(self._merged(price, quote, passed))
        self._join(len(self._groups) - 1)

    def near(self, swing: Swing) -> list[Follower]:
        """Return the stops that prices of this swing may have fired, and few others."""
        worst = swing.worst * self._sign
        if not self._groups or not self._groups[-1].joint_reach.may_fire(worst, swing):
            return []
        found = [
            Follower(id, stop, group.best)
            for group in self._groups
            if group.reach.may_fire(worst, swing)
            for id, stop in self._examine(group, worst, swing)
        ]
        self._join(0)
        return found

    def remove(self, ids: Set[Any]) -> None:
        """Remove stops that `near` has returned."""
        if not ids:
            return
        for group in self._groups:
            if group.examined and (gone := group.examined.keys() & ids):
                for id in gone:
                    del group.examined[id]
                group.measure()
        self._groups = [group for group in self._groups if group]
        self._join(0)

    def _price_of(self, follower: Follower) -> Decimal:
        return (follower.best or follower.stop.start).price * self._sign

    def _push(self, group: _Group, id: Any, stop: TrailingStop) -> None:
        item = (stop.terms.distance, next(self._numbers), id, stop)
        heappush(group.heaps[stop.terms.unit], item)

    def _merged(self, price: Decimal, quote: Quote, groups: list[_Group]) -> _Group:
        """Return one group of these, moving the smaller ones into the largest."""
        merged = max(groups, key=len)
        for group in groups:
            examined, group.examined = group.examined, {}
            for id, (stop, _) in examined.items():
                self._push(merged, id, stop)
            if group is not merged:
                for unit, heap in group.heaps.items():
                    for item in heap:
                        heappush(merged.heaps[unit], item)
        merged.price, merged.best = price, quote
        merged.measure()
        return merged

    def _examine(
        self, group: _Group, worst: Decimal, swing: Swing
    ) -> Iterator[tuple[Any, TrailingStop]]:
        """Yield the examined stops that the swing may have fired, after examining the near ones."""
        within = {Unit.RUPEES: swing.rupees, Unit.PERCENT: swing.percent}
        fallen = {
            Unit.RUPEES: group.price - worst,
            Unit.PERCENT: percent_between(group.price, worst),
        }
        for unit, heap in group.heaps.items():
            while heap and heap[0][0] <= max(fallen[unit], within[unit]):
                _, _, id, stop = heappop(heap)
                group.examined[id] = (stop, stop.level(group.best) * self._sign)
        group.measure()
        for id, (stop, level) in group.examined.items():
            if level >= worst or stop.terms.distance <= within[stop.terms.unit]:
                yield id, stop

    def _join(self, begin: int) -> None:
        """Compute the joint reach of the groups from `begin` on."""
        joint = self._groups[begin - 1].joint_reach if begin else _Reach()
        for group in self._groups[begin:]:
            joint = group.joint_reach = group.reach.joined(joint)
