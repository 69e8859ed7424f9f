"""One session of the simulated market, from its minutes to its seconds; see market_model.py.

Seconds and minutes count from midnight of 1 January 1970 in India.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from app.market_data.feeds.loadings import (
    BASKET,
    FACTORS,
    LISTING,
    MARKET,
    MARKET_VOLATILITY,
    WIDTH,
)
from app.market_data.feeds.random_numbers import Numbers
from app.market_data.feeds.scenarios import Scenario, shift_at, trading_seconds
from app.market_data.feeds.simulated_hours import Hours

SECONDS = 60


class Line(NamedTuple):
    """The log price of an instrument in a session: constant + loadings . factors."""

    constant: float
    loadings: Numbers


class Bars(NamedTuple):
    """The minutes of a session: numbers of the minutes, and logarithms of prices.

    `volume` is the cumulative part of the session's volume at their ends, with one number more.
    """

    minute: Numbers
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers


@dataclass(frozen=True)
class SessionPath:
    """One session: the factors move from `opens` by `move`, in `time` from 0 to 1.

    Each minute adds `noise`, a column for each factor, times `size`; what this adds up to is
    spread over the session, so that it ends where it should. `listing` is the noise of the
    listings, `volume` the cumulative part of the volume at the ends of the minutes, like `time`.
    Within a minute the factors move along the bridge of `bridges` that `template` names, times
    `size`. `volatility` is that of the session relative to an average one.
    """

    day: int
    hours: Hours
    opens: Numbers
    move: Numbers
    noise: Numbers
    size: Numbers
    time: Numbers
    listing: Numbers
    volume: Numbers
    template: Numbers
    volatility: float
    # By template, second and factor.
    bridges: Numbers
    scenarios: tuple[Scenario, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether no scenario touches it."""
        return not any(
            each.starts < self.hours.closes and each.ends > self.hours.opens
            for each in self.scenarios
        )

    @cached_property
    def _knots(self) -> Numbers:
        """The factors at the ends of the minutes."""
        knots = np.zeros((self.hours.minutes + 1, WIDTH))
        walk = knots[1:, :FACTORS]
        np.cumsum(self.noise * self.size[:, None], axis=0, out=walk)
        walk += self.time[1:, None] * (self.move - walk[-1])
        knots[:, :FACTORS] += self.opens
        knots[1:, LISTING:BASKET] = self.listing
        knots[:, BASKET] = self.time
        return knots

    def factors(self, second: int) -> tuple[Numbers, float]:
        """Return the factors at a second of the session, and the part of its volume by then."""
        seconds = np.array([min(max(second, self.hours.opens), self.hours.closes - 1)])
        minute, rest = (int(each[0]) for each in self._place(seconds))
        before, after = self._knots[minute], self._knots[minute + 1]
        factors = before + (after - before) * (rest / SECONDS)
        factors[:FACTORS] += self.size[minute] * self.bridges[self.template[minute], rest]
        if not self.is_quiet:
            factors[MARKET] += self._shift(seconds)[0]
        return factors, float(self._volume(seconds + 1)[0])

    def knots(self, line: Line) -> Numbers:
        """Return the log prices at the ends of the minutes."""
        factors = line.loadings[:FACTORS]
        # The same as `_knots @ line.loadings`, for one instrument in a fraction of the time.
        walk = np.cumsum(self.size * (self.noise @ factors))
        rest = float(factors @ self.move) - walk[-1] + line.loadings[BASKET]
        start = line.constant + float(factors @ self.opens)
        knots: Numbers = start + self.time * rest
        knots[1:] += walk + self.listing @ line.loadings[LISTING:BASKET]
        return knots

    def bars(self, line: Line, until: int, first: int = 0) -> Bars:
        """Return the minutes of a session from its minute `first`, up to the second `until`."""
        opens = self.hours.opens
        end = min(until + 1, self.hours.closes)
        whole = max((end - opens) // SECONDS, first)
        prices = self.minutes(line, first, whole)
        if (begin := opens + whole * SECONDS) < end:
            forming = self.prices(line, np.arange(begin, end))
            partial = [forming[0], forming.max(), forming.min(), forming[-1]]
            prices = [np.append(part, last) for part, last in zip(prices, partial, strict=True)]
        count = len(prices[0])
        edges = np.minimum(opens + SECONDS * np.arange(first, first + count + 1), max(end, opens))
        minute = np.arange(first, first + count) + opens // SECONDS
        open, high, low, close = prices
        return Bars(minute, open, high, low, close, self._volume(edges))

    def minutes(self, line: Line, first: int, last: int) -> list[Numbers]:
        """Return open, high, low and close of the minutes from `first` to before `last`."""
        if not self.is_quiet:
            begin = self.hours.opens
            seconds = np.arange(begin + first * SECONDS, begin + last * SECONDS)
            prices = self.prices(line, seconds).reshape(-1, SECONDS)
            return [prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1]]
        knots = self.knots(line)[first : last + 1]
        start, move = knots[:-1], np.diff(knots)
        paths = self._bridges(line)[self.template[first:last], :SECONDS]
        paths *= self.size[first:last, None]
        paths += move[:, None] * (np.arange(SECONDS) / SECONDS)
        ends = [paths[:, 0], paths.max(axis=1), paths.min(axis=1), paths[:, -1]]
        return [start + each for each in ends]

    def prices(self, line: Line, seconds: Numbers) -> Numbers:
        """Return the log prices at seconds of a session."""
        minute, rest = self._place(seconds)
        knots = self.knots(line)
        moved = np.diff(knots)[minute] * (rest / SECONDS)
        moved += self.size[minute] * self._bridges(line)[self.template[minute], rest]
        prices: Numbers = knots[minute] + moved + line.loadings[MARKET] * self._shift(seconds)
        return prices

    def _bridges(self, line: Line) -> Numbers:
        """Return the bridges of the log price of an instrument, by template and second."""
        # Not a matrix product, for which numpy would start threads.
        bridges: Numbers = np.einsum("tsf,f->ts", self.bridges, line.loadings[:FACTORS])
        return bridges

    def _place(self, seconds: Numbers) -> tuple[Numbers, Numbers]:
        """Return the minutes that contain these seconds, and the seconds within them."""
        traded = np.maximum(trading_seconds(self.scenarios, seconds), self.hours.opens)
        return np.divmod(traded - self.hours.opens, SECONDS)

    def _volume(self, seconds: Numbers) -> Numbers:
        """Return the cumulative part of the session's volume before these seconds."""
        traded = trading_seconds(self.scenarios, seconds - 1) + 1
        x = (traded - self.hours.opens) / SECONDS
        return np.interp(x, np.arange(len(self.volume)), self.volume)

    def _shift(self, seconds: Numbers) -> Numbers:
        """Return the shift of the market factor since the session began."""
        opens = self.hours.opens
        since = shift_at(self.scenarios, np.append(seconds, opens), opens)
        shift: Numbers = (since[:-1] - since[-1]) / MARKET_VOLATILITY
        return shift
