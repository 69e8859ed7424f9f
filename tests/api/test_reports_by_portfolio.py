"""Statistics, export, positions and equity of one portfolio and season of several."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from app.monitor import Monitor
from tests.support.market import ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader

REPORTS = ["/trades/statistics/{}", "/trades/{}/export.csv", "/portfolio/{}/history"]
POSITIONS = "/portfolio/{}/positions"


@pytest.fixture
def swing(alice: Trader, feed: ScriptedFeed, monitor: Monitor) -> Trader:
    """Return alice, who earned 20 in the portfolio `swing` and holds one trade there."""
    alice.post("/portfolio/create", {"name": "swing", "initial_margin": 50_000})
    trade = alice.create_trade(portfolio="swing").get_json()["trade_id"]
    feed.tick("^NSEI", 25_020)
    monitor.run_once()
    alice.post(f"/trades/exit/{trade}")
    alice.create_trade(portfolio="swing")
    return alice


def test_each_report_is_of_the_portfolio_that_it_names(swing: Trader) -> None:
    def read(path: str) -> list[TestResponse]:
        address = path.format(swing.client_id)
        names = ("default", "Swing")
        return [swing.get(f"{address}?portfolio={name}", buffered=True) for name in names]

    statistics, export, history = map(read, REPORTS)
    assert [answer.get_json()["total_pnl"] for answer in statistics] == [0.0, 20.0]
    assert [answer.text.count("\n") for answer in export] == [1, 3]
    ends = [answer.get_json()["points"][-1] for answer in history]
    assert [point["equity"] for point in ends] == [100_000.0, 50_020.0]
    assert [len(answer.get_json()["positions"]) for answer in read(POSITIONS)] == [0, 1]


@pytest.mark.parametrize("path", [*REPORTS, POSITIONS])
def test_a_report_on_an_unknown_portfolio_is_a_404(alice: Trader, path: str) -> None:
    answer = alice.get(f"{path.format(alice.client_id)}?portfolio=none")
    assert assert_error(answer, 404, "portfolio_not_found") == {"portfolio": "none"}


@pytest.mark.parametrize("path", REPORTS)
def test_a_report_on_an_unknown_season_is_a_404(alice: Trader, path: str) -> None:
    assert alice.get(f"{path.format(alice.client_id)}?season=1").status_code == 200
    answer = alice.get(f"{path.format(alice.client_id)}?season=2")
    assert assert_error(answer, 404, "season_not_found") == {"season": 2, "current": 1}
