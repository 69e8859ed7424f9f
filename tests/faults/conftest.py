"""The seed of the random choices in tests with faults."""

from __future__ import annotations

import os
import random

import pytest


@pytest.fixture(scope="session")
def seed() -> str:
    """The seed of every random choice; FAULT_SEED sets it to that of a failure."""
    return os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(10**6))


@pytest.fixture(autouse=True)
def _show_seed(seed: str) -> None:
    # Captured, so it is shown with a failure and not else.
    print(f"Repeat the random choices of this run with FAULT_SEED={seed}")
