"""The attacks on the server of one process, through nginx on two web processes and two workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.security.conftest import ATTACK_SECONDS, Besieged
from tests.support.attack import ATTACKS
from tests.support.attack_monitor import Target
from tests.support.deployment import Deployment
from tests.support.live import LiveTrader
from tests.support.nginx import Nginx
from tests.support.recording_files import falling_and_rising, write_recording

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.needs("openssl"),
    pytest.mark.needs("redis-server"),
]
# One of each kind: what nginx ends itself, what only the application sees, and what it has to pass.
SAMPLE = ["half headers", "half bodies", "sign-ins", "bad packets", "silent reader", "polling"]
KINDS = list(ATTACKS) if os.environ.get("FAULT_SWEEP") == "all" else SAMPLE


@pytest.fixture(scope="module")
def deployment_variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A recording in which every stop-loss is reached soon."""
    path = tmp_path_factory.mktemp("market") / "day.csv"
    write_recording(path, falling_and_rising(900))
    return {"TRUSTED_PROXIES": 1, "MARKET_DATA": "replay", "REPLAY_FILE": path}


@pytest.fixture(scope="module")
def besieged(deployment: Deployment, gateway: Nginx) -> Besieged:
    # nginx limits every address but 127.0.0.1 here.
    target = Target(
        gateway.port,
        deployment.processes,
        certificate=Path(gateway.certificate),
        attackers=["127.0.0.2"],
        other_client="127.0.0.1",
    )
    return Besieged(target, LiveTrader(gateway))


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_through_nginx_holds_up_nothing(besieged: Besieged, kind: str) -> None:
    besieged.endures([kind], ATTACK_SECONDS)
