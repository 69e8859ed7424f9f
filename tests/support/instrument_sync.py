"""What tests of `flask instruments sync` share: the command, lists for it, and refusals."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

from app.database import collection
from tests.fakes.scrip_master import Row, indices, nse

Sync = Callable[..., Result]


def listed(count: int = 1_100, prefix: str = "SHARE") -> list[Row]:
    """Return rows of shares of NSE, and the indices."""
    return [*indices(), *(nse(f"{prefix}{number}", 1_000 + number) for number in range(count))]


def assert_refused(result: Result, *words: str) -> None:
    """See that a sync failed with words for a person, and left nothing behind."""
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    for word in words:
        assert word in result.stderr
    state = collection("market").find_one({"_id": "instruments"}) or {}
    assert set(collection("instruments").distinct("generation")) <= {state.get("generation")}
    assert "holder" not in state
