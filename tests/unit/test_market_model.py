"""The simulated market has the statistics of a real one (stylized facts; see market_model.py)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from app.market_data.feeds.market_model import ANCHOR, MarketModel
from app.market_data.feeds.simulated_shares import listed_shares, weights_of
from tests.support.simulation import (
    INDICES,
    INSTRUMENTS,
    SESSIONS_A_YEAR,
    SHARES,
    WEEKDAYS,
    DailyPrices,
    daily_prices,
    sessions,
    weekdays,
)

SEEDS = ("7", "42", "nifty")
# NIFTY with the seed 7 in three sessions.
KNOWN_PRICES = [21_804.596, 25_147.764, 29_991.867]


@pytest.fixture(scope="module", params=SEEDS)
def model(request: pytest.FixtureRequest) -> MarketModel:
    return MarketModel(request.param, WEEKDAYS)


@pytest.fixture(scope="module")
def days(model: MarketModel) -> DailyPrices:
    """The daily prices of four years: all indices and shares."""
    return daily_prices(model, [*INDICES, *SHARES], -1_200, 260)


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def yearly(returns: NDArray[np.float64]) -> float:
    return float(returns.std() * math.sqrt(SESSIONS_A_YEAR))


def test_the_indices_move_together(days: DailyPrices) -> None:
    matrix = np.corrcoef([days.of(symbol) for symbol in INDICES])

    assert matrix.min() > 0.9


def test_shares_follow_the_index_by_their_beta(days: DailyPrices) -> None:
    index = days.of("^NSEI")
    correlations = {symbol: correlation(days.of(symbol), index) for symbol in SHARES}

    # The data file says 0.35 to 0.68; four years of days add a few hundredths.
    assert min(correlations.values()) > 0.3
    assert max(correlations.values()) < 0.73
    betas = [listed_shares()[symbol.removesuffix(".NS")].beta for symbol in SHARES]
    slopes = [np.cov(days.of(symbol), index)[0, 1] / index.var() for symbol in SHARES]
    assert correlation(np.array(betas), np.array(slopes)) > 0.7


def test_shares_of_a_sector_have_more_in_common(days: DailyPrices) -> None:
    sectors = [listed_shares()[symbol.removesuffix(".NS")].sector for symbol in SHARES]
    matrix = np.corrcoef([days.of(symbol) for symbol in SHARES])
    same = np.equal.outer(sectors, sectors) & ~np.eye(len(SHARES), dtype=bool)
    other = ~np.equal.outer(sectors, sectors)

    assert matrix[same].mean() > matrix[other].mean() + 0.08
    assert matrix[other].mean() > 0.15


def test_an_index_is_worth_what_its_shares_are(model: MarketModel) -> None:
    for path in sessions(model, -40, 40):
        seconds = [path.hours.opens + each for each in (0, 59, 7_777, 15_000)]
        for second in (*seconds, path.hours.closes):
            factors, _ = path.factors(second)
            for symbol in INDICES:
                index = INSTRUMENTS.get(symbol)
                line = model.line(index, path)
                value = 0.0
                for ticker, weight in weights_of(symbol).items():
                    share = INSTRUMENTS.get(f"{ticker}.NS")
                    own = model.line(share, path)
                    price = math.exp(own.constant + own.loadings @ factors)
                    value += weight * price / float(share.start_price)
                expected = value * float(index.start_price)
                level = math.exp(line.constant + line.loadings @ factors)
                assert level == pytest.approx(expected, rel=2e-4)
        assert level == pytest.approx(expected, rel=1e-5)


def test_the_volatility_of_a_year_is_that_of_the_data_file(days: DailyPrices) -> None:
    # The volatility of a year varies by itself; the shares share that.
    level = yearly(days.of("^NSEI")) / 0.135
    assert 0.75 < level < 1.3
    for symbol in SHARES:
        wanted = listed_shares()[symbol.removesuffix(".NS")].volatility
        assert yearly(days.of(symbol)) / level == pytest.approx(wanted, rel=0.2)


def test_returns_have_fat_tails(days: DailyPrices) -> None:
    # Takes a second to import, and each process imports the modules of all tests.
    from scipy.stats import kurtosis

    tails = kurtosis(days.returns, fisher=False)

    assert 4 < tails[:3].mean() < 10
    assert 4 < tails[3:].mean() < 10


def test_large_returns_follow_large_returns(days: DailyPrices) -> None:
    def at_lag_one(returns: NDArray[np.float64]) -> float:
        sizes = np.abs(returns)
        return correlation(sizes[1:], sizes[:-1])

    clustering = [at_lag_one(days.of(symbol)) for symbol in days.symbols]
    directions = [correlation(each[1:], each[:-1]) for each in days.returns.T]

    assert 0.1 < np.mean(clustering) < 0.3
    assert abs(float(np.mean(directions))) < 0.06


def test_sessions_open_with_a_gap(days: DailyPrices) -> None:
    gaps = days.opens[1:] - days.closes[:-1]

    assert (np.abs(gaps) > 1e-5).mean() > 0.95
    parts = gaps.var(axis=0) / days.returns.var(axis=0)
    assert 0.12 < parts.mean() < 0.3


def test_volatility_is_the_same_at_any_interval_of_polls(model: MarketModel) -> None:
    ratios = []
    for path in sessions(model, -60, 0):
        line = model.line(INSTRUMENTS.get("RELIANCE.NS"), path)
        prices = path.prices(line, np.arange(path.hours.opens, path.hours.closes))
        ratios.append([np.square(np.diff(prices[::step])).sum() for step in (1, 2, 10, 60, 300)])
    variances = np.sum(ratios, axis=0)

    assert variances / variances[2] == pytest.approx(1, rel=0.12)


def test_a_day_is_busy_at_both_ends(model: MarketModel) -> None:
    line_of = INSTRUMENTS.get("^NSEI")
    moves, volumes = [], []
    for path in sessions(model, -150, 0):
        moves.append(np.abs(np.diff(path.knots(model.line(line_of, path)))))
        volumes.append(np.diff(path.volume))
    for shape in (np.mean(moves, axis=0), np.mean(volumes, axis=0)):
        middle = shape[120:250].mean()
        assert 1.25 * middle < shape[:30].mean()
        assert 1.2 * middle < shape[-30:].mean()
        assert shape[60:120].mean() < shape[:30].mean()


def test_decades_stay_plausible(model: MarketModel) -> None:
    prices = daily_prices(model, ("^NSEI", "RELIANCE.NS", "ETERNAL.NS"), -3_650, 3_650, 9)
    nifty, reliance, eternal = np.exp(prices.closes).T

    assert 10_000 < nifty.min() < 25_000 < nifty.max() < 60_000
    assert reliance.min() > 1_400 / 6
    assert reliance.max() < 1_400 * 6
    assert eternal.min() > 305 / 15
    assert eternal.max() < 305 * 15


def test_a_session_does_not_depend_on_what_was_asked_before() -> None:
    far, near = ANCHOR - 3_003, ANCHOR + 301
    line_of = INSTRUMENTS.get("^BSESN")

    def prices(order: tuple[int, ...]) -> dict[int, list[float]]:
        model = MarketModel("7", WEEKDAYS)
        found = {}
        for day in order:
            hours = weekdays(day)
            assert hours
            path = model.path(day, hours)
            found[day] = path.knots(model.line(line_of, path)).tolist()
        return found

    assert prices((far, near, ANCHOR)) == prices((ANCHOR, near, far))


def test_the_market_of_a_seed_never_changes() -> None:
    """A change of the model is another market: raise MODEL in restarts.py as well."""
    model = MarketModel("7", WEEKDAYS)
    found = []
    for day in (ANCHOR - 2_002, ANCHOR, ANCHOR + 1_001):
        hours = weekdays(day)
        assert hours
        path = model.path(day, hours)
        line = model.line(INSTRUMENTS.get("^NSEI"), path)
        found.append(math.exp(path.prices(line, np.array([hours.opens + 10_000]))[0]))

    assert found == pytest.approx(KNOWN_PRICES, abs=0.001)
