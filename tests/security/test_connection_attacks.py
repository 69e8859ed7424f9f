"""Hostile connections and requests neither delay others nor use up memory."""

from __future__ import annotations

import pytest

from tests.security.conftest import ATTACK_SECONDS, Besieged

KINDS = ["idle connections", "half headers", "half bodies", "endless chunks", "sign-ins"]


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_connections_hold_up_nothing(besieged: Besieged, kind: str) -> None:
    besieged.endures([kind], ATTACK_SECONDS)
