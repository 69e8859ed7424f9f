"""Scenarios: a seeded stretch of the simulated market, from a given second on.

A scenario shifts the market factor; each share follows by its beta. Within the session the shift
stays when the scenario is over, and later sessions recover half of it every RECOVERY_DAYS. While
trading is halted all prices stand still, and reopen where they would have been.

Seconds count from midnight of 1 January 1970 in India.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[Any]

RECOVERY_DAYS = 30
_DAY = 86_400


class ScenarioKind(StrEnum):
    """What happens to the market."""

    CRASH = "crash"
    RALLY = "rally"
    GAP_DOWN = "gap_down"
    HALT = "halt"
    CHOPPY = "choppy"

    @property
    def seconds(self) -> int:
        """How long it lasts."""
        return _COURSES[self].seconds


@dataclass(frozen=True, slots=True)
class _Course:
    """The log return of the market: at once, until the end, and the swings in between."""

    seconds: int
    jump: float = 0.0
    drift: float = 0.0
    swing: float = 0.0
    cycles: tuple[int, int] = (2, 6)


_COURSES = {
    ScenarioKind.CRASH: _Course(30 * 60, jump=-0.01, drift=-0.08, swing=0.006),
    ScenarioKind.RALLY: _Course(60 * 60, drift=0.06, swing=0.004),
    ScenarioKind.GAP_DOWN: _Course(30 * 60, jump=-0.04, drift=-0.01, swing=0.003),
    ScenarioKind.HALT: _Course(15 * 60),
    ScenarioKind.CHOPPY: _Course(60 * 60, swing=0.012, cycles=(6, 24)),
}
_WAVES = 5


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario that starts at the second `starts`."""

    kind: ScenarioKind
    starts: int

    @property
    def ends(self) -> int:
        """The first second after it."""
        return self.starts + self.kind.seconds

    def shift(self, seconds: Numbers) -> Numbers:
        """Return by how much the market's log price is shifted at these seconds."""
        import numpy as np

        course = _COURSES[self.kind]
        x = np.clip((seconds - self.starts) / course.seconds, 0, 1)
        draw = random.Random(f"{self.kind}/{self.starts}")
        # Most of the drift comes early, as in a panic.
        total = course.jump + course.drift * (1 - (1 - x) ** 2)
        for _ in range(_WAVES if course.swing else 0):
            wave = np.sin(2 * math.pi * (draw.randint(*course.cycles) * x + draw.random()))
            total = total + course.swing * draw.uniform(0.4, 1) / math.sqrt(_WAVES) * wave * (
                4 * x * (1 - x)
            )
        return np.where(seconds < self.starts, 0.0, total)


def shift_at(scenarios: Sequence[Scenario], seconds: Numbers, opens: int) -> Numbers:
    """Return the shift of the market's log price in the session that begins at `opens`."""
    total = 0.0 * seconds
    for scenario in scenarios:
        days = max(opens - scenario.ends, 0) / _DAY
        total = total + scenario.shift(seconds) * 0.5 ** (days / RECOVERY_DAYS)
    return total


def trading_seconds(scenarios: Sequence[Scenario], seconds: Numbers) -> Numbers:
    """Return these seconds, those of a halt replaced by the last one before it."""
    import numpy as np

    for scenario in scenarios:
        if scenario.kind is ScenarioKind.HALT:
            is_halted = (seconds >= scenario.starts) & (seconds < scenario.ends)
            seconds = np.where(is_halted, scenario.starts - 1, seconds)
    return seconds
