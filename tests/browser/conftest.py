"""A browser, and a server whose recorded market falls and rises by a rupee per tick."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import chromium
from tests.support.recording_files import falling_and_rising, write_recording
from tests.support.server import ServerProcess

# Recorded seconds per second: a tick each half second, for half an hour.
SPEED = 0.1


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(
    make_shared_server: Callable[..., ServerProcess], tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """A server on which NIFTY loses two rupees per second, for half an hour."""
    path = tmp_path_factory.mktemp("recording") / "falling.csv"
    recording = write_recording(path, falling_and_rising())
    return make_shared_server(
        MARKET_DATA="replay", REPLAY_FILE=recording, REPLAY_SPEED=SPEED
    ).start()
