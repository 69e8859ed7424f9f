"""Valid tokens are accepted; every other token gets the same response."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token, create_refresh_token

from app.models import Portfolio
from app.web.auth import AUDIENCE, CLOCK_LEEWAY_SECONDS, ISSUER, issue_token
from tests.support.live import eventually
from tests.support.responses import assert_error
from tests.support.users import Trader

ID = "6564f0c0c0c0c0c0c0c0c0c0"
ROUTES = [
    ("POST", "/portfolio/create"),
    ("GET", "/portfolio/deleted"),
    ("GET", "/portfolio/deleted/list"),
    ("GET", "/portfolio/deleted/activities"),
    ("POST", "/portfolio/deleted/deposit"),
    ("POST", "/portfolio/deleted/withdraw"),
    ("POST", "/portfolio/deleted/reset"),
    ("GET", "/portfolio/deleted/positions"),
    ("GET", "/portfolio/deleted/history"),
    ("POST", "/trades/create"),
    ("POST", "/trades/preview"),
    ("POST", "/trades/oco"),
    ("POST", f"/trades/exit/{ID}"),
    ("POST", "/trades/exit-all/deleted"),
    ("GET", "/trades/deleted"),
    ("GET", f"/trades/deleted/{ID}"),
    ("GET", "/trades/performance/deleted"),
    ("GET", "/trades/statistics/deleted"),
    ("GET", "/trades/deleted/export.csv"),
    ("POST", "/notifications"),
    ("GET", "/notifications"),
    ("PUT", f"/notifications/{ID}/read"),
]


def signed(app: Flask, *, key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    """Return a token like the application's, with other claims or another key."""
    now = int(time.time())
    ours = {"sub": "deleted", "iat": now, "nbf": now, "exp": now + 60, "type": "access", "jti": "1"}
    payload = {**ours, "fresh": False, **claims}
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, key or app.config["JWT_SECRET_KEY"], algorithm=algorithm)


def unsigned(claims: dict[str, Any]) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
    return ".".join(part.rstrip(b"=").decode() for part in encoded) + "."


def test_every_authenticated_route_refuses_a_missing_token(
    client: FlaskClient, subtests: pytest.Subtests
) -> None:
    for method, path in ROUTES:
        with subtests.test(method=method, path=path):
            answer = client.open(path, method=method, json={} if method != "GET" else None)
            assert_error(answer, 401, "token_missing")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_every_authenticated_route_refuses_a_malformed_token(
    client: FlaskClient, subtests: pytest.Subtests
) -> None:
    for method, path in ROUTES:
        with subtests.test(method=method, path=path):
            answer = client.open(path, method=method, headers={"Authorization": "Bearer a.b.c"})
            assert_error(answer, 401, "token_invalid")


def headers_with_a_fault(app: Flask, good: str, refresh: str) -> dict[str, str]:
    """Return Authorization headers by their fault, made of two valid tokens."""
    header, payload, signature = good.split(".")
    other_payload = signed(app, sub="bob").split(".")[1]
    far = int(time.time()) + 3600
    return {
        "no scheme": good,
        "Basic": "Basic Z2hvc3Q6Z2hvc3Q=",
        "Basic with our token": f"Basic {good}",
        "Bearer alone": "Bearer",
        "Bearer and a space": "Bearer ",
        "two tokens": f"Bearer {good} {good}",
        "not a token": "Bearer null",
        "one part": f"Bearer {header}",
        "no signature": f"Bearer {header}.{payload}.",
        "another's payload": f"Bearer {header}.{other_payload}.{signature}",
        "a signature changed": f"Bearer {header}.{payload}.{signature[:-4]}AAAA",
        "not ASCII": "Bearer tök\xe9n",
        "a key of someone else": f"Bearer {signed(app, key='k' * 64)}",
        "another algorithm": f"Bearer {signed(app, algorithm='HS512')}",
        "alg none": f"Bearer {unsigned({'sub': 'deleted', 'type': 'access', 'exp': far})}",
        "not valid yet": f"Bearer {signed(app, nbf=far)}",
        "a refresh token": f"Bearer {refresh}",
        "another type": f"Bearer {signed(app, type='id')}",
        "no subject": f"Bearer {signed(app, sub=None)}",
        "a number as subject": f"Bearer {signed(app, sub=7)}",
        "an object as subject": f"Bearer {signed(app, sub={'$gt': ''})}",
        "no expiry": f"Bearer {signed(app, exp=None)}",
        "no type": f"Bearer {signed(app, type=None)}",
        "no id": f"Bearer {signed(app, jti=None)}",
        "another audience": f"Bearer {signed(app, iss=ISSUER, aud='payroll')}",
        "another issuer": f"Bearer {signed(app, iss='payroll', aud=AUDIENCE)}",
        "an issuer alone": f"Bearer {signed(app, iss=ISSUER)}",
        "several audiences": f"Bearer {signed(app, iss=ISSUER, aud=[AUDIENCE, 'payroll'])}",
        "issued in the future": f"Bearer {signed(app, iat=far)}",
        "a text as expiry": f"Bearer {signed(app, exp='tomorrow')}",
        "very long": "Bearer " + "a" * 20_000,
    }


