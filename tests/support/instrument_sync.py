"""Lists for the tests of `flask instruments sync`, and a check of its refusals."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

from app.database import collection
from tests.fakes.scrip_master import Row, indices, nse

Sync = Callable[..., Result]


def listed(count: int = 1_100, prefix: str = "SHARE") -> list[Row]:
    """Return rows of `count` NSE shares and of the indices."""
    return [*indices(), *(nse(f"{prefix}{number}", 1_000 + number) for number in range(count))]


def assert_refused(result: Result, *words: str) -> None:
    """Check that a sync failed with a readable message that has `words`, and wrote nothing."""
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    for word in words:
        assert word in result.stderr
    state = collection("market").find_one({"_id": "instruments"}) or {}
    assert set(collection("instruments").distinct("generation")) <= {state.get("generation")}
    assert "holder" not in state
