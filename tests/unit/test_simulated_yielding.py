"""A long simulated path to compute does not block the server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.server import ROOT

CATCHING_UP = """
import {mode}{patch}
{mode}{patch}.{call}()
import threading, time
from app.market_data.instruments.registry import load_instruments
from app.market_data.feeds.simulated import SimulatedFeed
from tests.support.market import ManualClock

clock = ManualClock()
feed = SimulatedFeed(load_instruments(), clock, step_seconds=1)
clock.advance(300_000)
turns = 0
def take_turns():
    global turns
    while not done:
        turns += 1
        time.sleep(0)
done = False
other = threading.Thread(target=take_turns)
other.start()
feed.latest("^NSEI")
done = True
other.join()
print(turns)
"""


@pytest.mark.parametrize(
    ("mode", "patch", "call"),
    [("eventlet", "", "monkey_patch"), ("gevent", ".monkey", "patch_all")],
)
def test_computing_a_long_path_lets_other_greenlets_run(mode: str, patch: str, call: str) -> None:
    code = CATCHING_UP.format(mode=mode, patch=patch, call=call)
    command = [sys.executable, "-W", "ignore", "-c", code]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    # 300,000 steps in parts of 5,000.
    assert int(ran.stdout) >= 50
