"""Users of the API in tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "a-password-for-tests"
_numbers = itertools.count(1)


@dataclass
class Trader:
    """A registered, signed-in user of the test client."""

    client: FlaskClient
    client_id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, headers=self.headers, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        if json is not None:
            kwargs["json"] = json
        return self.client.post(path, headers=self.headers, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.client.patch(path, headers=self.headers, json=json, **kwargs)

    def put(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.put(path, headers=self.headers, **kwargs)

    def open_portfolio(self, initial_margin: float | None = None) -> dict[str, Any]:
        body = {} if initial_margin is None else {"initial_margin": initial_margin}
        opened: dict[str, Any] = self.post("/portfolio/create", body).get_json()
        return opened

    def portfolio(self) -> dict[str, Any]:
        portfolio: dict[str, Any] = self.get(f"/portfolio/{self.client_id}").get_json()
        return portfolio

    def create_trade(self, **order: Any) -> TestResponse:
        """Order one NIFTY at the market price; `order` replaces fields."""
        return self.post(
            "/trades/create", {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, **order}
        )

    def trades(self, query: str = "") -> list[dict[str, Any]]:
        page: dict[str, Any] = self.get(f"/trades/{self.client_id}{query}").get_json()
        return list(page["trades"])

    def notifications(self, query: str = "?limit=500") -> list[dict[str, Any]]:
        page: dict[str, Any] = self.get(f"/notifications{query}").get_json()
        return list(page["notifications"])


def registration(**changes: Any) -> dict[str, Any]:
    """Return the body that registers a new user; `changes` replace fields."""
    number = next(_numbers)
    return {
        "name": f"Trader {number}",
        "email": f"trader{number}@example.com",
        "phone": f"98765{number:05}",
        "password": PASSWORD,
        **changes,
    }


def sign_up(client: FlaskClient, **changes: Any) -> Trader:
    """Register and sign in a new user."""
    body = registration(**changes)
    registered = client.post("/auth/register", json=body)
    assert registered.status_code == 201, registered.text
    client_id = registered.get_json()["client_id"]
    signed_in = client.post("/auth/login", json={"email": body["email"], "password": PASSWORD})
    return Trader(client, client_id, signed_in.get_json()["access_token"])