def test_whatever_is_wrong_with_a_token_it_is_a_401(
    app: Flask, client: FlaskClient, subtests: pytest.Subtests
) -> None:
    with app.app_context():
        good = create_access_token("deleted")
        refresh = create_refresh_token("deleted")
    headers = headers_with_a_fault(app, good, refresh)
    for fault, value in headers.items():
        with subtests.test(fault):
            answer = client.get("/notifications", headers={"Authorization": value})
            assert_error(answer, 401, "token_invalid")
    let_in = client.get("/notifications", headers={"Authorization": f"Bearer {good}"})
    assert let_in.status_code == 200


def test_an_expired_token_says_so(app: Flask, client: FlaskClient) -> None:
    token = signed(app, exp=int(time.time()) - CLOCK_LEEWAY_SECONDS - 1)

    answer = client.get("/notifications", headers={"Authorization": f"Bearer {token}"})
    assert_error(answer, 401, "token_expired")


@pytest.mark.parametrize("claim", ["iat", "nbf", "exp"])
def test_clocks_of_two_servers_may_be_seconds_apart(
    app: Flask, client: FlaskClient, claim: str
) -> None:
    away = (CLOCK_LEEWAY_SECONDS - 3) * (-1 if claim == "exp" else 1)
    claims: dict[str, Any] = {claim: int(time.time()) + away}
    token = signed(app, **claims)

    answer = client.get("/notifications", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_clocks_further_apart_are_not_believed(app: Flask, client: FlaskClient, claim: str) -> None:
    claims: dict[str, Any] = {claim: int(time.time()) + CLOCK_LEEWAY_SECONDS + 30}
    token = signed(app, **claims)

    answer = client.get("/notifications", headers={"Authorization": f"Bearer {token}"})
    assert_error(answer, 401, "token_invalid")


def test_a_token_says_who_issued_it_and_whom_it_is_for(app: Flask) -> None:
    with app.app_context():
        claims = jwt.decode(
            issue_token("deleted"), app.config["JWT_SECRET_KEY"], ["HS256"], audience=AUDIENCE
        )
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, AUDIENCE, "deleted")


def test_a_token_of_an_earlier_version_is_accepted(app: Flask, client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {signed(app)}"}
    assert client.get("/notifications", headers=headers).status_code == 200


def test_a_token_that_was_accepted_still_expires(app: Flask, client: FlaskClient) -> None:
    expiry = int(time.time()) - CLOCK_LEEWAY_SECONDS + 2
    headers = {"Authorization": f"Bearer {signed(app, exp=expiry)}"}
    assert client.get("/notifications", headers=headers).status_code == 200

    eventually(lambda: client.get("/notifications", headers=headers).status_code == 401)

    assert_error(client.get("/notifications", headers=headers), 401, "token_expired")


def test_a_remembered_token_is_refused_under_another_secret(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(JWT_SECRET_KEY="a" * 64)
    headers = {"Authorization": f"Bearer {signed(app)}"}
    assert app.test_client().get("/notifications", headers=headers).status_code == 200

    other = make_app(JWT_SECRET_KEY="b" * 64)
    answer = other.test_client().get("/notifications", headers=headers)
    assert_error(answer, 401, "token_invalid")


def test_no_answer_sets_a_cookie(carol: Trader) -> None:
    assert "Set-Cookie" not in carol.get("/notifications").headers


def test_the_scheme_is_read_in_any_case(carol: Trader) -> None:
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {carol.token}"}
        assert carol.client.get("/notifications", headers=headers).status_code == 200


def test_public_routes_ask_for_no_token_and_mind_no_bad_one(client: FlaskClient) -> None:
    for path in ("/market/live/NIFTY", "/market/symbols", "/health/live"):
        assert client.get(path).status_code == 200
        assert client.get(path, headers={"Authorization": "Bearer bad"}).status_code == 200


def test_a_refusal_does_not_say_why_a_token_is_invalid(app: Flask, client: FlaskClient) -> None:
    token = signed(app, key="k" * 64)
    answer = client.get("/notifications", headers={"Authorization": f"Bearer {token}"})
    assert answer.get_json()["error"] == "This token is not valid."


def test_the_token_of_a_deleted_user_is_refused(deleted_user: Trader) -> None:
    assert_error(deleted_user.post("/portfolio/create", {}), 401, "account_gone")
    assert Portfolio.find_by_user_id("deleted") is None
    assert_error(
        deleted_user.post("/notifications", {"event": "a", "message": "b"}), 401, "account_gone"
    )
    assert_error(deleted_user.create_trade(), 404, "portfolio_not_found")
