"""Angel One's session and source without a throttle, and instruments to ask it for."""

from __future__ import annotations

from dataclasses import replace

from app.clock import Clock
from app.market_data.instruments.registry import Instrument, load_instruments
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.throttle import Throttle
from config import Settings

UNTHROTTLED = Throttle(10_000)
_INSTRUMENTS = load_instruments()
NIFTY_50 = _INSTRUMENTS.get("^NSEI")
SENSEX_30 = _INSTRUMENTS.get("^BSESN")
RELIANCE = _INSTRUMENTS.get("RELIANCE.NS")


def unthrottled_session(settings: Settings, clock: Clock) -> AngelSession:
    return AngelSession(settings, clock, requests=UNTHROTTLED, logins=UNTHROTTLED)


def unthrottled_source(settings: Settings, clock: Clock) -> AngelOneSource:
    return AngelOneSource(settings, clock, session=unthrottled_session(settings, clock))


def shares(number: int) -> list[Instrument]:
    """Return instruments that are not among the shipped ones."""
    return [
        replace(RELIANCE, symbol=f"SHARE{n}.NS", angel_token=str(n)) for n in range(1, number + 1)
    ]
