"""A long simulated chart does not block the server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.server import ROOT

CATCHING_UP = """
import {mode}{patch}
{mode}{patch}.{call}()
import threading, time
from datetime import timedelta
from app.domain.candle import Interval
from app.market_data.instruments.registry import load_instruments
from app.market_data.feeds.simulated import SimulatedFeed
from tests.support.market import ManualClock

clock = ManualClock()
feed = SimulatedFeed(load_instruments(), clock)
turns = 0
def take_turns():
    global turns
    while not done:
        turns += 1
        time.sleep(0)
done = False
other = threading.Thread(target=take_turns)
other.start()
feed.history("^NSEI", Interval.DAY, clock.now() - timedelta(days=100), clock.now())
done = True
other.join()
print(turns)
"""


@pytest.mark.parametrize(
    ("mode", "patch", "call"),
    [("eventlet", "", "monkey_patch"), ("gevent", ".monkey", "patch_all")],
)
def test_a_long_chart_lets_other_greenlets_run(mode: str, patch: str, call: str) -> None:
    code = CATCHING_UP.format(mode=mode, patch=patch, call=call)
    command = [sys.executable, "-W", "ignore", "-c", code]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    # 100 days, one after the other.
    assert int(ran.stdout) >= 50
