"""Node's client by polling: every packet of a request is handled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from app.market_data.instruments.registry import shipped_instruments
from tests.support.live import LiveTrader
from tests.support.server import ROOT, ServerProcess

pytestmark = pytest.mark.needs("node", package="nodejs")
COUNT = 40


def test_each_of_40_subscriptions_in_one_polling_request_is_acknowledged(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    server = make_server(async_mode, SOCKETIO_ASYNC_MODE=async_mode).start()
    symbols = [each.symbol for each in shipped_instruments()][:COUNT]

    client = subprocess.run(
        [
            *("node", ROOT / "tests" / "support" / "polling.cjs"),
            *(server.url, LiveTrader(server).token, *symbols),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert client.stderr.strip() == "io client disconnect"
    answers = json.loads(client.stdout)
    assert [each["symbols"] for each in answers] == [[symbol] for symbol in symbols]
