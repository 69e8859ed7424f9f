"""Attack: guess the password of an account, or keep its owner out of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.auth.attempts import NOTICE_AT, OF_ALL_ADDRESSES, OF_ONE_ADDRESS
from app.web import rate_limits as limits
from tests.support.concurrency import run_concurrently
from tests.support.live import eventually
from tests.support.responses import assert_error
from tests.support.users import PASSWORD, Trader, sign_up

HOME, ATTACKER = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time by which the counts are kept: it stands still, `ahead` seconds from the start."""
    wall_clock = SimpleNamespace(ahead=0.0)
    start = time.time()
    later = SimpleNamespace(time=lambda: start + wall_clock.ahead)
    monkeypatch.setattr("limits.storage.memory.time", later)
    monkeypatch.setattr(limits, "time", later)
    return wall_clock


@pytest.fixture
def victim(make_app: Callable[..., Flask], wall_clock: SimpleNamespace) -> Trader:
    """Someone who signed in from HOME, of an application that limits nothing else so early."""
    app = make_app(
        RATELIMIT_ENABLED="true",
        RATELIMIT_DEFAULT="1000 per minute",
        RATELIMIT_REGISTRATIONS="1000 per day",
    )
    trader = sign_up(app.test_client())
    assert sign_in(trader.client, trader.client_id, PASSWORD, HOME).status_code == 200
    return trader


def sign_in(client: FlaskClient, name: str, password: str, address: str) -> TestResponse:
    body = {"email": name, "password": password}
    return client.post("/auth/login", json=body, environ_overrides={"REMOTE_ADDR": address})


def guess(victim: Trader, address: str = ATTACKER, password: str = "a guess") -> TestResponse:
    return sign_in(victim.client, victim.client_id, password, address)


def waits(victim: Trader, wall_clock: SimpleNamespace, times: int, address: str) -> list[int]:
    """Guess `times` times, each as soon as it is taken; return the seconds before each."""
    waited = []
    for _ in range(times):
        answer = guess(victim, address)
        seconds = int(answer.headers["Retry-After"]) if answer.status_code == 429 else 0
        waited.append(seconds)
        wall_clock.ahead += seconds
        if seconds:
            assert guess(victim, address).status_code == 401
    return waited


def test_each_failure_makes_the_next_guess_wait_longer(
    victim: Trader, wall_clock: SimpleNamespace
) -> None:
    found = waits(victim, wall_clock, 20, ATTACKER)

    assert found[: OF_ONE_ADDRESS.free] == [0] * OF_ONE_ADDRESS.free
    delays = [each for each in found if each]
    assert delays == sorted(delays)
    assert delays[0] <= OF_ONE_ADDRESS.first < delays[2]
    assert delays[-1] == OF_ONE_ADDRESS.longest


def test_a_delayed_sign_in_says_so_even_with_the_right_password(victim: Trader) -> None:
    for _ in range(OF_ONE_ADDRESS.free + 1):
        guess(victim)

    answer = guess(victim, password=PASSWORD)
    details = assert_error(answer, 429, "sign_in_delayed")
    assert 0 < details["retry_after_seconds"] == int(answer.headers["Retry-After"])
    assert f"in {details['retry_after_seconds']} seconds" in answer.get_json()["error"]


def test_an_account_that_does_not_exist_is_delayed_alike(victim: Trader) -> None:
    def statuses(name: str, address: str) -> list[int]:
        answers = [sign_in(victim.client, name, "a guess", address) for _ in range(8)]
        return [each.status_code for each in answers]

    assert statuses("nobody@example.com", ATTACKER) == statuses(victim.client_id, ATTACKER)


def test_spellings_of_one_name_are_one_account(victim: Trader) -> None:
    names = [victim.client_id, victim.client_id.upper(), f" {victim.client_id} "]
    for number in range(OF_ONE_ADDRESS.free + 1):
        sign_in(victim.client, names[number % 3], "a guess", ATTACKER)

    assert guess(victim).status_code == 429


def test_many_addresses_do_not_make_many_guesses(victim: Trader) -> None:
    answers = [guess(victim, f"198.51.100.{number}") for number in range(40)]

    taken = [each.status_code for each in answers].count(401)
    assert OF_ALL_ADDRESSES.free < taken < 20
    assert answers[-1].get_json()["code"] == "sign_in_delayed"


def test_guesses_sent_at_once_are_not_all_taken(victim: Trader) -> None:
    clients = [victim.client.application.test_client() for _ in range(16)]
    body = {"email": victim.client_id, "password": "a guess"}
    address = {"REMOTE_ADDR": ATTACKER}
    answers = run_concurrently(
        [
            partial(client.post, "/auth/login", json=body, environ_overrides=address)
            for client in clients
        ]
    )

    taken = [each.status_code for each in answers].count(401)
    assert taken <= OF_ONE_ADDRESS.free + 1


def test_an_owner_is_not_kept_out(victim: Trader, wall_clock: SimpleNamespace) -> None:
    for number in range(40):
        guess(victim, f"198.51.100.{number}")

    # From the usual address immediately, from others within a minute.
    assert guess(victim, HOME, PASSWORD).status_code == 200
    elsewhere = guess(victim, "203.0.113.5", PASSWORD)
    assert elsewhere.status_code == 429
    assert int(elsewhere.headers["Retry-After"]) <= OF_ALL_ADDRESSES.longest
    wall_clock.ahead += int(elsewhere.headers["Retry-After"])
    assert guess(victim, "203.0.113.5", PASSWORD).status_code == 200


def test_one_attacker_delays_the_owner_elsewhere_by_a_minute_at_most(
    victim: Trader, wall_clock: SimpleNamespace
) -> None:
    waits(victim, wall_clock, 30, ATTACKER)

    answer = guess(victim, "203.0.113.5", PASSWORD)
    assert int(answer.headers.get("Retry-After", "0")) <= OF_ALL_ADDRESSES.longest


def test_a_success_forgets_the_failures_of_its_address(victim: Trader) -> None:
    for _ in range(4):
        for _ in range(OF_ONE_ADDRESS.free - 1):
            assert guess(victim, HOME).status_code == 401
        assert guess(victim, HOME, PASSWORD).status_code == 200


def test_the_owner_is_notified_once_a_day(victim: Trader, wall_clock: SimpleNamespace) -> None:
    for number in range(3 * NOTICE_AT):
        guess(victim, f"198.51.100.{number}")

    def notices() -> list[dict[str, object]]:
        return [each for each in victim.notifications() if each["type"] == "sign_in_failures"]

    eventually(notices)
    wall_clock.ahead += 60
    guess(victim)
    (notice,) = notices()
    assert notice["data"] == {"failures": NOTICE_AT}


def test_typing_errors_of_the_owner_send_no_notification(victim: Trader) -> None:
    for _ in range(OF_ONE_ADDRESS.free):
        guess(victim, HOME)

    assert victim.notifications() == []
