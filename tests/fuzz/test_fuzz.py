"""The live server against its own OpenAPI document, by schemathesis, with every check.

No answer may be a 5xx, of an undocumented status or of another shape than documented; no
request outside the document may be accepted, and none within it refused.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.server import ROOT, ServerProcess

PASSWORD = "a-password-for-tests"
# Requests per operation and phase. FUZZ_SECONDS=600 looks further, at random.
MAX_EXAMPLES = "15"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
# Each would end the session in which all other operations are tried.
ENDS_SESSIONS = ("logout", "logout_all", "delete_account")
SYMBOLS = ("^NSEI", "NIFTY", "sensex", "RELIANCE", "TCS.NS", "INFY.BO")


def sign_up(server: ServerProcess, client_id: str) -> str:
    """Register someone rich; return their token."""
    registration = {
        "name": client_id.title(),
        "email": f"{client_id}@example.com",
        "phone": "9876543210",
        "password": PASSWORD,
        "client_id": client_id,
    }
    assert server.request("POST", "/auth/register", json=registration).status_code == 201
    login = {"client_id": client_id, "password": PASSWORD}
    token: str = server.request("POST", "/auth/login", json=login).json()["access_token"]
    margin = {"initial_margin": 1_000_000_000}
    server.request("POST", "/portfolio/create", token, json=margin)
    return token


def open_trade(server: ServerProcess, token: str) -> str:
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    trade_id: str = server.request("POST", "/trades/create", token, json=order).json()["trade_id"]
    return trade_id


def set_alert(server: ServerProcess, token: str) -> str:
    alert = {"symbol": "^NSEI", "below": 0.01}
    alert_id: str = server.request("POST", "/market/alerts", token, json=alert).json()["alert_id"]
    return alert_id


def create_watchlist(server: ServerProcess, token: str, name: str) -> str:
    body = {"name": name, "symbols": ["^NSEI", "RELIANCE.NS"]}
    created = server.request("POST", "/watchlists", token, json=body).json()
    watchlist_id: str = created["watchlist_id"]
    return watchlist_id


def configuration(
    token: str,
    trade_ids: Sequence[str] = (),
    notification_ids: Sequence[str] = (),
    alert_ids: Sequence[str] = (),
    watchlist_ids: Sequence[str] = (),
) -> str:
    """Return schemathesis' configuration: who asks, and values that exist, most of the time."""
    known: dict[str, Sequence[str | float]] = {
        "path.user_id": ["fuzzer", "fuzzer", "neighbour"],
        "path.trade_id": trade_ids,
        "path.notification_id": notification_ids,
        "path.alert_id": alert_ids,
        "path.watchlist_id": watchlist_ids,
        "path.symbol": list(SYMBOLS),
        "query.symbol": list(SYMBOLS),
        "query.from": [_minutes_ago(120), _minutes_ago(240)],
        "query.to": [_minutes_ago(60), _minutes_ago(-60)],
        "body.symbol": list(SYMBOLS),
        "body.quantity": [1, 2, 75],
        # Valid levels of a BUY at every price.
        "body.stop_loss": [0.01, 1.5],
        "body.target_price": [9_999_999.99, 10_000_000],
        "body.below": [0.01, 1.5],
        "body.above": [9_999_999.99, 10_000_000],
        "body.password": [PASSWORD],
        "header.Idempotency-Key": ["one", "two", "three"],
    }
    lines = ["[auth.openapi]", f'bearer = {{ bearer = "{token}" }}']
    for name, values in known.items():
        if not values:
            continue
        lines += [f'[dictionaries."{name}"]', f"values = {values}"]
        lines += [f'[parameters."{name}"]', f'dictionary = "{name}"', "probability = 0.8"]
    return "\n".join(lines)


def _minutes_ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def run_schemathesis(server: ServerProcess, folder: Path, *options: str) -> str:
    """Run every check with the configuration in a folder; return what schemathesis printed."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        *("--checks", "all", "--continue-on-failure", "--no-color", *options),
    ]
    run = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS + 480,
        check=False,
    )
    print(run.stdout, run.stderr)
    assert run.returncode == 0, "see what schemathesis printed"
    return run.stdout


@pytest.mark.timeout(SECONDS + 600)
def test_every_response_is_as_documented(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = make_server().start()
    token, neighbour = sign_up(server, "fuzzer"), sign_up(server, "neighbour")
    trade_ids = [open_trade(server, token) for _ in range(5)] + [open_trade(server, neighbour)]
    page = server.request("GET", "/notifications", token).json()
    notification_ids = [each["id"] for each in page["notifications"]]
    alert_ids = [set_alert(server, token) for _ in range(5)] + [set_alert(server, neighbour)]
    watchlist_ids = [create_watchlist(server, token, name) for name in ("One", "Two", "Three")]
    watchlist_ids.append(create_watchlist(server, neighbour, "One"))
    known = configuration(token, trade_ids, notification_ids, alert_ids, watchlist_ids)
    (tmp_path / "schemathesis.toml").write_text(known)

    excluded = [f"--exclude-operation-id={name}" for name in ENDS_SESSIONS]
    length = ("--max-time", str(SECONDS)) if SECONDS else ("--seed", "1", "-n", MAX_EXAMPLES)
    output = run_schemathesis(server, tmp_path, *excluded, *length)

    # It also succeeds without having sent any request.
    operations = server.request("GET", "/openapi.json").json()["paths"].values()
    assert f"Tested: {sum(map(len, operations)) - len(ENDS_SESSIONS)}\n" in output
    for name in ENDS_SESSIONS:
        leaver = configuration(sign_up(server, f"leaver-{name}"))
        (tmp_path / "schemathesis.toml").write_text(leaver)
        few = (f"--include-operation-id={name}", "--seed", "1", "-n", "5")
        assert "Tested: 1\n" in run_schemathesis(server, tmp_path, *few)
    assert server.process is not None
    assert server.process.poll() is None, server.output()
    assert "Traceback" not in server.output()
    assert server.request("GET", "/health/ready").status_code == 200
