"""Opening and showing a portfolio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.models import Portfolio
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import PORTFOLIO, assert_error, assert_shape
from tests.support.users import Trader, sign_up


def test_a_new_portfolio_is_all_available_margin(carol: Trader) -> None:
    answer = carol.post("/portfolio/create", {})

    assert answer.status_code == 201
    body = answer.get_json()
    assert_shape(body, PORTFOLIO)
    assert body["user_id"] == carol.client_id
    assert body["available_margin"] == body["initial_margin"] == 100_000.0
    assert body["utilized_margin"] == body["total_pnl"] == 0.0
    assert body["last_updated"] == "2026-11-23T04:00:00.000Z"


def test_creating_it_again_answers_200_with_the_same_body(
    carol: Trader, clock: ManualClock
) -> None:
    first = carol.post("/portfolio/create", {"initial_margin": 5_000})
    clock.advance(60)
    again = carol.post("/portfolio/create", {"initial_margin": 9_000})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json() == first.get_json()
    assert carol.portfolio() == first.get_json()


def test_it_is_created_without_a_body(carol: Trader) -> None:
    assert carol.post("/portfolio/create").status_code == 201


def test_the_configured_margin_is_the_default(make_app: Callable[..., Flask]) -> None:
    trader = sign_up(make_app(INITIAL_MARGIN="2500.50").test_client())
    assert trader.open_portfolio()["available_margin"] == 2_500.5


@pytest.mark.parametrize("margin", [1_000, 1_000.0, 12_345.67, 999_999_999.99, 1_000_000_000])
def test_one_may_choose_the_margin_to_the_paisa(carol: Trader, margin: float) -> None:
    answer = carol.post("/portfolio/create", {"initial_margin": margin})

    assert answer.status_code == 201
    assert answer.get_json()["initial_margin"] == margin
    kept = Portfolio.find_by_user_id(carol.client_id)
    assert kept is not None
    assert str(kept.available_margin) == f"{margin:.2f}"


def test_a_margin_out_of_bounds_or_of_another_type_opens_nothing(
    carol: Trader, subtests: pytest.Subtests
) -> None:
    wrong: list[Any] = [0, -1, 999.99, 1_000_000_000.01, 1e12, 1_000.001, "5000", True, [5000], {}]
    for margin in [*wrong, {"$gt": 0}]:
        with subtests.test(margin=repr(margin)):
            answer = carol.post("/portfolio/create", {"initial_margin": margin})
            assert set(assert_error(answer, 400, "validation_error")) == {"initial_margin"}
    assert Portfolio.find_by_user_id(carol.client_id) is None


def test_an_extra_field_is_refused_by_name(carol: Trader) -> None:
    answer = carol.post("/portfolio/create", {"available_margin": 10**9})
    assert set(assert_error(answer, 400, "validation_error")) == {"available_margin"}


def test_showing_it_answers_the_same_body(alice: Trader) -> None:
    answer = alice.get(f"/portfolio/{alice.client_id}")

    assert answer.status_code == 200
    assert_shape(answer.get_json(), PORTFOLIO)
    assert answer.get_json() == alice.post("/portfolio/create", {}).get_json()


def test_a_missing_portfolio_is_a_404(carol: Trader) -> None:
    assert_error(carol.get(f"/portfolio/{carol.client_id}"), 404, "portfolio_not_found")


def test_anothers_portfolio_is_forbidden_whether_it_exists_or_not(
    alice: Trader, bob: Trader
) -> None:
    for other in (bob.client_id, "nobody", f"{alice.client_id}x", "%24ne"):
        assert_error(alice.get(f"/portfolio/{other}"), 403, "forbidden")


def test_last_updated_moves_with_the_money(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    clock.advance(90)
    feed.set("^NSEI", 25_000)
    alice.create_trade()
    assert alice.portfolio()["last_updated"] == "2026-11-23T04:01:30.000Z"
