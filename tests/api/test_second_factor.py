"""The second factor: turned on with a code, needed to sign in, replaced by recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pyotp
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.database import collection
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.responses import assert_error
from tests.support.users import PASSWORD, Trader, sign_up


class App:
    """An authenticator app with a secret, at the time of the test."""

    def __init__(self, secret: str, clock: ManualClock) -> None:
        self._totp = pyotp.TOTP(secret)
        self._clock = clock

    def code(self, steps: int = 0) -> str:
        return self._totp.at(self._clock.now() + timedelta(seconds=30 * steps))

    def wrong_code(self) -> str:
        near = {self.code(steps) for steps in range(-2, 3)}
        return next(code for code in map("{:06}".format, range(10)) if code not in near)


@pytest.fixture
def authenticator(carol: Trader, clock: ManualClock) -> App:
    """The app of carol, whose second factor is not confirmed yet."""
    return App(carol.post("/auth/totp", {"password": PASSWORD}).get_json()["secret"], clock)


@pytest.fixture
def recovery_codes(carol: Trader, authenticator: App, clock: ManualClock) -> list[str]:
    """The recovery codes of carol, whose second factor is on."""
    confirmed = carol.post("/auth/totp/confirm", {"code": authenticator.code()})
    # The next step, whose code was not used.
    clock.advance(30)
    codes: list[str] = confirmed.get_json()["recovery_codes"]
    return codes


def sign_in(trader: Trader, **fields: Any) -> TestResponse:
    body = {"email": trader.client_id, "password": PASSWORD, **fields}
    return trader.client.post("/auth/login", json=body)


def test_it_starts_with_a_secret_its_address_and_a_qr_code(carol: Trader) -> None:
    refused = carol.post("/auth/totp", {"password": "wrong"})
    assert_error(refused, 403, "password_wrong")

    started = carol.post("/auth/totp", {"password": PASSWORD}).get_json()

    assert len(started["secret"]) == 32
    address = unquote(started["otpauth_uri"])
    assert address.startswith(f"otpauth://totp/Paper Trading:{carol.client_id}?")
    assert started["secret"] in address
    assert ElementTree.fromstring(started["qr_svg"]).tag.endswith("svg")


def test_it_is_off_until_a_code_confirms_it(carol: Trader, authenticator: App) -> None:
    wrong = carol.post("/auth/totp/confirm", {"code": authenticator.wrong_code()})
    assert_error(wrong, 409, "totp_wrong")
    assert sign_in(carol).status_code == 200

    confirmed = carol.post("/auth/totp/confirm", {"code": authenticator.code()}).get_json()

    assert len(set(confirmed["recovery_codes"])) == 10
    assert_error(sign_in(carol), 401, "totp_required")
    shown = carol.get("/auth/me").get_json()
    assert (shown["totp_enabled"], shown["recovery_codes_left"]) == (True, 10)
    assert_error(carol.post("/auth/totp", {"password": PASSWORD}), 409, "totp_enabled")
    again = carol.post("/auth/totp/confirm", {"code": authenticator.code()})
    assert_error(again, 409, "totp_enabled")


@pytest.mark.usefixtures("recovery_codes")
def test_a_sign_in_takes_the_code_in_the_same_request(carol: Trader, authenticator: App) -> None:
    assert_error(sign_in(carol, totp=authenticator.wrong_code()), 401, "totp_invalid")
    assert_error(
        sign_in(carol, totp=authenticator.code(), password="wrong"),
        401,
        "invalid_credentials",
    )
    assert sign_in(carol, totp=authenticator.code()).status_code == 200


@pytest.mark.usefixtures("recovery_codes")
def test_each_code_is_for_one_use(carol: Trader, authenticator: App, clock: ManualClock) -> None:
    clock.advance(60)
    used = authenticator.code()
    assert sign_in(carol, totp=used).status_code == 200

    for code in (used, authenticator.code(-1)):
        assert_error(sign_in(carol, totp=code), 401, "totp_invalid")
    assert sign_in(carol, totp=authenticator.code(1)).status_code == 200


@pytest.mark.usefixtures("recovery_codes")
def test_a_clock_may_be_one_step_off_and_no_more(
    carol: Trader, authenticator: App, clock: ManualClock
) -> None:
    clock.advance(300)
    for steps, status in ((-2, 401), (2, 401), (-1, 200), (1, 200)):
        assert sign_in(carol, totp=authenticator.code(steps)).status_code == status


def test_a_recovery_code_replaces_the_app_once(carol: Trader, recovery_codes: list[str]) -> None:
    code = recovery_codes[3]
    assert sign_in(carol, totp=f" {code.upper()} ").status_code == 200
    assert_error(sign_in(carol, totp=code), 401, "totp_invalid")
    assert sign_in(carol, totp=recovery_codes[4].replace("-", "")).status_code == 200
    assert carol.get("/auth/me").get_json()["recovery_codes_left"] == 8


def test_new_recovery_codes_replace_the_old_ones(
    carol: Trader, authenticator: App, recovery_codes: list[str]
) -> None:
    body = {"password": PASSWORD, "totp": authenticator.wrong_code()}
    assert_error(carol.post("/auth/totp/recovery-codes", body), 403, "totp_invalid")
    renewed = carol.post("/auth/totp/recovery-codes", {**body, "totp": authenticator.code()})

    assert_error(sign_in(carol, totp=recovery_codes[0]), 401, "totp_invalid")
    assert sign_in(carol, totp=renewed.get_json()["recovery_codes"][0]).status_code == 200


@pytest.mark.usefixtures("recovery_codes")
def test_turning_it_off_needs_the_password_and_a_code(carol: Trader, authenticator: App) -> None:
    body = {"password": PASSWORD, "totp": authenticator.code()}
    refused = carol.post("/auth/totp/disable", {**body, "password": "wrong"})
    assert_error(refused, 403, "password_wrong")
    refused = carol.post("/auth/totp/disable", {**body, "totp": authenticator.wrong_code()})
    assert_error(refused, 403, "totp_invalid")

    assert carol.post("/auth/totp/disable", body).status_code == 200

    assert sign_in(carol).status_code == 200
    assert_error(carol.post("/auth/totp/disable", body), 409, "totp_disabled")
    changes = [each["data"]["change"] for each in carol.notifications()]
    assert changes == ["second_factor_off", "second_factor_on"]


def test_the_database_holds_neither_the_secret_nor_a_recovery_code(
    carol: Trader, clock: ManualClock
) -> None:
    secret = carol.post("/auth/totp", {"password": PASSWORD}).get_json()["secret"]
    code = App(secret, clock).code()
    codes = carol.post("/auth/totp/confirm", {"code": code}).get_json()["recovery_codes"]

    stored = str(collection("second_factors").find_one({}))
    assert secret not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def test_under_another_secret_key_recovery_codes_remain(
    make_app: Callable[..., Flask], clock: ManualClock
) -> None:
    carol = sign_up(make_app(SECRET_KEY="a" * 64).test_client())
    app = App(carol.post("/auth/totp", {"password": PASSWORD}).get_json()["secret"], clock)
    confirmed = carol.post("/auth/totp/confirm", {"code": app.code()}).get_json()

    carol.client = make_app(SECRET_KEY="b" * 64).test_client()

    clock.advance(30)
    assert_error(sign_in(carol, totp=app.code()), 401, "totp_invalid")
    assert sign_in(carol, totp=confirmed["recovery_codes"][0]).status_code == 200


def test_guesses_of_a_code_are_delayed(make_app: Callable[..., Flask], clock: ManualClock) -> None:
    carol = sign_up(make_app(RATELIMIT_ENABLED=True).test_client())
    app = App(carol.post("/auth/totp", {"password": PASSWORD}).get_json()["secret"], clock)
    carol.post("/auth/totp/confirm", {"code": app.code()})

    wrong = app.wrong_code()
    codes = [sign_in(carol, totp=wrong).get_json()["code"] for _ in range(8)]

    assert codes[:5] == ["totp_invalid"] * 5
    assert codes[-1] == "sign_in_delayed"


def test_the_owner_learns_that_somebody_has_the_password(
    make_app: Callable[..., Flask], clock: ManualClock
) -> None:
    carol = sign_up(make_app(RATELIMIT_ENABLED=True).test_client())
    app = App(carol.post("/auth/totp", {"password": PASSWORD}).get_json()["secret"], clock)
    carol.post("/auth/totp/confirm", {"code": app.code()})
    body = {"email": carol.client_id, "password": PASSWORD, "totp": app.wrong_code()}

    for _ in range(5):
        address = {"REMOTE_ADDR": "198.51.100.7"}
        carol.client.post("/auth/login", json=body, environ_base=address)

    def changes() -> list[str]:
        found = carol.notifications()
        return [each["data"]["change"] for each in found if each["type"] == "account_changed"]

    eventually(lambda: changes()[0] == "second_factor_failures")
