"""Attack: be counted as another client, or not be counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.web.addresses import client_network
from app.web.auth import issue_token
from tests.support.responses import assert_error


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    """A client of an application with three requests a minute, and two registrations a day."""
    app = make_app(
        RATELIMIT_ENABLED="true",
        RATELIMIT_DEFAULT="3 per minute",
        RATELIMIT_READS="4 per minute",
        RATELIMIT_REGISTRATIONS="2 per day",
    )
    return app.test_client()


def token_of(client: FlaskClient, client_id: str) -> dict[str, str]:
    with client.application.app_context():
        return {"Authorization": f"Bearer {issue_token(client_id)}"}


def registration(number: int) -> dict[str, str]:
    return {
        "name": "A", "email": f"a{number}@example.com", "phone": "9876543210",
        "password": "correct horse",
    }  # fmt: skip


def request_lines(caplog: pytest.LogCaptureFixture, path: str) -> list[str]:
    return [line for line in caplog.messages if line.endswith(path)]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
def test_accounts_of_ones_own_give_no_more_calls_of_public_routes(
    client: FlaskClient, path: str
) -> None:
    found = [
        client.post(path, json={}, headers=token_of(client, f"mule{number}")).status_code
        for number in range(6)
    ]

    assert set(found[3:]) == {429}
    assert client.post(path, json={}).status_code == 429


def test_accounts_of_ones_own_give_no_more_reads_of_public_routes(client: FlaskClient) -> None:
    found = [
        client.get("/market/symbols?limit=1", headers=token_of(client, f"mule{number}"))
        for number in range(6)
    ]

    assert [each.status_code for each in found] == [200] * 4 + [429] * 2
    assert found[-1].get_json()["details"]["limit"] == "public_reads"


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([f"2001:db8:1:2:{n:x}::{n:x}" for n in range(1, 5)], [200, 200, 200, 429]),
        ([f"2001:db8:1:{n:x}::1" for n in range(1, 5)], [200, 200, 200, 200]),
        (["10.0.0.7", "::ffff:10.0.0.7", "::ffff:a00:7", "10.0.0.7"], [200, 200, 200, 429]),
        (["fe80::1%eth0", "fe80::2%eth1", "fe80::3", "fe80::4"], [200, 200, 200, 429]),
    ],
)
def test_one_client_is_counted_as_one_whatever_address_it_takes(
    client: FlaskClient, addresses: list[str], expected: list[int]
) -> None:
    found = [
        client.get("/market/status", environ_overrides={"REMOTE_ADDR": each}).status_code
        for each in addresses
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("2001:db8::1", "2001:db8::/64"),
        ("192.0.2.9:50123", "192.0.2.9"),
        ("[2001:db8::1]:50123", "2001:db8::/64"),
        ("[::ffff:192.0.2.9]:50123", "192.0.2.9"),
        ("", ""),
        (None, ""),
        ("a socket file", "a socket file"),
    ],
)
def test_an_address_is_identified_by_parts_its_client_cannot_change(
    address: str | None, network: str
) -> None:
    assert client_network(address) == network


def test_registrations_of_one_address_are_few_a_day(client: FlaskClient) -> None:
    found = [client.post("/auth/register", json=registration(number)) for number in range(3)]

    assert [each.status_code for each in found] == [201, 201, 429]
    assert found[-1].get_json()["details"]["allowed"] == "2 per 1 day"
    elsewhere = client.post(
        "/auth/register", json=registration(3), environ_overrides={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert elsewhere.status_code == 201


def test_unknown_paths_share_a_limit_and_are_not_logged_beyond_it(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "paper_trading")
    attempts = [("GET", f"/nope{number}") for number in range(20)] + [
        ("DELETE", "/auth/login"), ("GET", "/etc//passwd"), ("PATCH", "/docs"),
    ]  # fmt: skip
    answers = [client.open(path, method=method) for method, path in attempts]

    assert [each.status_code for each in answers] == [404] * 3 + [429] * 20
    details = assert_error(answers[-1], 429, "rate_limited")
    assert details["limit"] == "unknown_addresses"
    assert int(answers[-1].headers["Retry-After"]) == details["retry_after_seconds"]
    assert answers[-1].headers["RateLimit-Remaining"] == "0"
    # Three that were answered, and the first refusal.
    lines = [line for line in caplog.messages if line.startswith(("GET", "DELETE", "PATCH"))]
    assert len(lines) == 4
    assert client.get("/market/status").status_code == 200


def test_a_request_that_a_short_limit_refuses_does_not_use_a_long_one(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="20 per day;2 per minute")
    client = app.test_client()
    refused = [
        answer for answer in (client.get("/nope") for _ in range(60)) if answer.status_code == 429
    ]

    assert refused
    assert {each.get_json()["details"]["allowed"] for each in refused} == {"2 per 1 minute"}


def test_wrong_methods_count_like_unknown_addresses(client: FlaskClient) -> None:
    found = [client.delete("/auth/login").status_code for _ in range(4)]
    assert found == [405, 405, 405, 429]


def test_tokens_do_not_multiply_unknown_addresses(client: FlaskClient) -> None:
    found = [
        client.get("/nope", headers=token_of(client, f"mule{number}")).status_code
        for number in range(4)
    ]
    assert found == [404, 404, 404, 429]


@pytest.mark.parametrize(
    ("method", "path", "lines"),
    [
        ("GET", "/market/status", 3 + 1),
        ("OPTIONS", "/auth/login", 60),
        ("GET", "/health/live", 60),
    ],
)
def test_refused_and_unlimited_requests_cannot_fill_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, method: str, path: str, lines: int
) -> None:
    caplog.set_level("INFO", "paper_trading")
    for _ in range(100):
        client.open(path, method=method)

    assert len(request_lines(caplog, path)) == lines


def test_health_stays_exempt_for_probes(client: FlaskClient) -> None:
    assert {client.get("/health/live").status_code for _ in range(200)} == {200}
