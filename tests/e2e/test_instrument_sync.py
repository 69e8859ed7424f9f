"""`flask --app run instruments sync`: its limits, and a server that runs meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.scrip_master import ScripMasterServer, master
from tests.support.live import LiveTrader, eventually
from tests.support.server import INHERITED, ROOT, ServerProcess

# Seconds of a processor. On a machine with nothing else to do the sync takes hardly longer than
# it computes (2.9 s of 2.7), for download and database keep it waiting for moments only. On a
# busy one it also waits for its turn, which says nothing about the sync.
MAX_SECONDS = 15
MAX_BYTES = 300 * 1024 * 1024
# Starts a command, and tells its exit status, the seconds it computed and the most memory it had.
# It stands in between because a child counts the memory of whoever starts it, a large pytest.
MEASURE = """
import json, os, subprocess, sys
command = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(command.pid, 0)
command.returncode = os.waitstatus_to_exitcode(status)
computed = usage.ru_utime + usage.ru_stime
kilobyte = 1 if sys.platform == "darwin" else 1024
print(json.dumps([command.returncode, computed, usage.ru_maxrss * kilobyte]))
"""


@pytest.fixture
def scrip_master() -> Iterator[ScripMasterServer]:
    with ScripMasterServer() as server:
        yield server


@pytest.fixture
def environment(scrip_master: ScripMasterServer, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "APP_ENV": "testing",
        "MARKET_DATA": "simulated",
        "DATA_DIR": str(tmp_path / "data"),
        "ANGEL_SCRIP_MASTER_URL": scrip_master.url,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "run", "instruments", *arguments]


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_list_of_150_000_rows_is_loaded_in_15_seconds_and_300_megabytes(
    scrip_master: ScripMasterServer, environment: dict[str, str], mongo_uri: str
) -> None:
    scrip_master.serve(master(150_000))
    environment["MONGO_URI"] = mongo_uri

    # The second time there is a list to compare with and to take the place of.
    for numbers in ("10,000 added, 100 changed", "0 added, 0 changed"):
        result = run([sys.executable, "-c", MEASURE, *command("sync")], environment)
        summary, measured = result.stdout.splitlines()
        status, seconds, memory = json.loads(measured)
        assert status == 0, result.stderr
        assert f"10,100 shares in a list of 150,000 rows: {numbers}" in summary
        assert seconds < MAX_SECONDS
        assert memory < MAX_BYTES


def test_a_running_server_takes_up_a_new_list(
    make_server: Callable[..., ServerProcess],
    scrip_master: ScripMasterServer,
    environment: dict[str, str],
) -> None:
    server = make_server(MARKET_DATA="simulated").start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    assert trader.order("LOCAL9").status_code == 400
    scrip_master.serve(master(3_000, 1_200))
    environment["DATA_DIR"] = server.environment["DATA_DIR"]

    result = run(command("sync"), environment)

    assert result.returncode == 0, result.stderr
    found = eventually(lambda: trader.get("/market/symbols?q=LOCAL9&limit=1").json()["symbols"])
    assert found[0]["symbol"] == "LOCAL9.BO"
    trade = trader.create_trade("local9")
    assert trade["symbol"] == "LOCAL9.BO"
    assert 19 < trade["entry_price"] < 5_100
    assert trader.price("SHARE0") == pytest.approx(trader.price("SHARE0.BO"), rel=0.05)
    # Its own start knows the list as well.
    assert server.stop() == 0
    server.start()
    assert trader.price("LOCAL9") > 0


def test_a_sync_that_is_interrupted_leaves_the_next_one_free_to_go(
    scrip_master: ScripMasterServer, environment: dict[str, str], mongo_uri: str
) -> None:
    environment["MONGO_URI"] = mongo_uri
    scrip_master.serve(master(3_000, 1_200))
    scrip_master.stall_after = 10_000
    interrupted = subprocess.Popen(
        command("sync"), cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    with interrupted:
        assert scrip_master.stalled.wait(120)
        interrupted.send_signal(signal.SIGINT)
        _, errors = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 1
    assert "Aborted!" in errors
    assert "Traceback" not in errors
    scrip_master.stall_after = None

    started = time.monotonic()
    result = run(command("sync"), environment)
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - started < 50
