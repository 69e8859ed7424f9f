"""The client of Angel One's stream in each async mode, as a process, over TLS."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.angel_stream import NSE, AngelStreamServer
from tests.fakes.smtp import make_certificate
from tests.support.live import eventually
from tests.support.server import ROOT
from tests.support.stream import CREDENTIALS, RELIANCE, accept

TICKS = 60


@pytest.mark.needs("openssl")
def test_ticks_arrive_at_once_also_after_a_break_and_cost_nothing_between_them(
    async_mode: str, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    server = AngelStreamServer(certificate=certificate)
    accept(server, CREDENTIALS)
    with server.open():
        follower = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.stream_follower"),
                *(async_mode, server.url, str(TICKS)),
            ],
            cwd=ROOT,
            env={"SSL_CERT_FILE": str(certificate[0]), "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            send_ticks(server, TICKS // 2)
            server.hang_up(reset=True)
            eventually(lambda: server.connections == 2)
            send_ticks(server, TICKS // 2)
            output, _ = follower.communicate(timeout=60)
        finally:
            follower.kill()
            follower.communicate()

    report = json.loads(output)
    # Ticks take a few milliseconds on an idle machine. This bound only detects a stream that
    # waits for a poll, a heartbeat or a timeout, which take seconds.
    assert report["lateness"] < 2_000
    assert len(report["milliseconds"]) == TICKS
    assert statistics.median(report["milliseconds"]) < 500
    assert report["idle_seconds"] < 0.5
    # It waits for 2 s if a task does not end.
    assert report["closing_seconds"] < 2
    assert report["live"] == ["RELIANCE.NS"]


def send_ticks(server: AngelStreamServer, count: int) -> None:
    """Send ticks a hundredth of a second apart, once the share is subscribed."""
    eventually(lambda: (NSE, RELIANCE.angel_token) in server.subscribed, timeout=30)
    for _ in range(count):
        server.tick(RELIANCE.angel_token, time.monotonic_ns() // 1_000)
        time.sleep(0.01)
