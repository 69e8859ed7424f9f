"""The simulated market as a function of seed and time: a linear factor model of log prices.

    log S(t) = log b + trend (t - t0) + L . Y(t)

`b` is the price of a share in the data file, as of ANCHOR. Y(t) is a vector of independent
factors with unit variance a year, the same for all shares: the market, a factor for each sector,
and hidden ones of which each share has a mixture of its own. Loadings L follow from the data:

    market  beta x MARKET_VOLATILITY
    sector  sqrt(SECTOR_PART x rest),  rest = volatility^2 - market^2
    hidden  sqrt((1 - SECTOR_PART) x rest) x a unit vector that the ticker seeds

An index is the value of its basket, sum of w S(t)/b. This is exact when a session begins and ends;
within it, its logarithm moves by the weighted loadings, which is the same within a few 1e-5. Two
listings of a share differ by LISTING_GAP at most, give or take the tick size.

Each level of time is drawn for itself and ends where the level above says, so any moment costs the
same, whatever was asked before:

- Sessions: Y(close) = PULL Y(close before) + gap + move, drawn in blocks of 365 days to both sides
  of ANCHOR. The pull towards the trend keeps decades plausible. Gap and move are normal, times a
  volatility exp(h - s^2) that all share: h is an AR(1) process with standard deviation s. Returns
  then have a kurtosis of 3 exp(4 s^2) = 5.7, and |returns| are autocorrelated: about 0.2 at lag 1.
- Minutes: a Brownian bridge in the time of a day that is busy at both ends (a U in volatility and
  volume), times bursts that last for a quarter of an hour or a minute.
- Seconds: in each minute the factors move from one end to the other along Brownian bridges, of
  which there are TEMPLATES for each factor, in proportion to the volatility of the minute. So
  volatility per unit of time is the same at any interval of polls.

Random numbers are those of Philox (Salmon et al. 2011), keyed by seed, level and number; its raw
output is the same in every version of numpy. Sources: R. Cont, "Empirical properties of asset
returns: stylized facts and statistical issues", Quantitative Finance 1 (2001) 223-236 (fat tails,
clustering, volume with volatility); S. J. Taylor, "Modelling Financial Time Series" (1986)
(log-normal volatility); T. Andersen and T. Bollerslev, Journal of Empirical Finance 4 (1997)
115-158 (the U-shaped day).

Seconds and minutes count from midnight of 1 January 1970 in India, days from the same day.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache

from app.domain.instrument import Instrument
from app.market_data.feeds.loadings import (
    BASKET,
    FACTORS,
    MARKET,
    MARKET_VOLATILITY,
    WIDTH,
    basket,
    loadings,
)
from app.market_data.feeds.random_numbers import Numbers, RandomNumbers, autoregression
from app.market_data.feeds.scenarios import Scenario, shift_at
from app.market_data.feeds.session_path import SECONDS, Line, SessionPath
from app.market_data.feeds.simulated_hours import Hours, SimulatedHours
from app.market_data.feeds.simulated_shares import share_of

# The day before which the prices are those of the data file: 23 November 2026.
ANCHOR = 20_780
DAYS = 365
TREND = 0.04
# Half of a deviation from the trend is gone in about 230 sessions.
PULL = 0.997
# The part of a day's variance that lies between two sessions.
GAP_PART = 0.2
VOLATILITY_MEMORY, VOLATILITY_SPREAD = 0.92, 0.4
TEMPLATES = 64
BURST_MINUTES, BURST_SPREAD = 15, 0.35
# Sessions whose minutes are kept, 0.4 MB each if they last for a day, and blocks, 0.2 MB each.
KEPT_SESSIONS, KEPT_BLOCKS = 12, 16


@dataclass(frozen=True, slots=True)
class _Block:
    """The factors at each open, the moves of each session, and its volatility, in 365 days."""

    opens: Numbers
    moves: Numbers
    volatility: Numbers


class MarketModel:
    """A market. Thread-safe."""

    def __init__(
        self, seed: str, hours: SimulatedHours, scenarios: tuple[Scenario, ...] = ()
    ) -> None:
        self._draw = RandomNumbers(seed)
        self._hours_of = hours.of_day
        self._day_volatility = 1 / math.sqrt(hours.sessions_a_year)
        self._scenarios = scenarios
        self._lock = threading.RLock()
        # The factors and the volatility at the ends of blocks; at ANCHOR both are zero.
        self._ends: dict[int, tuple[Numbers, float]] = {0: (np.zeros(FACTORS), 0.0)}
        self._blocks: LRUCache[int, _Block] = LRUCache(KEPT_BLOCKS)
        self._paths: LRUCache[int, SessionPath] = LRUCache(KEPT_SESSIONS)
        steps = self._draw.uniforms("bridges", 0, (TEMPLATES, SECONDS * FACTORS))
        walk = np.cumsum(steps.reshape(TEMPLATES, SECONDS, FACTORS), axis=1) / math.sqrt(SECONDS)
        x = np.arange(1, SECONDS + 1)[:, None] / SECONDS
        self._bridges = np.zeros((TEMPLATES, SECONDS + 1, FACTORS))
        self._bridges[:, 1:] = walk - x * walk[:, -1:]

    def path(self, day: int, hours: Hours) -> SessionPath:
        """Return the session of a day, whose hours are known."""
        with self._lock:
            path = self._paths.get(day)
            if path is None:
                path = self._paths[day] = self._make_path(day, hours)
            return path

    def line(self, instrument: Instrument, path: SessionPath) -> Line:
        """Return the log price of an instrument in a session."""
        start = math.log(instrument.start_price) + TREND * (path.day - ANCHOR) / DAYS
        if shares := basket(instrument.symbol):
            return _index_line(*shares, start, path)
        return Line(start, loadings(share_of(instrument), instrument.exchange))

    def _make_path(self, day: int, hours: Hours) -> SessionPath:
        number, place = divmod(day - ANCHOR, DAYS)
        block = self._block(number)
        volatility = float(block.volatility[place])
        minutes = hours.minutes
        noise = self._draw.uniforms("minutes", day, (minutes, FACTORS + 4))
        long = self._draw.uniforms("bursts", day, (1, -(-minutes // BURST_MINUTES)))[0]
        long = np.repeat(long, BURST_MINUTES)[:minutes]
        burst = np.exp(BURST_SPREAD * (long + noise[:, FACTORS]))
        x = (np.arange(minutes) + 0.5) / minutes
        busy = 0.6 + 2.2 * np.exp(-x / 0.07) + 1.5 * np.exp((x - 1) / 0.08)
        variance = _parts(busy * burst)
        traded = _parts(busy * np.sqrt(burst) * np.exp(0.3 * noise[:, FACTORS + 3]))
        opens = block.opens[place].copy()
        begin = np.array([hours.opens])
        opens[MARKET] += shift_at(self._scenarios, begin, hours.opens)[0] / MARKET_VOLATILITY
        return SessionPath(
            day=day,
            hours=hours,
            opens=opens,
            move=block.moves[place],
            noise=noise[:, :FACTORS],
            size=math.sqrt(1 - GAP_PART) * self._day_volatility * volatility * np.sqrt(variance),
            time=np.append(0.0, np.cumsum(variance)),
            listing=noise[:, FACTORS + 1 : FACTORS + 3] / math.sqrt(3),
            volume=np.append(0.0, np.cumsum(traded)),
            template=self._draw.words("paths", day, -(-minutes // 8)).view(np.uint8)[:minutes]
            % TEMPLATES,
            volatility=volatility,
            bridges=self._bridges,
            scenarios=self._scenarios,
        )

    def _block(self, number: int) -> _Block:
        """Return a block of days; those between it and ANCHOR are drawn first."""
        step, edge = (1, number) if number >= 0 else (-1, number + 1)
        with self._lock:
            if edge not in self._ends:
                self._block(number - step)
            if number not in self._blocks:
                self._blocks[number] = self._make_block(number, step, edge)
            return self._blocks[number]

    def _make_block(self, number: int, step: int, edge: int) -> _Block:
        """Draw the days from ANCHOR away, so that the past is drawn backwards."""
        days = ANCHOR + number * DAYS + np.arange(DAYS)
        is_open = np.array([self._hours_of(int(day)) is not None for day in days])
        drawn = self._draw.normals("days", number, (DAYS, 2 * FACTORS + 1))
        order = np.flatnonzero(is_open)[::step]
        factors, state = self._ends[edge]
        shocks = drawn[order, -1] * VOLATILITY_SPREAD * math.sqrt(1 - VOLATILITY_MEMORY**2)
        states = autoregression(state, shocks[:, None], VOLATILITY_MEMORY)[:, 0]
        volatility = np.exp(states - VOLATILITY_SPREAD**2)
        size = (self._day_volatility * volatility)[:, None]
        gaps = math.sqrt(GAP_PART) * size * drawn[order, :FACTORS]
        moves = math.sqrt(1 - GAP_PART) * size * drawn[order, FACTORS : 2 * FACTORS]
        ends = autoregression(factors, gaps + moves, PULL)
        block = _Block(np.zeros((DAYS, FACTORS)), np.zeros((DAYS, FACTORS)), np.ones(DAYS))
        # Forwards the ends are closes, backwards they are the closes before.
        starts = np.vstack([factors[None], ends[:-1]])
        block.opens[order] = ends - moves if step > 0 else starts + moves
        block.moves[order] = moves if step > 0 else -moves
        block.volatility[order] = volatility
        last = (ends[-1], float(states[-1])) if len(order) else (factors, state)
        self._ends[edge + step] = last
        return block


def _index_line(weights: Numbers, every: Numbers, start: float, path: SessionPath) -> Line:
    """Return the line of an index whose shares have the loadings `every`."""
    begin = weights * np.exp(every @ path.opens)
    end = weights * np.exp(every @ (path.opens + path.move))
    opens, closes = math.log(begin.sum()), math.log(end.sum())
    mean = np.zeros(WIDTH)
    mean[:FACTORS] = begin / begin.sum() @ every
    mean[BASKET] = closes - opens - mean[:FACTORS] @ path.move
    return Line(start + opens - float(mean[:FACTORS] @ path.opens), mean)


def _parts(sizes: Numbers) -> Numbers:
    parts: Numbers = sizes / sizes.sum()
    return parts
