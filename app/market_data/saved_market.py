"""What a market continues from after a restart, as far as it was saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from app.domain.corporate_actions import CorporateAction
from app.domain.quote import Quote
from app.market_data.feeds.course import Course
from app.market_data.feeds.scenarios import Scenario


class SavedMarket:
    """Nothing; `restarts.StoredMarket` is what the database has."""

    # Reads the scenarios that other processes have started; None if there are no others.
    read_scenarios: Callable[[], tuple[Scenario, ...]] | None = None

    def last_prices(self) -> Mapping[str, Decimal]:
        """Return the last price of each symbol, in rupees."""
        return {}

    def last_quote(self, symbol: str) -> Quote | None:
        """Return the last quote of a symbol that any process saved."""
        return None

    def resume_simulation(self) -> Course | None:
        """Return the course of the simulated market; None for a new one."""
        return None

    def resume_replay(
        self, fingerprint: str, last_time: datetime, actions: Sequence[CorporateAction]
    ) -> datetime | None:
        """Return when the replay of a recording began; None for now.

        The recording ends at `last_time`, and has the `actions`.
        """
        return None
