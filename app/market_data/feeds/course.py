"""The course of a simulated market over its restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from app.market_data.feeds.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Course:
    """What a simulated market consists of over its restarts.

    `starts` are prices (rupees by symbol) of another market, which it continues: its own at the
    second `zero` (see `seconds_of`). Symbols without one have the prices of the data file.
    """

    seed: str
    zero: float = 0.0
    starts: Mapping[str, Decimal] = field(default_factory=dict)
    scenarios: tuple[Scenario, ...] = ()
