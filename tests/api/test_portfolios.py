"""Several portfolios of a user, by name."""

from __future__ import annotations

from typing import Any

import pytest

from app.monitor import Monitor
from app.portfolio.service import MAX_PORTFOLIOS
from tests.support.database_state import assert_invariants, documents
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import PORTFOLIO, assert_error, assert_shape
from tests.support.retries import send, send_concurrently
from tests.support.users import PASSWORD, Trader


@pytest.fixture
def swing(alice: Trader, clock: ManualClock) -> dict[str, Any]:
    """A second portfolio of alice, of 50,000."""
    clock.advance(1)
    answer = alice.post("/portfolio/create", {"name": "swing", "initial_margin": 50_000})
    assert answer.status_code == 201
    opened: dict[str, Any] = answer.get_json()
    return opened


def names(trader: Trader) -> list[str]:
    found = trader.get(f"/portfolio/{trader.client_id}/list").get_json()["portfolios"]
    return [portfolio["name"] for portfolio in found]


def test_each_has_its_own_name_id_and_money(alice: Trader, swing: dict[str, Any]) -> None:
    default = alice.portfolio()

    assert_shape(swing, PORTFOLIO)
    assert (swing["name"], swing["available_margin"]) == ("swing", 50_000.0)
    assert (default["name"], default["available_margin"]) == ("default", 100_000.0)
    assert default["portfolio_id"] != swing["portfolio_id"]
    shown = alice.get(f"/portfolio/{alice.client_id}?portfolio=swing")
    assert shown.get_json() == swing
    listed = alice.get(f"/portfolio/{alice.client_id}/list").get_json()
    assert listed == {"portfolios": [default, swing]}


def test_a_user_without_portfolios_has_an_empty_list(carol: Trader) -> None:
    assert names(carol) == []


def test_the_spelling_of_a_name_does_not_matter(alice: Trader, swing: dict[str, Any]) -> None:
    again = alice.post("/portfolio/create", {"name": "  SWING "})
    default = alice.post("/portfolio/create", {"name": "Default"})

    assert (again.status_code, again.get_json()) == (200, swing)
    assert (default.status_code, default.get_json()["name"]) == (200, "default")
    assert names(alice) == ["default", "swing"]


@pytest.mark.parametrize("name", ["a", "9", "options-2026 v1_b", "निवेश", "x" * 40])
def test_names_may_have_words_of_any_script(alice: Trader, name: str) -> None:
    assert alice.post("/portfolio/create", {"name": name}).status_code == 201
    trade = alice.create_trade(portfolio=name)

    assert trade.get_json()["portfolio"] == name
    assert len(alice.trades(f"?portfolio={name}")) == 1


def test_other_names_are_refused(alice: Trader, subtests: pytest.Subtests) -> None:
    for name in ["", " ", "x" * 41, "-a", "a/b", "a.com", "a$b", "a\x00b", "a{b", 5, None, ["a"]]:
        with subtests.test(name=repr(name)):
            answer = alice.post("/portfolio/create", {"name": name})
            assert set(assert_error(answer, 400, "validation_error")) == {"name"}
    assert names(alice) == ["default"]


def test_trades_use_the_money_of_their_portfolio_only(
    alice: Trader,
    swing: dict[str, Any],
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    ours = alice.create_trade(quantity=2).get_json()
    theirs = alice.create_trade(portfolio="Swing", quantity=3).get_json()

    assert (ours["portfolio"], theirs["portfolio"]) == ("default", "swing")
    assert alice.portfolio()["utilized_margin"] == 10_000.0
    own = {"portfolio": "swing"}
    shown = alice.client.get(
        f"/portfolio/{alice.client_id}", query_string=own, headers=alice.headers
    ).get_json()
    assert (shown["available_margin"], shown["utilized_margin"]) == (35_000.0, 15_000.0)
    assert [trade["trade_id"] for trade in alice.trades()] == [ours["trade_id"]]
    assert [trade["trade_id"] for trade in alice.trades("?portfolio=swing")] == [theirs["trade_id"]]

    clock.advance(1)
    feed.tick("^NSEI", 25_010)
    monitor.run_once()
    performance = f"/trades/performance/{alice.client_id}"
    assert alice.get(performance).get_json()["active_pnl"] == 20.0
    assert alice.get(f"{performance}?portfolio=swing").get_json()["active_pnl"] == 30.0
    positions = alice.get(f"/portfolio/{alice.client_id}/positions?portfolio=swing").get_json()
    assert [position["quantity"] for position in positions["positions"]] == [3]
    assert alice.post(f"/trades/exit/{theirs['trade_id']}").get_json()["pnl"] == 30.0
    assert alice.portfolio()["total_pnl"] == 0.0
    assert_portfolio_balances(alice.client_id)
    assert_invariants(alice.client_id)


def test_each_counts_its_own_trades(alice: Trader, swing: dict[str, Any]) -> None:
    for portfolio in ("default", "swing", "default"):
        assert alice.create_trade(portfolio=portfolio).status_code == 201

    numbers = {(trade["portfolio"], trade["number"]) for trade in documents("trades")}
    assert numbers == {("default", 1), ("default", 2), ("swing", 1)}


def test_margin_of_another_portfolio_is_not_available(alice: Trader, swing: dict[str, Any]) -> None:
    answer = alice.create_trade(portfolio="swing", quantity=11)

    details = assert_error(answer, 400, "insufficient_margin")
    assert details["available_margin"] == 50_000.0


def test_exit_all_closes_those_of_one_portfolio(alice: Trader, swing: dict[str, Any]) -> None:
    for portfolio in ("default", "swing", "swing"):
        alice.create_trade(portfolio=portfolio)
    path = f"/trades/exit-all/{alice.client_id}"

    assert send(alice, path, "k", {"portfolio": "swing"}).get_json()["count"] == 2
    assert len(alice.trades("?status=ACTIVE")) == 1
    assert send(alice, path, "k", {"portfolio": "swing"}).get_json()["count"] == 2
    assert_error(send(alice, path, "k", {}), 409, "idempotency_key_reused")
    assert alice.post(path).get_json()["count"] == 1


def test_naming_the_default_is_the_same_request_as_naming_none(alice: Trader) -> None:
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, "client_order_id": "mine"}
    first = send(alice, "/trades/create", "k", order)
    named = send(alice, "/trades/create", "k", {**order, "portfolio": "default"})

    assert (named.status_code, named.get_json()) == (201, first.get_json())


