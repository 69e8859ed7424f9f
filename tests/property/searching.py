"""How far the property tests search: little and reproducibly, or as far as a variable asks."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings


def examples_of(variable: str) -> int:
    """Return the examples that the environment asks for, 0 if it does not."""
    return int(os.environ.get(variable, "0"))


def search(variable: str, examples: int, **more: Any) -> settings:
    """Return settings for `examples`, always the same, so that only changes make a test fail.

    The environment variable asks for another number, of examples that no run has twice.
    """
    asked = examples_of(variable)
    return settings(
        max_examples=asked or examples,
        derandomize=not asked,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **more,
    )
