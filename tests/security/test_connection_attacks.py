"""Connections and requests that do their worst: others are served, and nothing grows."""

from __future__ import annotations

import pytest

from tests.security.conftest import Besieged

KINDS = ["idle connections", "half headers", "half bodies", "endless chunks", "sign-ins"]


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_connections_hold_up_nothing(besieged: Besieged, kind: str) -> None:
    besieged.endures(kind)
