"""What the log contains, and what it never contains."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import socketio

from tests.support.live import Listener, LiveTrader, eventually
from tests.support.server import ServerProcess, free_port

PASSWORD = "a-login-password-8f2c"
WRONG_PASSWORD = "a-wrong-password-5d1e"
FORGED_TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYWxsb3J5In0.c2lnbmF0dXJl"
SECRETS = {
    "SECRET_KEY": "a-session-secret-" + "3b" * 16,
    "JWT_SECRET_KEY": "a-token-secret-" + "4c" * 16,
    "SMTP_PASSWORD": "an-smtp-password-91aa",
    "TWILIO_AUTH_TOKEN": "a-twilio-token-77bd",
    "ANGEL_API_KEY": "an-angel-key-0c3d",
    "ANGEL_PASSWORD": "an-angel-pin-6e21",
    "ANGEL_TOTP_SECRET": "ANGELTOTPSECRET234567",
}


def use_every_secret(server: ServerProcess) -> list[str]:
    """Do all that secrets are used for, well and badly; return those made on the way."""
    trader = LiveTrader(server, name="Log Reader", phone="+919876543210")
    trader.open_portfolio()
    trader.create_trade()
    trader.sign_in(WRONG_PASSWORD)
    request = server.request
    request("GET", f"/portfolio/{trader.client_id}", FORGED_TOKEN)
    request("GET", f"/market/symbols?q={trader.token}", trader.token)
    request("POST", "/auth/login", data=f'{{"password": "{WRONG_PASSWORD}",')
    request("POST", "/auth/login", json={"email": trader.email, "pass": WRONG_PASSWORD})
    request("POST", "/auth/register", json={"email": "x", "password": WRONG_PASSWORD})
    request("POST", "/auth/register", json={"email": trader.email, "password": WRONG_PASSWORD})
    with Listener(server, trader.token) as socket:
        socket.call("join", user_id=trader.client_id, token=trader.token)
        socket.call("join", user_id=trader.client_id, token=FORGED_TOKEN)
        socket.call("subscribe", symbols=["TCS"], token=trader.token)
    with pytest.raises(socketio.exceptions.ConnectionError):
        Listener(server, FORGED_TOKEN)

    def each_channel_was_tried() -> bool:
        events = trader.get("/notifications").json()["notifications"]
        return all(each["attempts"] for each in events[-1]["deliveries"])

    eventually(each_channel_was_tried)
    return [trader.token, trader.password]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_is_in_any_line(
    make_server: Callable[..., ServerProcess], log_format: str
) -> None:
    nobody = free_port()
    server = make_server(
        LOG_LEVEL="DEBUG",
        LOG_FORMAT=log_format,
        MARKET_DATA="simulated",
        SMTP_SERVER="127.0.0.1",
        SMTP_PORT=nobody,
        SMTP_USERNAME="someone@example.com",
        TWILIO_ACCOUNT_SID="AC0",
        TWILIO_PHONE_NUMBER="+15005550006",
        TWILIO_ROOT_URL=f"http://127.0.0.1:{nobody}",
        **SECRETS,
    )
    log_file = server.folder / "file.log"
    server.environment["LOG_FILE"] = str(log_file)
    server.start()

    made = use_every_secret(server)
    server.stop()

    for output in (server.output(), log_file.read_text()):
        assert "trade_created" in output
        assert "email not delivered" in output
        for secret in (*SECRETS.values(), *made, WRONG_PASSWORD, FORGED_TOKEN):
            assert secret not in output
        # The part of a token that would do to forge the rest of it.
        assert made[0].rpartition(".")[2] not in output
        assert "scrypt:" not in output
        assert "Traceback" not in output


def test_secrets_of_the_data_folder_are_in_no_line(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server(LOG_LEVEL="DEBUG").start()
    LiveTrader(server)
    server.stop()

    for name in ("secret_key", "jwt_secret_key"):
        assert (server.folder / "data" / name).read_text().strip() not in server.output()


def test_json_gives_one_object_a_request(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server(LOG_FORMAT="json")
    log_file = server.folder / "file.log"
    server.environment["LOG_FILE"] = str(log_file)
    server.start()
    trader = LiveTrader(server)
    asked = {
        "plain": ("GET", "/market/live/NIFTY", None, 200),
        "with-a-user": ("GET", f"/portfolio/{trader.client_id}", trader.token, 404),
        "of-nobody": ("GET", "/notifications", FORGED_TOKEN, 401),
        "two-lines": ("GET", "/market/live/a%0A%22%7Bforged", None, 404),
        "nowhere": ("POST", "/no/such/route", None, 404),
    }
    for request_id, (method, path, token, status) in asked.items():
        answer = server.request(method, path, token, headers={"X-Request-ID": request_id})
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (status, request_id)
    server.stop()

    lines = [json.loads(line) for line in log_file.read_text().splitlines()]

    def line_of(request_id: str) -> dict[str, Any]:
        (line,) = [each for each in lines if each.get("request_id") == request_id]
        assert isinstance(line, dict)
        return line

    for request_id, (method, path, token, status) in asked.items():
        line = line_of(request_id)
        assert line["status"] == status
        assert isinstance(line["milliseconds"], int | float)
        assert line["milliseconds"] >= 0
        assert line["user"] == (trader.client_id if token == trader.token else "-")
        assert line["levelname"] == "INFO"
        assert line["message"].startswith(f"{method} /")
        if "%" not in path:
            assert line["message"] == f"{method} {path}"
    # On standard error too: all but the banner is JSON there.
    on_screen = [line for line in server.output().splitlines() if line.startswith("{")]
    assert [json.loads(line) for line in on_screen] == lines
