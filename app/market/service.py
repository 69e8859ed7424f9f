"""Looking up prices and symbols."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.domain.candle import Candle, Interval
from app.market_data.calendar import MarketStatus
from app.market_data.instruments.registry import Instrument
from app.market_data.quotes import LastPrice
from app.market_data.tick_filter import PendingTick
from app.services import now, services


def last_price(name: str) -> LastPrice:
    """Return the last price of a symbol or alias, however old.

    Raises NotFound for an unknown name, or MarketDataUnavailable if it never had a price.
    """
    instrument = services().instruments.get(name)
    return services().quotes.latest(instrument.symbol)


def pending_tick_of(price: LastPrice) -> PendingTick | None:
    """Return the newer price of the symbol that awaits confirmation, or None."""
    pending = services().quotes.tick_filter.pending.get(price.quote.symbol)
    return pending if pending and pending.quote != price.quote else None


def price_history(
    name: str, interval: Interval, since: datetime | None, until: datetime | None
) -> tuple[Instrument, Sequence[Candle]]:
    """Return the instrument of a symbol or alias, and its candles, oldest first.

    Raises NotFound for an unknown name, InvalidRequest for an invalid period, or
    MarketDataUnavailable if the feed cannot answer now.
    """
    instrument = services().instruments.get(name)
    return instrument, services().history.candles(instrument.symbol, interval, since, until)


def market_status() -> tuple[MarketStatus, bool]:
    """Return the state of the exchanges, and whether trades are refused while they are closed."""
    calendar = services().calendar
    return calendar.status(now()), calendar.enforced
