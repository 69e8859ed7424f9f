"""The Postman collection and the Node client, run against a live server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.live import LiveTrader, eventually
from tests.support.postman import COLLECTION, run_collection
from tests.support.recording_files import (
    OPENING,
    dipping_then_rising,
    standing_still,
    write_recording,
)
from tests.support.server import ROOT, ServerProcess, free_port

pytestmark = pytest.mark.needs("node", package="nodejs")


@pytest.fixture(scope="module")
def server(make_shared_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with the limits it has by default."""
    return make_shared_server(RATELIMIT_ENABLED="true", APP_ENV="development").start()


@pytest.fixture
def run_client(server: ServerProcess) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run examples/client.js; end the running clients afterwards."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: Any, url: str = server.url) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["node", ROOT / "examples" / "client.js", "--url", url, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        with process:
            process.kill()


def requests_in(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        if "item" in item:
            yield from requests_in(item["item"])
        else:
            yield item


@pytest.mark.parametrize("run", ["first", "second"])
def test_the_collection_is_green_on_a_server_with_its_default_limits(
    server: ServerProcess, tmp_path: Path, run: str
) -> None:
    process, stats = run_collection(server.url, tmp_path)

    assert process.returncode == 0, process.stdout + process.stderr
    asked = list(requests_in(json.loads(COLLECTION.read_text())["item"]))
    assert (stats["requests"]["total"], stats["requests"]["failed"]) == (len(asked), 0)
    assert stats["assertions"]["total"] > len(asked)


def test_the_collection_asks_every_route_and_tests_every_answer(server: ServerProcess) -> None:
    document = requests.get(f"{server.url}/openapi.json", timeout=10).json()
    routes = {
        (method.upper(), re.sub(r"{[^}]*}", "*", path))
        for path, methods in document["paths"].items()
        for method in methods
    }
    routes |= {("GET", "/openapi.json"), ("GET", "/asyncapi.json"), ("GET", "/docs")}
    asked = set()
    for item in requests_in(json.loads(COLLECTION.read_text())["item"]):
        assert any(event["listen"] == "test" for event in item["event"]), item["name"]
        path = item["request"]["url"]["raw"].partition("?")[0].removeprefix("{{baseUrl}}")
        asked.add((item["request"]["method"], path))

    def is_asked(method: str, route: str) -> bool:
        pattern = re.compile(re.escape(route).replace(r"\*", "[^/]+"))
        return any(method == m and pattern.fullmatch(path) for m, path in asked)

    assert [route for route in sorted(routes) if not is_asked(*route)] == []


def test_the_node_client_shows_prices_and_events_of_a_fresh_user(
    run_client: Callable[..., subprocess.Popen[str]],
) -> None:
    process = run_client("--trade", "--exit-after", 2, "--symbols", "TCS,NO-SUCH")

    output, errors = process.communicate(timeout=120)

    assert (process.returncode, errors) == (0, "")
    assert re.search(r"^live_price +\^NSEI .*mock", output, re.MULTILINE)
    assert re.search(r"^live_price +TCS\.NS ", output, re.MULTILINE)
    assert "unknown symbol: NO-SUCH" in output
    updates = [line for line in output.splitlines() if line.startswith("trade_update")]
    assert len(updates) == 2
    assert "#1 trade_created BUY 1 ^NSEI" in updates[0]
    assert re.search(r"#2 trade_auto_closed .* \((stop_loss|target)\), pnl", updates[1])


def test_the_node_client_shows_a_limit_order_that_fills_and_its_trailing_stop(
    make_server: Callable[..., ServerProcess],
    run_client: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    recording = write_recording(tmp_path / "day.csv", standing_still(25_000))
    server = make_server(MARKET_DATA="replay", REPLAY_FILE=recording).start()
    trader = LiveTrader(server)
    signed_in = ("--email", trader.email, "--password", trader.password)
    process = run_client(*signed_in, "--order", "--exit-after", 4, url=server.url)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    created = next(line for line in lines if line.startswith("trade_update"))
    limit = "₹24,997.50"
    assert created.strip() == f"trade_update  #1 trade_created BUY 1 ^NSEI limit {limit}"

    # The next day's prices come only now, so that the order has waited.
    server.kill()
    next_day = OPENING + timedelta(days=1)
    write_recording(recording, dipping_then_rising(), opening=next_day)
    server.start()

    filled = next(line for line in lines if line.startswith("trade_update"))
    levels = [next(line for line in lines if line.startswith("trailing_stop")) for _ in range(3)]
    assert filled.strip() == f"trade_update  #2 trade_filled BUY 1 ^NSEI at {limit}"
    assert levels[0].strip().endswith(f"best {limit}")
    assert levels == sorted(set(levels))

    # The next swing reaches a stop that is 2 rupees away.
    trade = trader.trades()[0]
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    answer = server.request("PATCH", path, trader.token, json={"trailing_offset": 2})
    assert answer.status_code == 200, answer.text
    modified, closed = (line for line in lines if line.startswith("trade_update"))
    assert "#3 trade_modified BUY 1 ^NSEI" in modified
    assert re.search(r"#4 trade_auto_closed .* \(trailing_stop\), pnl", closed)
    assert process.wait(5) == 0


def test_the_node_client_ends_well_on_ctrl_c(
    server: ServerProcess, run_client: Callable[..., subprocess.Popen[str]]
) -> None:
    trader = LiveTrader(server)
    process = run_client("--email", trader.email, "--password", trader.password)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("connected"):
            break

    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=5)

    assert (process.returncode, errors) == (0, "")
    assert output.endswith("bye\n")


def test_the_node_client_catches_up_after_an_outage(
    make_server: Callable[..., ServerProcess],
    run_client: Callable[..., subprocess.Popen[str]],
) -> None:
    server = make_server().start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    signed_in = ("--email", trader.email, "--password", trader.password)
    process = run_client(*signed_in, "--exit-after", 4, url=server.url)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    next(line for line in lines if line.startswith("connected"))
    trader.create_trade()
    next(line for line in lines if line.startswith("trade_update"))

    server.kill()
    next(line for line in lines if line.startswith("disconnected"))
    server.start()
    # The client shows each of these once, whether it reconnects before or after them.
    for _ in range(3):
        trader.create_trade()

    missed = [line for line in lines if line.startswith("trade_update")]
    assert [line.split()[1] for line in missed] == ["#2", "#3", "#4"]
    assert process.wait(5) == 0


def test_the_node_client_explains_its_failures(
    server: ServerProcess, run_client: Callable[..., subprocess.Popen[str]]
) -> None:
    trader = LiveTrader(server)
    unused = f"http://127.0.0.1:{free_port()}"
    wrong = {
        "Cannot reach": run_client(url=unused),
        "The email or password is wrong": run_client("--email", trader.email, "--password", "nope"),
        "--email and --password go together": run_client("--email", trader.email),
        "--exit-after takes a whole number": run_client("--exit-after", "soon"),
        "--nonsense": run_client("--nonsense"),
    }

    for message, process in wrong.items():
        _, errors = process.communicate(timeout=15)
        assert process.returncode == 1
        assert message in errors
        assert "    at " not in errors


def test_limits_are_counted_as_documented(server: ServerProcess) -> None:
    trader = LiveTrader(server)
    answers = [trader.post("/notifications", event="ping", message=str(n)) for n in range(6)]

    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) <= 60
    assert eventually(lambda: trader.get("/notifications").json()["unread_count"]) == 5
