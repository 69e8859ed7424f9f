"""Taking ratios: both sides in turn, several rounds, the median and its spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class Skipped(Exception):
    """A row cannot be measured here, because of something optional that is missing."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row is to reach: `at_least` or `at_most`, a ratio or a number in `unit`."""

    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def is_met_by(self, value: float) -> bool:
        """Tell whether the value reaches the goal."""
        if self.at_least is not None and value < self.at_least:
            return False
        return self.at_most is None or value <= self.at_most

    def __str__(self) -> str:
        sign, value = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {value:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table: the median over rounds, its spread, and what it was made of."""

    row: str
    against: str
    value: float
    low: float
    high: float
    goal: Goal
    # The medians behind the ratio, with their unit.
    parts: str

    @property
    def is_met(self) -> bool:
        return self.goal.is_met_by(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return the row as it is kept."""
        return {**asdict(self), "is_met": self.is_met}


Side = Callable[[], float]


def ratio_of(
    row: str,
    against: str,
    goal: Goal,
    *,
    ours: Side,
    peer: Side,
    unit: str,
    rounds: int = 5,
) -> Result:
    """Measure both sides in turn, after a warm-up of each; return the ratio ours / peer.

    In turn, and by rounds, so that what else the machine does meets both alike. A side returns
    what it measured, in `unit`.
    """
    ours()
    peer()
    # The order changes from round to round: none is always the one that comes second.
    pairs = [
        (ours(), peer()) if number % 2 else tuple(reversed((peer(), ours())))
        for number in range(rounds)
    ]
    parts = (
        f"{statistics.median(pair[0] for pair in pairs):,.4g} : "
        f"{statistics.median(pair[1] for pair in pairs):,.4g} {unit}"
    )
    return result_of(row, against, goal, [mine / theirs for mine, theirs in pairs], parts)


def result_of(
    row: str, against: str, goal: Goal, values: Sequence[float], parts: str = ""
) -> Result:
    """Return the row of values that were measured in rounds of their own."""
    return Result(
        row=row,
        against=against,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        goal=goal,
        parts=parts,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of them do not exceed."""
    ranked = sorted(values)
    return ranked[min(int(len(ranked) * share), len(ranked) - 1)]