def test_a_client_order_id_names_one_order_of_all_portfolios(
    alice: Trader, swing: dict[str, Any]
) -> None:
    alice.create_trade(client_order_id="mine")

    answer = alice.create_trade(client_order_id="mine", portfolio="swing")
    assert_error(answer, 409, "client_order_id_reused")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/portfolio/{}?portfolio=none"),
        ("GET", "/portfolio/{}/positions?portfolio=none"),
        ("GET", "/trades/{}?portfolio=none"),
        ("GET", "/trades/performance/{}?portfolio=none"),
        ("POST", "/trades/exit-all/{}"),
        ("POST", "/trades/create"),
    ],
)
def test_an_unknown_portfolio_is_a_404_that_names_it(alice: Trader, method: str, path: str) -> None:
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    body = (order if path.endswith("create") else {}) | {"portfolio": "none"}
    answer = alice.client.open(
        path.format(alice.client_id),
        method=method,
        headers=alice.headers,
        json=body if method == "POST" else None,
    )

    assert assert_error(answer, 404, "portfolio_not_found") == {"portfolio": "none"}
    assert "none" in answer.get_json()["error"]


def test_an_unknown_season_is_a_404(alice: Trader) -> None:
    assert alice.get(f"/trades/{alice.client_id}?season=1").status_code == 200
    answer = alice.get(f"/trades/{alice.client_id}?season=2")
    assert assert_error(answer, 404, "season_not_found") == {"season": 2, "current": 1}


def test_events_and_their_messages_name_the_portfolio(alice: Trader, swing: dict[str, Any]) -> None:
    alice.create_trade(portfolio="swing")
    alice.post(f"/trades/exit-all/{alice.client_id}", {"portfolio": "swing"})

    exited, created = alice.notifications()
    assert (exited["data"]["portfolio"], created["data"]["portfolio"]) == ("swing", "swing")
    assert "swing" in created["message"]
    assert "swing" in exited["message"]


def test_the_number_of_portfolios_is_limited_also_at_once(alice: Trader) -> None:
    for number in range(MAX_PORTFOLIOS - 6):
        assert alice.post("/portfolio/create", {"name": f"p{number}"}).status_code == 201
    fresh = iter([f"q{number}" for number in range(20)])

    answers = send_concurrently(
        lambda: send(alice, "/portfolio/create", body={"name": next(fresh)})
    )

    assert sorted(status for status, _ in answers) == [201] * 5 + [409] * 15
    refused = [body for status, body in answers if status == 409]
    assert {body["code"] for body in refused} == {"too_many_portfolios"}
    assert refused[0]["details"] == {"limit": MAX_PORTFOLIOS}
    assert len(names(alice)) == MAX_PORTFOLIOS
    # One that exists is still found.
    assert alice.post("/portfolio/create", {"name": "p1"}).status_code == 200


def test_everything_of_them_is_exported_and_erased(alice: Trader, swing: dict[str, Any]) -> None:
    for portfolio in ("default", "swing"):
        alice.create_trade(portfolio=portfolio)
    exported = alice.get("/auth/me/export").get_json()

    assert {each["name"] for each in exported["portfolios"]} == {"default", "swing"}
    assert sorted(trade["portfolio"] for trade in exported["trades"]) == ["default", "swing"]
    assert sorted(each["amount"] for each in exported["movements"]) == [50_000.0, 100_000.0]
    body = {"password": PASSWORD}
    alice.client.delete("/auth/me", json=body, headers=alice.headers)
    for name in ("portfolios", "trades", "movements"):
        assert documents(name, user_id=alice.client_id) == []
