"""Every error has the same body, and every response has a request id."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.events import events_committed
from tests.support.responses import assert_error
from tests.support.users import Trader

REQUEST_ID = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/auth", "/trades", "/market/live/", "/trades/a/b/c", "/%00", "/%FF"]
)
def test_an_unknown_address_is_a_404(client: FlaskClient, path: str) -> None:
    assert_error(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/auth/register", {"POST"}),
        ("DELETE", "/notifications", {"GET", "POST"}),
        ("POST", "/market/live/NIFTY", {"GET"}),
        ("DELETE", "/trades/exit/6564f0c0c0c0c0c0c0c0c0c0", {"POST"}),
        ("POST", "/notifications/6564f0c0c0c0c0c0c0c0c0c0/read", {"PUT"}),
        ("PUT", "/health/live", {"GET"}),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = client.open(path, method=method)

    assert_error(answer, 405, "method_not_allowed")
    named = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert allowed <= named
    assert method not in named


def test_a_given_request_id_is_echoed(client: FlaskClient) -> None:
    answer = client.get("/nope", headers={"X-Request-ID": "abc-123_X.9"})

    assert answer.headers["X-Request-ID"] == "abc-123_X.9"
    assert answer.get_json()["request_id"] == "abc-123_X.9"


def test_every_response_has_a_unique_request_id(client: FlaskClient) -> None:
    answers = [client.get(path) for path in ("/health/live", "/market/live/NIFTY", "/nope") * 2]

    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert all(REQUEST_ID.fullmatch(each) for each in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "forged",
    ["a\r\nSet-Cookie: x=1", "a\nb", "a b", "x" * 65, "<script>", "a\x00", "ü", "abc\n", " "],
)
def test_a_forged_request_id_is_replaced(client: FlaskClient, forged: str) -> None:
    # Given to the application as a careless server would, since no client here would send it.
    answer = client.get("/nope", environ_overrides={"HTTP_X_REQUEST_ID": forged})

    assert_error(answer, 404, "not_found")
    assert REQUEST_ID.fullmatch(answer.headers["X-Request-ID"])
    assert "Set-Cookie" not in answer.headers


def test_an_unexpected_error_says_nothing_of_the_inside(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError("the secret of the inside")

    answer = app.test_client().get("/boom")

    assert_error(answer, 500, "internal_error")
    for inside in ("secret", "RuntimeError", "Traceback", "boom", ".py"):
        assert inside not in answer.text
    assert app.test_client().get("/health/live").status_code == 200


def test_a_listener_that_fails_undoes_nothing(alice: Trader, app: Flask) -> None:
    def fail(sender: Flask, events: object) -> None:
        raise RuntimeError("a listener")

    with events_committed.connected_to(fail, sender=app):
        trade = alice.create_trade()
        assert trade.status_code == 201
        assert alice.post(f"/trades/exit/{trade.get_json()['trade_id']}").status_code == 200


def test_the_page_of_an_error_is_json_for_browsers_too(client: FlaskClient) -> None:
    answer = client.get("/nope", headers={"Accept": "text/html"})
    assert_error(answer, 404, "not_found")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_slash_at_the_end_of_notifications_is_no_redirect(carol: Trader) -> None:
    assert carol.get("/notifications/").status_code == 200


def test_head_is_answered_like_get_without_a_body(client: FlaskClient) -> None:
    answer = client.head("/market/live/NIFTY")
    assert (answer.status_code, answer.data) == (200, b"")
