"""Closing auctions: which symbols are in one, and when.

On days with a closing auction (`data/trading_hours.toml`) shares with derivatives stop trading
before the others. Orders then wait for the price of the auction, and nothing is traded until it is
known. The value of an index is made of these prices, so it waits for them as well.
"""

from __future__ import annotations

from datetime import datetime

from app.domain.errors import InClosingAuction
from app.market_data.calendar import Session, TradingCalendar
from app.market_data.instruments.registry import Instruments


class ClosingAuctions:
    """The closing auctions by symbol. Without enforced hours there are none. Times are UTC."""

    def __init__(self, calendar: TradingCalendar, instruments: Instruments) -> None:
        self._calendar = calendar
        self._instruments = instruments

    def collects(self, symbol: str, time: datetime) -> bool:
        """Return whether orders of a symbol wait for the price of its auction."""
        session = self._session(symbol, time)
        return session is not None and session.collects_at(time)

    def matching(self, symbol: str, time: datetime) -> Session | None:
        """Return the session if a price of this time is that of its closing auction."""
        session = self._session(symbol, time)
        return session if session and session.matches_at(time) else None

    def closed(self, symbol: str, time: datetime) -> InClosingAuction | None:
        """Return why nothing is filled at the last price of a symbol, None if it may be."""
        session = self._session(symbol, time)
        if session is None or not session.collects_at(time):
            return None
        calendar = self._calendar
        ends, opens = (
            moment.astimezone(calendar.timezone)
            for moment in (session.end, calendar.next_open(time))
        )
        return InClosingAuction(symbol, ends, opens)

    def require_continuous(self, symbol: str, time: datetime) -> None:
        """Raise InClosingAuction unless the symbol is traded at its last price."""
        if closed := self.closed(symbol, time):
            raise closed

    def _session(self, symbol: str, time: datetime) -> Session | None:
        if not self._calendar.enforced:
            return None
        instrument = self._instruments.by_symbol(symbol)
        if not instrument or not instrument.has_closing_auction:
            return None
        return self._calendar.session_at(time)
