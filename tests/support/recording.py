"""Generated recordings for the replay feed, with many swings in little time."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

START = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
# Later than the end of any calm market, so that its ticks are newer than the trades opened there.
AFTER_THE_CALM = START + timedelta(hours=1)
# The session ends at 10:05: orders of the calm market for that day expire while a recording from
# here is played.
BEFORE_THE_END = datetime(2026, 11, 20, 10, 4, 40, tzinfo=UTC)
CALM_SECONDS = 120
BASES = {"^NSEI": 25_000, "^BSESN": 80_000, "RELIANCE.NS": 1_400}
TICK_SECONDS = 0.1
# Every PERIOD_SECONDS all symbols fall or rise by SWING for SWING_SECONDS, and return.
PERIOD_SECONDS = 5.0
SWING_SECONDS = 0.5
SWING = Decimal("0.04")


@dataclass(frozen=True)
class Recording:
    """Ticks by symbol, in order; a swing begins `PERIOD_SECONDS` after the last."""

    path: Path
    calm: float = 0
    ticks: Mapping[str, list[tuple[datetime, Decimal]]] = field(default_factory=dict)

    def between(
        self, symbol: str, after: datetime, up_to: datetime
    ) -> Iterator[tuple[datetime, Decimal]]:
        """Yield the ticks after one time and up to another."""
        return ((at, price) for at, price in self.ticks[symbol] if after < at <= up_to)

    def seconds_to_next_swing(self, elapsed: float) -> float:
        """Return the seconds to the next swing, `elapsed` seconds after the first tick."""
        return -(elapsed - self.calm - PERIOD_SECONDS + SWING_SECONDS) % PERIOD_SECONDS


def write_swinging_market(
    path: Path, *, seconds: float, seed: float, calm: float = 0, start: datetime = START
) -> Recording:
    """Write a market that falls by 4 % in one swing and rises by as much in the next.

    It begins with `calm` seconds that have no swing.
    """
    chance = random.Random(seed)
    ticks: dict[str, list[tuple[datetime, Decimal]]] = {symbol: [] for symbol in BASES}
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("timestamp", "symbol", "price"))
        for step in range(int(seconds / TICK_SECONDS)):
            at = start + timedelta(seconds=step * TICK_SECONDS)
            for symbol, base in BASES.items():
                noise = Decimal(chance.randint(-5, 5)) / 10_000
                price = (base * (1 + noise + _swing(step * TICK_SECONDS - calm))).quantize(
                    Decimal("0.01")
                )
                ticks[symbol].append((at, price))
                rows.writerow((at.isoformat(), symbol, price))
    return Recording(path, calm, ticks)


def write_calm_market(path: Path) -> Recording:
    """Write a market without a swing; a later recording can continue it."""
    return write_swinging_market(path, seconds=CALM_SECONDS, seed=1, calm=CALM_SECONDS)


def _swing(time: float) -> Decimal:
    period, phase = divmod(time, PERIOD_SECONDS)
    if time < 0 or phase < PERIOD_SECONDS - SWING_SECONDS:
        return Decimal(0)
    return SWING if period % 2 else -SWING
