"""Hostile sockets delay neither clients nor stop-losses, and fill neither memory nor log."""

from __future__ import annotations

import pytest

from tests.security.conftest import Besieged

KINDS = [
    "bad packets",
    "unknown types",
    "engine pings",
    "engine pongs",
    "upgrades",
    "websocket pings",
    "disconnects",
    "namespaces",
    "acknowledgements",
    "events",
    "deep json",
    "binary frames",
    "attachments",
    "unfinished frames",
    "endless fragments",
    "empty fragments",
    "polling",
    "silent reader",
    "unconnected sockets",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_socket_holds_up_nothing(besieged: Besieged, kind: str) -> None:
    besieged.endures(kind)
