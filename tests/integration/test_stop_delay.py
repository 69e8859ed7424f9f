"""A server that is about to end says so before it closes its port."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask

from app.server import serve
from app.transport.connections import CONNECTIONS_KEY
from app.transport.listener import listen
from config import Settings

DELAY_SECONDS = 0.3


@pytest.mark.parametrize("variables", [{"STOP_DELAY_SECONDS": DELAY_SECONDS}])
def test_a_new_client_reads_that_the_server_ends_until_the_port_is_closed(
    app: Flask, make_settings: Callable[..., Settings]
) -> None:
    listener = listen(make_settings(PORT=0))
    ready = f"http://127.0.0.1:{listener.getsockname()[1]}/health/ready"
    stop = serve(app, listener)

    def connections() -> dict[str, Any]:
        found: dict[str, Any] = requests.get(ready, timeout=10).json()["checks"]["connections"]
        return found

    assert connections()["status"] == "ok"
    # As `stop` does first.
    app.extensions[CONNECTIONS_KEY].ending = True
    assert connections()["reason"] == "the server is stopping"
    began = time.monotonic()
    stop()
    assert time.monotonic() - began >= DELAY_SECONDS
    with pytest.raises(requests.ConnectionError):
        connections()
