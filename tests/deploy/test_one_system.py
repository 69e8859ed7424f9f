"""Limits and revocations are those of the whole system, whichever process a client meets."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import requests

from app.auth.attempts import OF_ONE_ADDRESS
from tests.support.deployment import Deployment
from tests.support.live import Listener, LiveTrader, eventually
from tests.support.nginx import Nginx

pytestmark = pytest.mark.needs("redis-server")
ALLOWED = 12


@pytest.fixture(scope="module")
def deployment_variables() -> dict[str, Any]:
    return {
        "TRUSTED_PROXIES": 1,
        "RATELIMIT_ENABLED": "true",
        "RATELIMIT_DEFAULT": f"{ALLOWED} per hour",
    }


@pytest.fixture
def trader(deployment: Deployment) -> LiveTrader:
    """A user who is signed in at the first web process."""
    return LiveTrader(deployment.webs[0])


def statuses(responses: list[requests.Response]) -> list[int]:
    return [response.status_code for response in responses]


def test_an_address_has_one_budget_at_all_processes(deployment: Deployment) -> None:
    from_one = {"X-Forwarded-For": "198.51.100.7"}
    webs = itertools.cycle(deployment.webs)
    found = statuses(
        [next(webs).request("GET", "/market/symbols", headers=from_one) for _ in range(2 * ALLOWED)]
    )

    assert found == [200] * ALLOWED + [429] * ALLOWED


@pytest.mark.needs("nginx")
@pytest.mark.needs("openssl")
def test_invented_addresses_do_not_add_to_a_budget(gateway: Nginx) -> None:
    found = []
    for number in range(2 * ALLOWED):
        invented = f"198.51.100.{number}"
        headers = {
            "X-Forwarded-For": f"{invented}, 203.0.113.9",
            "X-Real-IP": invented,
            "Forwarded": f"for={invented}",
            "CF-Connecting-IP": invented,
        }
        found.append(gateway.request("GET", "/market/status", headers=headers).status_code)

    assert found == [200] * ALLOWED + [429] * ALLOWED


def test_guesses_at_a_password_are_counted_by_all_processes_together(
    deployment: Deployment, trader: LiveTrader
) -> None:
    webs = itertools.cycle(deployment.webs)
    body = {"email": trader.email, "password": "a guess"}
    attacker = {"X-Forwarded-For": "198.51.100.8"}
    responses = [
        next(webs).request("POST", "/auth/login", json=body, headers=attacker)
        for _ in range(OF_ONE_ADDRESS.free + 3)
    ]

    assert statuses(responses[: OF_ONE_ADDRESS.free]) == [401] * OF_ONE_ADDRESS.free
    assert responses[-1].json()["code"] == "sign_in_delayed"


def test_a_session_that_ends_at_one_process_ends_at_all_of_them(
    deployment: Deployment, trader: LiveTrader
) -> None:
    here, there = deployment.webs

    def at_the_other() -> requests.Response:
        return there.request("GET", "/auth/sessions", trader.token)

    assert at_the_other().status_code == 200
    with Listener(there, trader.token) as socket:
        assert socket.call("join", user_id=trader.client_id)["ok"]

        assert here.request("POST", "/auth/logout", trader.token, json={}).status_code == 200

        eventually(lambda: at_the_other().status_code == 401)
        assert at_the_other().json()["code"] == "token_revoked"
        eventually(lambda: not socket.client.connected)


def test_a_key_that_is_deleted_at_one_process_is_refused_by_all_of_them(
    deployment: Deployment, trader: LiveTrader
) -> None:
    here, there = deployment.webs
    made = trader.post("/auth/api-keys", name="bot", scopes=["read"]).json()
    trader.open_portfolio()

    def at_the_other() -> int:
        headers = {"X-API-Key": made["api_key"]}
        path = f"/portfolio/{trader.client_id}"
        return there.request("GET", path, headers=headers).status_code

    assert at_the_other() == 200

    deleted = here.request("DELETE", f"/auth/api-keys/{made['key_id']}", trader.token)
    assert deleted.status_code == 200

    eventually(lambda: at_the_other() == 401)
