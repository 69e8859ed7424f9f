"""Rate limits of users and addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import limiter
from app.monitor import Monitor
from app.web.auth import issue_token
from app.web.health import MONITOR_KEY
from tests.support.responses import assert_error


@pytest.fixture
def limited(make_app: Callable[..., Flask]) -> Flask:
    """An application that allows three requests a minute per route, and five reads."""
    return make_app(
        RATELIMIT_ENABLED="true",
        RATELIMIT_DEFAULT="3 per minute",
        RATELIMIT_READS="5 per minute",
        RATELIMIT_REGISTRATIONS="2 per day",
    )


def headers_of(app: Flask, client_id: str) -> dict[str, str]:
    with app.app_context():
        return {"Authorization": f"Bearer {issue_token(client_id)}"}


def statuses(client: FlaskClient, path: str, times: int, **kwargs: object) -> list[int]:
    return [client.get(path, **kwargs).status_code for _ in range(times)]


def test_a_request_over_the_limit_is_a_429_that_says_when_to_retry(limited: Flask) -> None:
    client = limited.test_client()
    assert statuses(client, "/market/symbols", 3) == [200, 200, 200]

    answer = client.get("/market/symbols")
    assert_error(answer, 429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit-Limit"] == "3"
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert int(answer.headers["RateLimit-Reset"]) > 0
    body = answer.get_json()
    assert "the limit of this route is 3 per 1 minute" in body["error"]
    seconds = int(answer.headers["Retry-After"])
    assert f"Try again in {seconds} seconds." in body["error"]
    assert body["details"] == {
        "limit": "route", "allowed": "3 per 1 minute", "retry_after_seconds": seconds,
    }  # fmt: skip


def test_responses_count_down_without_retry_after(limited: Flask) -> None:
    client = limited.test_client()
    answers = [client.get("/market/symbols") for _ in range(3)]

    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0"]
    assert all("Retry-After" not in answer.headers for answer in answers)


def test_a_503_says_when_the_server_may_respond_again_and_not_when_its_limit_is_reset(
    limited: Flask,
) -> None:
    client = limited.test_client()
    # No price of it is known.
    answers = [client.get("/market/live/TCS") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [503, 503, 503, 429]
    assert [answer.headers["Retry-After"] for answer in answers[:3]] == ["5", "5", "5"]
    assert answers[0].headers["RateLimit-Remaining"] == "2"
    assert_error(answers[0], 503, "market_data_unavailable")


def test_each_route_counts_for_itself(limited: Flask) -> None:
    client = limited.test_client()
    statuses(client, "/market/symbols", 4)
    assert client.get("/market/live/NIFTY").status_code == 200


def test_a_preview_counts_as_a_read(limited: Flask) -> None:
    client, own = limited.test_client(), headers_of(limited, "one")
    assert statuses(client, "/notifications", 2, headers=own) == [200, 200]
    previews = [client.post("/trades/preview", json={}, headers=own) for _ in range(4)]
    assert [preview.status_code for preview in previews] == [400] * 3 + [429]


def test_users_of_one_address_count_separately(limited: Flask) -> None:
    client = limited.test_client()
    one, other = headers_of(limited, "one"), headers_of(limited, "other")

    assert statuses(client, "/notifications", 6, headers=one) == [200] * 5 + [429]
    assert statuses(client, "/notifications", 5, headers=other) == [200] * 5
    assert statuses(client, "/notifications", 1) == [401]


def test_a_user_counts_as_one_from_any_address(limited: Flask) -> None:
    headers = headers_of(limited, "one")
    found = [
        limited.test_client()
        .get("/notifications", headers=headers, environ_overrides={"REMOTE_ADDR": f"10.0.0.{n}"})
        .status_code
        for n in range(6)
    ]
    assert found == [200] * 5 + [429]


def test_requests_without_a_valid_token_count_by_address(limited: Flask) -> None:
    client = limited.test_client()
    for number in range(3):
        headers = {"Authorization": f"Bearer forged.{number}.token"}
        assert client.get("/notifications", headers=headers).status_code == 401

    assert client.get("/notifications").status_code == 429
    elsewhere = {"REMOTE_ADDR": "10.9.9.9"}
    assert client.get("/notifications", environ_overrides=elsewhere).status_code == 401


def test_a_header_cannot_change_the_address(limited: Flask) -> None:
    client = limited.test_client()
    found = [
        client.get("/market/symbols", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(4)
    ]
    assert found == [200, 200, 200, 429]


def test_a_trusted_proxy_names_the_address(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="1 per minute", TRUSTED_PROXIES=1)
    client = app.test_client()
    addresses = ["10.0.0.1", "10.0.0.2", "6.6.6.6, 10.0.0.1"]
    found = [
        client.get("/market/symbols", headers={"X-Forwarded-For": each}).status_code
        for each in addresses
    ]
    assert found == [200, 200, 429]


def test_health_is_exempt(limited: Flask) -> None:
    limited.extensions[MONITOR_KEY] = Monitor(limited)
    client = limited.test_client()
    for path in ("/health/live", "/health/ready"):
        assert set(statuses(client, path, 10)) == {200}


def test_the_default_is_fifty_an_hour_per_route(make_app: Callable[..., Flask]) -> None:
    client = make_app(RATELIMIT_ENABLED="true").test_client()

    assert statuses(client, "/market/symbols", 51) == [200] * 50 + [429]
    assert client.get("/market/symbols").headers["RateLimit-Limit"] == "50"


def test_guessing_passwords_is_limited_too(limited: Flask) -> None:
    client = limited.test_client()
    body = {"email": "a@b.in", "password": "guessing"}
    found = [client.post("/auth/login", json=body).status_code for _ in range(4)]
    assert found == [401, 401, 401, 429]


def test_all_reads_of_a_user_share_a_limit(limited: Flask) -> None:
    client = limited.test_client()
    headers = headers_of(limited, "one")
    paths = ["/notifications", "/market/alerts", "/trades/one", "/market/status", "/notifications"]
    assert all(client.get(path, headers=headers).status_code == 200 for path in paths)

    answer = client.get("/notifications/preferences", headers=headers)
    details = assert_error(answer, 429, "rate_limited")
    assert (details["limit"], details["allowed"]) == ("reads", "5 per 1 minute")
    assert details["retry_after_seconds"] == int(answer.headers["Retry-After"])
    assert "all reads of a user together is 5 per 1 minute" in answer.get_json()["error"]


def test_writes_and_reads_do_not_count_against_each_other(limited: Flask) -> None:
    client = limited.test_client()
    headers = headers_of(limited, "one")

    assert statuses(client, "/notifications", 6, headers=headers)[-1] == 429
    found = [client.post("/portfolio/create", json=[], headers=headers) for _ in range(4)]
    assert [each.status_code for each in found] == [400, 400, 400, 429]
    assert found[-1].get_json()["details"]["limit"] == "route"


def test_the_default_of_reads_is_120_a_minute(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true")
    client, headers = app.test_client(), headers_of(app, "one")

    assert statuses(client, "/notifications", 121, headers=headers) == [200] * 120 + [429]


def test_a_decorated_route_keeps_the_default_limits_too(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="3 per hour")
    client, headers = app.test_client(), headers_of(app, "one")

    found = [client.post("/notifications", json=[], headers=headers) for _ in range(4)]
    assert [each.status_code for each in found] == [400, 400, 400, 429]
    assert found[-1].get_json()["details"]["allowed"] == "3 per 1 hour"


def test_no_limit_of_a_route_replaces_the_default_limits(limited: Flask) -> None:
    decorated = limiter.limit_manager._decorated_limits.values()

    assert decorated
    assert not any(limit.override_defaults for limits in decorated for limit in limits)
