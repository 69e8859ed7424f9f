"""After a kill and a restart, users have the trades they would have had without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.server import ServerProcess
from tests.support.users import PASSWORD, registration

# Recorded seconds per second: a minute of the market, and so a candle, every second.
SPEED = 60
# When, in recorded minutes, the market falls, recovers and rises. Long enough after the start
# that everything before the kill is done by then, on a busy machine too.
FALL, RECOVERY, RISE, END = 14, 15, 16, 18


def record(path: Path) -> Path:
    """Write a market that pauses, falls for a minute, pauses, and rises at the end."""
    lines = ["timestamp,symbol,price", "2026-01-05T04:00:00Z,^BSESN,80000"]
    for half_minute in range(2 * END + 1):
        minute, seconds = divmod(half_minute * 30, 60)
        falling = FALL <= minute < RECOVERY and seconds
        price = 24_900 if falling else 25_200 if minute >= RISE else 25_000
        lines.append(f"2026-01-05T04:{minute:02}:{seconds:02}Z,^NSEI,{price}")
    path.write_text("\n".join(lines))
    return path


class Person:
    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        body = registration()
        assert server.request("POST", "/auth/register", json=body).status_code == 201
        login = {"email": body["email"], "password": PASSWORD}
        signed_in = server.request("POST", "/auth/login", json=login).json()
        self.client_id, self.token = signed_in["client_id"], signed_in["access_token"]
        server.request("POST", "/portfolio/create", self.token, json={})

    def order(self, **order: Any) -> dict[str, Any]:
        body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, **order}
        answer = self.server.request("POST", "/trades/create", self.token, json=body)
        assert answer.status_code == 201, answer.text
        trade: dict[str, Any] = answer.json()
        return trade

    def trades(self) -> dict[str, dict[str, Any]]:
        answer = self.server.request("GET", f"/trades/{self.client_id}", self.token).json()
        return {each["trade_id"]: each for each in answer["trades"]}

    def closures(self) -> dict[str, dict[str, Any]]:
        answer = self.server.request("GET", "/notifications", self.token).json()
        found = [each["data"] for each in answer["notifications"]]
        return {each["trade_id"]: each for each in found if "exit_price" in each}

    def wait_for(self, check: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        deadline = time.monotonic() + 30
        while not check(self.trades()):
            assert time.monotonic() < deadline, self.trades()
            time.sleep(0.1)


def recorded_minute(server: ServerProcess) -> float:
    quote = server.request("GET", "/market/live/NIFTY").json()
    hours, minutes, seconds = quote["timestamp"][11:-1].split(":")
    return (int(hours) - 4) * 60 + int(minutes) + float(seconds) / 60


def start_replay(make_server: Callable[..., ServerProcess], folder: Path) -> ServerProcess:
    return make_server(
        MARKET_DATA="replay",
        REPLAY_FILE=record(folder / "market.csv"),
        REPLAY_SPEED=SPEED,
        SOCKETIO_ASYNC_MODE="threading",
    ).start()


def restart(server: ServerProcess) -> None:
    server.kill()
    server.start()


def miss_the_rest(server: ServerProcess) -> None:
    """Stop the server before the recording falls, and start it after the recording's end."""
    assert recorded_minute(server) < FALL
    started_by = time.monotonic() - recorded_minute(server) * 60 / SPEED
    server.kill()
    time.sleep(max(started_by + END * 60 / SPEED - time.monotonic(), 0) + 1)
    server.start()


def assert_closed_in_the_gap(person: Person, expected: dict[str, tuple[str, float, str]]) -> None:
    """Check the status, the price and the minute of each closure, by trade_id."""
    trades, closures = person.trades(), person.closures()
    assert set(closures) == set(expected)
    for trade_id, (status, price, minute) in expected.items():
        trade, closure = trades[trade_id], closures[trade_id]
        assert (trade["status"], trade["exit_price"]) == (status, price)
        assert trade["settled_from"] == closure["settled_from"] == "gap"
        assert closure["quote"]["timestamp"].startswith(minute)


def test_levels_reached_during_the_downtime_are_executed_at_their_price_and_time(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_replay(make_server, tmp_path)
    person = Person(server)
    stopped = person.order(stop_loss=24_950, target_price=25_100)
    targeted = person.order(target_price=25_100)
    sold = person.order(trade_type="SELL", stop_loss=25_100, target_price=24_900)
    untouched = person.order(stop_loss=24_000)
    miss_the_rest(server)
    person.wait_for(lambda trades: [t["status"] for t in trades.values()].count("ACTIVE") == 1)

    expected = {
        # Down before it was up, so it is the stop-loss, though the target came later.
        stopped["trade_id"]: ("STOP_LOSS_HIT", 24_950.0, f"2026-01-05T04:{FALL}"),
        # The minute of the rise opened beyond the target, which exits at its own price.
        targeted["trade_id"]: ("TARGET_HIT", 25_100.0, f"2026-01-05T04:{RISE}"),
        sold["trade_id"]: ("TARGET_HIT", 24_900.0, f"2026-01-05T04:{FALL}"),
    }
    assert_closed_in_the_gap(person, expected)
    assert person.trades()[untouched["trade_id"]]["status"] == "ACTIVE"

    # A trade is open, so the ended replay stays at its end through every restart.
    assert recorded_minute(server) == END
    restart(server)
    assert recorded_minute(server) == END
    assert person.trades()[untouched["trade_id"]]["status"] == "ACTIVE"
    assert len(person.closures()) == 3
    server.request("POST", f"/trades/exit-all/{person.client_id}", person.token, json={})
    portfolio = server.request("GET", f"/portfolio/{person.client_id}", person.token).json()
    assert portfolio["utilized_margin"] == 0.0
    # -50, +100, +100 and, exited by hand, +200.
    assert portfolio["total_pnl"] == 350.0
    assert portfolio["available_margin"] == 100_350.0

    # No trade is open, so the recording starts over.
    restart(server)
    assert recorded_minute(server) < END
