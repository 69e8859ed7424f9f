"""Prices of the simulated market's model, drawn once for the tests of their statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.market_data.feeds.market_model import ANCHOR, MarketModel
from app.market_data.feeds.session_path import SessionPath
from app.market_data.feeds.simulated_hours import DAY_SECONDS, Hours, SimulatedHours
from app.market_data.instruments.registry import load_instruments

INSTRUMENTS = load_instruments()
INDICES = ("^NSEI", "^BSESN", "^NSEBANK")
SHARES = tuple(each.symbol for each in INSTRUMENTS if each.symbol.endswith(".NS"))
SESSIONS_A_YEAR = 261


def weekdays(day: int) -> Hours | None:
    """Return the session of a day: 09:15 to 15:30 on weekdays."""
    # The first of January 1970 was a Thursday.
    is_weekend = (day + 3) % 7 > 4
    return None if is_weekend else Hours(day * DAY_SECONDS + 33_300, 375)


WEEKDAYS = SimulatedHours("weekdays", weekdays, SESSIONS_A_YEAR)


def sessions(model: MarketModel, first: int, last: int, step: int = 1) -> Iterator[SessionPath]:
    """Yield the sessions of each `step`-th day from `first` to before `last` from ANCHOR."""
    for day in range(ANCHOR + first, ANCHOR + last, step):
        if hours := weekdays(day):
            yield model.path(day, hours)


@dataclass(frozen=True)
class DailyPrices:
    """The logarithms of the first and last prices of each session, a column for each symbol."""

    symbols: Sequence[str]
    opens: NDArray[np.float64]
    closes: NDArray[np.float64]

    @property
    def returns(self) -> NDArray[np.float64]:
        return np.diff(self.closes, axis=0)

    def of(self, symbol: str) -> NDArray[np.float64]:
        """Return the daily returns of a symbol."""
        column: NDArray[np.float64] = self.returns[:, self.symbols.index(symbol)]
        return column


def daily_prices(
    model: MarketModel, symbols: Sequence[str], first: int, last: int, step: int = 1
) -> DailyPrices:
    """Return the prices of the sessions of each `step`-th day from `first` to before `last`."""
    opens, closes = [], []
    for path in sessions(model, first, last, step):
        lines = [model.line(INSTRUMENTS.get(symbol), path) for symbol in symbols]
        constants = np.array([line.constant for line in lines])
        loadings = np.array([line.loadings for line in lines])
        opens.append(constants + loadings @ path.factors(path.hours.opens)[0])
        closes.append(constants + loadings @ path.factors(path.hours.closes)[0])
    return DailyPrices(symbols, np.array(opens), np.array(closes))
