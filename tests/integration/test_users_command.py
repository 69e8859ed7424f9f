"""`flask users`: what an operator does for a user."""

from __future__ import annotations

from click.testing import Result
from flask import Flask

from tests.support.users import PASSWORD, Trader


def run(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=["users", *args])


def test_a_user_is_signed_out_everywhere(app: Flask, alice: Trader, bob: Trader) -> None:
    result = run(app, "sign-out", alice.client_id.upper())

    assert result.exit_code == 0, result.output
    refused = alice.get(f"/portfolio/{alice.client_id}")
    assert (refused.status_code, refused.get_json()["code"]) == (401, "token_revoked")
    assert bob.get(f"/portfolio/{bob.client_id}").status_code == 200


def test_a_lost_second_factor_is_removed_and_its_user_told(app: Flask, alice: Trader) -> None:
    alice.post("/auth/totp", {"password": PASSWORD})

    refused = run(app, "remove-second-factor", alice.client_id)
    assert refused.exit_code == 1
    result = run(app, "remove-second-factor", alice.client_id, "--yes")

    assert result.exit_code == 0, result.output
    assert alice.notifications()[0]["type"] == "account_changed"
    again = run(app, "remove-second-factor", alice.client_id, "--yes")
    assert "has no second factor" in again.output


def test_a_user_who_does_not_exist_is_named(app: Flask) -> None:
    result = run(app, "sign-out", "nobody@example.com")
    assert result.exit_code == 1
    assert "no user 'nobody@example.com'" in result.output
