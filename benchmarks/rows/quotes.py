"""A pass of the monitor over 500 symbols whose quotes have all details, and none."""

from __future__ import annotations

import time
from decimal import Decimal

from app.domain.quote import NO_DETAILS, QuoteDetails
from app.monitor import Monitor
from app.services import services
from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.world import World, world

SYMBOLS = [f"SHARE{number}.NS" for number in range(500)]
PASSES = 3
FULL = QuoteDetails(
    bid=Decimal("2999.95"),
    ask=Decimal("3000.10"),
    previous_close=Decimal("2985.00"),
    open=Decimal("2990.00"),
    high=Decimal("3012.40"),
    low=Decimal("2981.15"),
    volume=1_204_350,
    lower_band=Decimal("2686.50"),
    upper_band=Decimal("3283.50"),
)


def measure() -> list[Result]:
    """Measure the milliseconds of a pass with full quotes over those of one with prices only."""
    with world() as here:
        with here.app.app_context():
            # Followed, without trades: the finds of triggers are the same on both sides.
            services().polled_symbols.try_follow(SYMBOLS, len(SYMBOLS))
        monitor = Monitor(here.app)
        return [
            ratio_of(
                f"a pass over {len(SYMBOLS)} full quotes: live_price and storage",
                "the same with prices only",
                Goal(at_most=1.15),
                ours=lambda: _passes(here, monitor, FULL),
                peer=lambda: _passes(here, monitor, NO_DETAILS),
                unit="ms",
            )
        ]


def _passes(here: World, monitor: Monitor, details: QuoteDetails) -> float:
    """Return the mean milliseconds of passes, each over a new price of every symbol."""
    elapsed = 0.0
    for number in range(PASSES):
        # Of the same kind, and only then timed: the feed of a benchmark is no part of a pass.
        for symbol in SYMBOLS:
            here.feed.tick(symbol, 3_000 + number, details)
        began = time.perf_counter()
        monitor.run_once()
        elapsed += time.perf_counter() - began
    return elapsed / PASSES * 1_000
