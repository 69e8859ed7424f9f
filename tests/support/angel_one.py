"""Angel One's API without its pace, for tests that ask more often than a person may."""

from __future__ import annotations

from app.clock import Clock
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.throttle import Throttle
from config import Settings

NO_PACE = Throttle(10_000)


def session_at_no_pace(settings: Settings, clock: Clock) -> AngelSession:
    return AngelSession(settings, clock, requests=NO_PACE, logins=NO_PACE)


def source_at_no_pace(settings: Settings, clock: Clock) -> AngelOneSource:
    return AngelOneSource(settings, clock, session=session_at_no_pace(settings, clock))
