"""A server in every async mode, and the maximum cost of an attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.e2e.conftest import ASYNC_MODES
from tests.support.attack_monitor import MEGABYTE, AttackMonitor, Target
from tests.support.live import LiveTrader, eventually
from tests.support.recording_files import falling_and_rising, write_recording
from tests.support.server import ServerProcess, servers_in

ATTACK_SECONDS = 1.5
# Alone on two cores the worst waits were 0.6 s and 2 s. Tests may share a busy machine; a server
# that is held up answers after minutes.
HEALTH_SECONDS = 5
CLOSURE_SECONDS = 10
MEMORY_BYTES = 50 * MEGABYTE
LOG_BYTES = MEGABYTE


class Besieged:
    """A system in which a trade is opened and stopped over and over."""

    def __init__(self, target: Target, trader: LiveTrader) -> None:
        self._target = target
        self._trader = trader
        trader.open_portfolio()

    def endures(self, kinds: Sequence[str], seconds: float) -> None:
        """Attack it in all these ways at once, and check what that cost."""
        before = self._target.memory
        cost = AttackMonitor(self._target, self._trader).run(kinds, seconds)

        assert cost.slowest_health < HEALTH_SECONDS, cost
        assert cost.slowest_closure < CLOSURE_SECONDS, cost
        assert cost.closures > 0, cost
        assert cost.memory < MEMORY_BYTES, cost
        assert cost.log < LOG_BYTES, cost
        for process in self._target.processes:
            assert "Traceback" not in process.output()
        eventually(lambda: self._target.memory < before + MEMORY_BYTES)


@pytest.fixture(scope="package")
def make_server_of_mode(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., ServerProcess]]:
    """Make server processes that the tests of one async mode share; end them after the last.

    They would take a twelfth of a core each until the end of all tests.
    """
    with servers_in(tmp_path_factory.mktemp("servers")) as make:
        yield make


@pytest.fixture(scope="package", params=ASYNC_MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Every async mode; tests/conftest.py gives the tests of each to one process."""
    return str(request.param)


@pytest.fixture(scope="package")
def server(mode: str, make_server_of_mode: Callable[..., ServerProcess]) -> ServerProcess:
    """A server for all tests of an async mode."""
    return make_server_of_mode(mode, SOCKETIO_ASYNC_MODE=mode).start()


@pytest.fixture(scope="package")
def besieged(
    mode: str,
    make_server_of_mode: Callable[..., ServerProcess],
    tmp_path_factory: pytest.TempPathFactory,
) -> Besieged:
    """A server on a recording in which every stop-loss is reached soon."""
    ticks = falling_and_rising(900)
    recording = write_recording(tmp_path_factory.mktemp("market") / "day.csv", ticks)
    server = make_server_of_mode(
        f"{mode}-besieged", SOCKETIO_ASYNC_MODE=mode, MARKET_DATA="replay", REPLAY_FILE=recording
    )
    server.start()
    return Besieged(Target.of(server), LiveTrader(server))
