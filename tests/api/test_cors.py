"""Pages of listed origins may call the API; pages of other origins may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

LISTED = "http://localhost:3000"


def allowed_origin(answer: TestResponse) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize(
    "origin",
    [LISTED, "http://localhost:5173", "http://127.0.0.1:3000", "http://127.0.0.1:5173"],
)
def test_a_listed_origin_is_allowed_and_may_read_the_exposed_headers(
    client: FlaskClient, origin: str
) -> None:
    answer = client.get("/market/live/NIFTY", headers={"Origin": origin})

    assert allowed_origin(answer) == origin
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"X-Request-ID", "Retry-After", "RateLimit-Remaining"} <= set(exposed.split(", "))
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:3001", "https://localhost:3000", "null",
     "http://localhost:3000.evil.example", "http://evil.example/http://localhost:3000"],
)  # fmt: skip
def test_an_unlisted_origin_is_not(client: FlaskClient, origin: str) -> None:
    assert allowed_origin(client.get("/market/live/NIFTY", headers={"Origin": origin})) is None
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert allowed_origin(client.options("/trades/create", headers=preflight)) is None


def test_a_preflight_allows_the_method_and_the_headers(client: FlaskClient) -> None:
    answer = client.options(
        "/trades/create",
        headers={
            "Origin": LISTED,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )

    assert answer.status_code == 200
    assert allowed_origin(answer) == LISTED
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    named = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "content-type"} <= set(named.split(", "))


def test_errors_can_be_read_by_a_listed_origin_too(client: FlaskClient) -> None:
    for path, status in (("/nope", 404), ("/notifications", 401), ("/market/live/X", 404)):
        answer = client.get(path, headers={"Origin": LISTED})
        assert (answer.status_code, allowed_origin(answer)) == (status, LISTED)


def test_without_an_origin_nothing_is_said(client: FlaskClient) -> None:
    assert allowed_origin(client.get("/market/live/NIFTY")) is None


def test_the_origins_are_those_configured(make_app: Callable[..., Flask]) -> None:
    client = make_app(CORS_ORIGINS="https://app.example, https://b.example").test_client()

    for origin, expected in (("https://b.example", "https://b.example"), (LISTED, None)):
        assert allowed_origin(client.get("/health/live", headers={"Origin": origin})) == expected


def test_origins_are_compared_as_text(make_app: Callable[..., Flask]) -> None:
    client = make_app(CORS_ORIGINS="https://a.example.com,http://[::1]:3000").test_client()

    for origin in ("https://a.example.com", "http://[::1]:3000"):
        assert allowed_origin(client.get("/health/live", headers={"Origin": origin})) == origin
    for origin in (
        "https://axexample.com", "https://a.example.com.evil.org", "https://xa.example.com",
        "http://1:3000", "http://::3000", "https://a.example.com:444", "https://a.example.com\n",
    ):  # fmt: skip
        environ = {"HTTP_ORIGIN": origin}
        assert allowed_origin(client.get("/health/live", environ_overrides=environ)) is None


def test_a_refused_origin_is_logged_once_and_an_allowed_one_never(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "paper_trading")
    for origin in ["http://evil.example:8000"] * 5 + [LISTED, "http://localhost"]:
        client.get("/health/live", headers={"Origin": origin})

    (line,) = [each.getMessage() for each in caplog.records if "origin" in each.getMessage()]
    assert "http://evil.example:8000" in line
    assert "CORS_ORIGINS" in line


def test_refused_origins_cannot_fill_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "paper_trading")
    for number in range(100):
        client.get("/health/live", headers={"Origin": f"http://evil{number}.example"})

    lines = [each for each in caplog.records if "refused the origin" in each.getMessage()]
    assert 0 < len(lines) <= 20
