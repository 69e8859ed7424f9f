"""Scenarios of the simulated market, for tests, teaching and demonstrations."""

from __future__ import annotations

from datetime import timedelta

from app.domain.errors import Conflict, Forbidden
from app.market_data.feeds.scenarios import Scenario, ScenarioKind
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.restarts import read_scenarios, store_scenario
from app.services import now, services


def start_scenario(kind: ScenarioKind) -> Scenario:
    """Start a scenario now, beside other processes in two intervals: until then all know it.

    Raises Forbidden in production, and Conflict if the market is not simulated or another
    scenario is not over.
    """
    settings, feed = services().settings, services().feed
    if settings.app_env == "production":
        raise Forbidden(
            "No request starts a scenario in production; SIMULATED_SCENARIO does.",
            code="scenario_not_allowed",
        )
    if feed.name != SimulatedFeed.name:
        raise Conflict("Only the simulated market has scenarios.", code="not_simulated")
    intervals = 0 if settings.uses_embedded_database else 2
    delay = timedelta(seconds=intervals * settings.monitor_interval_seconds)
    scenario = store_scenario(kind, now() + delay)
    if scenario is None:
        raise Conflict("Another scenario is not over yet.", code="scenario_running")
    if isinstance(feed, SimulatedFeed):
        feed.set_scenarios(read_scenarios())
    return scenario
