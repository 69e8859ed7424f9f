"""Fixtures of the API tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.web.auth import issue_token
from tests.support.changes import show
from tests.support.users import Trader, sign_up


@pytest.fixture
def carol(client: FlaskClient) -> Trader:
    """Someone who is registered and has no portfolio yet."""
    return sign_up(client)


@pytest.fixture
def deleted_user(app: Flask, client: FlaskClient) -> Trader:
    """Someone with a good token whose account is gone."""
    with app.app_context():
        return Trader(client, "deleted", issue_token("deleted"))


@pytest.fixture
def place(alice: Trader) -> Callable[..., dict[str, Any]]:
    """Place an order of alice that waits for its limit, or for its stop price."""

    def place(limit_price: int | None = None, **terms: Any) -> dict[str, Any]:
        order_type = "STOP" if limit_price is None else "LIMIT"
        prices = {} if limit_price is None else {"limit_price": limit_price}
        trade = alice.create_trade(order_type=order_type, **prices, **terms).get_json()
        assert trade["status"] == "PENDING"
        return show(alice, trade["trade_id"])

    return place
