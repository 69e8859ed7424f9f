"""Market hours: whether orders are taken now, and what the exchanges do.

The calendar is loaded when first asked for, in a real thread, since it brings pandas with it:
about a second and 60 MB. While hours are ignored and nobody asks, it is never loaded.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from app.concurrency import run_blocking
from app.domain.errors import MarketClosed
from app.logs import logger
from app.market_data.timetable import Calendar, MarketStatus, TradingCalendar, read_rules

# How long before the calendar ends the log asks for a newer one.
NOTICE = timedelta(days=14)


class TradingHours:
    """When trades are allowed; each question names the time that it is asked for, UTC.

    The first question waits for the calendar, and lets other greenlets go on. Those that follow
    cost microseconds.
    """

    def __init__(self, *, enforced: bool) -> None:
        """Allow trades while the exchanges are open only; at any time unless `enforced`."""
        self.enforced = enforced
        self._loading = threading.Lock()
        self._timetable: TradingCalendar | None = None
        self._has_given_notice = False

    def trading_allowed(self, now: datetime) -> bool:
        """Tell whether a trade may be opened or closed: by its user, or by a tick of now."""
        return not self.enforced or self.timetable(now).is_open(now)

    def require_trading(self, now: datetime) -> None:
        """Raise MarketClosed, naming the next opening, where trading is not allowed."""
        if not self.trading_allowed(now):
            timetable = self.timetable(now)
            raise MarketClosed(timetable.next_open(now).astimezone(timetable.timezone))

    def status(self, now: datetime) -> MarketStatus:
        """Return the exchanges' own state, whether it is enforced or not."""
        return self.timetable(now).status(now)

    def timetable(self, now: datetime) -> TradingCalendar:
        """Return when the exchanges are open, loaded when first asked for."""
        if self._timetable is None:
            with self._loading:
                if self._timetable is None:
                    self._timetable = run_blocking(load_timetable)
        if not self._has_given_notice:
            self._give_notice(self._timetable, now)
        return self._timetable

    def _give_notice(self, timetable: TradingCalendar, now: datetime) -> None:
        if now.date() > timetable.known_until - NOTICE:
            self._has_given_notice = True
            logger.warning(
                "holidays are known until %s; after that every weekday is taken for a session. "
                "Install a newer exchange_calendars, and restart",
                timetable.known_until,
            )


def load_timetable() -> TradingCalendar:
    """Return the timetable by the calendar XBOM. Takes about a second the first time."""
    from exchange_calendars.exchange_calendar_xbom import XBOMExchangeCalendar

    # The calendar's own end is a year from now; it knows its holidays by whole years.
    last_day = XBOMExchangeCalendar.bound_max()
    xbom = XBOMExchangeCalendar(end=last_day)
    sessions = {
        day.date(): (_utc(opens), _utc(closes))
        for day, opens, closes in zip(xbom.sessions, xbom.opens, xbom.closes, strict=True)
    }
    calendar = Calendar(sessions, min(sessions), last_day.date())
    return TradingCalendar(calendar, read_rules())


def _utc(moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp(), UTC)
