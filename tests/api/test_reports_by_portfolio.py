"""Statistics, export, positions and equity of one portfolio and season of several."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
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


def test_each_report_is_of_the_season_that_it_names(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    clock.advance(60)
    feed.set("^NSEI", 25_000)
    alice.create_trade(quantity=2)
    alice.post(f"/portfolio/{alice.client_id}/deposit", {"amount": 500})
    clock.advance(3_540)
    feed.tick("^NSEI", 25_010)
    monitor.run_once()
    reset = alice.post(f"/portfolio/{alice.client_id}/reset", {"initial_margin": 70_000})
    assert reset.status_code == 200, reset.text
    clock.advance(60)

    def read(path: str) -> list[TestResponse]:
        address = path.format(alice.client_id)
        queries = ("season=1", "season=2", "")
        return [alice.get(f"{address}?{query}", buffered=True) for query in queries]

    statistics, export, history = map(read, REPORTS)
    assert [answer.get_json()["total_pnl"] for answer in statistics] == [20.0, 0.0, 0.0]
    assert [answer.text.count("\n") for answer in export] == [2, 1, 1]
    points = [answer.get_json()["points"] for answer in history]
    assert [(curve[0]["balance"], curve[-1]["equity"]) for curve in points] == [
        (100_000.0, 100_520.0),
        (70_000.0, 70_000.0),
        (70_000.0, 70_000.0),
    ]
    (old, new, _) = points
    assert old[-1]["time"] == new[0]["time"] == "2026-11-23T05:00:00.000Z"
    assert (old[-1]["unrealized_pnl"], old[-1]["net_deposits"]) == (0.0, 500.0)


@pytest.mark.parametrize("path", REPORTS)
def test_a_report_on_an_unknown_season_is_a_404(alice: Trader, path: str) -> None:
    assert alice.get(f"{path.format(alice.client_id)}?season=1").status_code == 200
    answer = alice.get(f"{path.format(alice.client_id)}?season=2")
    assert assert_error(answer, 404, "season_not_found") == {"season": 2, "current": 1}
