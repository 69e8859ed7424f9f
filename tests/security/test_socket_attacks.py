"""Hostile sockets delay neither clients nor stop-losses, and fill neither memory nor log."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from tests.security.conftest import ATTACK_SECONDS, Besieged

# Made at the same time, from an address each.
GROUPS = [
    ("bad packets", "unknown types", "engine pings", "engine pongs", "upgrades"),
    ("websocket pings", "disconnects", "namespaces", "acknowledgements", "events"),
    ("deep json", "binary frames", "attachments"),
    ("unfinished frames", "endless fragments", "empty fragments"),
    ("polling", "silent reader", "unconnected sockets"),
]
SINGLE = [(kind,) for kinds in GROUPS for kind in kinds]
if os.environ.get("FAULT_SWEEP") != "all":
    SINGLE = []


@pytest.mark.parametrize("kinds", [*GROUPS, *SINGLE], ids=", ".join)
def test_hostile_sockets_hold_up_nothing(besieged: Besieged, kinds: Sequence[str]) -> None:
    # Twice as long as one attack alone, because they share the processor.
    besieged.endures(kinds, 2 * ATTACK_SECONDS if len(kinds) > 1 else ATTACK_SECONDS)
