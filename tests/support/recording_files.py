"""Recorded markets for REPLAY_FILE."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

OPENING = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
# Between ticks of the ramps below, in recorded time: each poll has several ticks.
TICK_SECONDS = 0.05


def write_recording(
    path: Path, ticks: Iterable[tuple[float, str, float]], opening: datetime = OPENING
) -> Path:
    """Write ticks of (seconds from the opening, symbol, price in rupees)."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("timestamp", "symbol", "price"))
        for seconds, symbol, price in ticks:
            time = opening + timedelta(seconds=seconds)
            rows.writerow((time.isoformat(), symbol, f"{price:.2f}"))
    return path


def falling_and_rising(seconds: int = 180) -> list[tuple[float, str, float]]:
    """Return a market in which NIFTY falls, RELIANCE rises and SENSEX stands still.

    NIFTY loses and RELIANCE gains a rupee per tick. So a trade opened at any time reaches its
    stop-loss or target soon after, at a known tick.
    """
    ticks = [(0.0, "^BSESN", 80_000.0)]
    for number in range(int(seconds / TICK_SECONDS)):
        at = number * TICK_SECONDS
        ticks.append((at, "^NSEI", 25_000.0 - number))
        ticks.append((at, "RELIANCE.NS", 1_400.0 + number))
    return ticks


def standing_still(nifty: float = 25_000) -> list[tuple[float, str, float]]:
    """Return a market with one tick of each symbol."""
    return [(0.0, "^NSEI", nifty), (0.0, "^BSESN", 80_000.0), (0.0, "RELIANCE.NS", 1_400.0)]


def dipping_then_rising(seconds: int = 180) -> list[tuple[float, str, float]]:
    """Return a market in which NIFTY dips from 24,999 to 24,991, and then rises by swings.

    It rises by 20 rupees and falls by 4, a rupee per tick.
    """
    ticks = [(0.0, "^BSESN", 80_000.0), (0.0, "RELIANCE.NS", 1_400.0)]
    price = 24_999.0
    for number in range(int(seconds / TICK_SECONDS)):
        ticks.append((number * TICK_SECONDS, "^NSEI", price))
        price += 1 if number >= 8 and number % 24 >= 4 else -1
    return ticks
