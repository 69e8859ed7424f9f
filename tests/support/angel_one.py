"""Angel One's session and source without a throttle."""

from __future__ import annotations

from app.clock import Clock
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.throttle import Throttle
from config import Settings

UNTHROTTLED = Throttle(10_000)


def unthrottled_session(settings: Settings, clock: Clock) -> AngelSession:
    return AngelSession(settings, clock, requests=UNTHROTTLED, logins=UNTHROTTLED)


def unthrottled_source(settings: Settings, clock: Clock) -> AngelOneSource:
    return AngelOneSource(settings, clock, session=unthrottled_session(settings, clock))
