"""The trading calendar: when the exchanges are open, and whether orders are accepted.

It combines the sessions of the calendar XBOM with the dated rules in `data/trading_hours.toml`.
After the last day of XBOM every weekday counts as a session, except the holidays that fall on the
same day each year: an order on an unknown holiday does less harm than a market that stays closed.

XBOM is loaded on first use, in a real thread, because it imports pandas: about a second and
60 MB. While market hours are ignored and no client asks for the status, it is never loaded.
"""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from app.concurrency import run_blocking
from app.domain.errors import MarketClosed
from app.logs import logger

EXCHANGES = ("NSE", "BSE")
ONE_DAY = timedelta(days=1)
SATURDAY = 5
# Longer than any pause of the exchanges: an older price is old whatever the calendar says.
MAX_PAUSE = timedelta(days=14)
# How long before the end of XBOM the log asks for a newer version.
NOTICE = timedelta(days=14)


class SessionKind(StrEnum):
    """The state of the exchanges."""

    PRE_OPEN = "pre_open"
    REGULAR = "regular"
    CLOSING_AUCTION = "closing_auction"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; times are UTC. `occasion` names a special session.

    Orders are accepted from `open` until `close`. Prices move from `open` until `auction`, when
    the closing auction begins; it ends at `end`. Without an auction, both equal `close`.
    """

    day: date
    pre_open: datetime
    open: datetime
    auction: datetime
    close: datetime
    end: datetime
    occasion: str | None = None

    def kind_at(self, now: datetime) -> SessionKind:
        """Return the state of the exchanges at `now`."""
        if not self.pre_open <= now < self.end:
            return SessionKind.CLOSED
        if now < self.open:
            return SessionKind.PRE_OPEN
        return SessionKind.REGULAR if now < self.auction else SessionKind.CLOSING_AUCTION

    def collects_at(self, now: datetime) -> bool:
        """Return whether the closing auction takes orders, which wait for its price."""
        return self.auction <= now < self.close

    def matches_at(self, now: datetime) -> bool:
        """Return whether prices of now are those of the closing auction."""
        return self.close <= now < self.end

    def price_time(self, since: datetime, until: datetime) -> timedelta:
        """Return how long prices moved in this session between two times."""
        return max(min(until, self.auction) - max(since, self.open), timedelta(0))


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """The exchanges at one time. `session_date` and `occasion` are of the current session, if any.

    Trades are refused while they are closed if the hours are `enforced`.
    """

    open: bool
    session: SessionKind
    session_date: date | None
    occasion: str | None
    next_open: datetime
    next_close: datetime
    enforced: bool
    timezone: str
    holidays_known_until: date
    exchanges: tuple[str, ...] = EXCHANGES


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of one day in the exchange's time zone. `auction` is the closing auction."""

    pre_open: time
    open: time
    close: time
    auction: tuple[time, time] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRules:
    """The dated rules. `ordinary` holds the hours by their first day, oldest first."""

    timezone: ZoneInfo
    ordinary: tuple[tuple[date, Hours], ...]
    special: Mapping[date, Hours]
    closed: frozenset[date]
    yearly: frozenset[tuple[int, int]]

    def hours_on(self, day: date) -> Hours:
        """Return the hours of an ordinary day; before the first entry, the first hours."""
        started = [hours for first, hours in self.ordinary if first <= day]
        return started[-1] if started else self.ordinary[0][1]


@dataclass(frozen=True, slots=True)
class ExchangeDays:
    """The sessions that XBOM knows: open and close, UTC, by day."""

    sessions: Mapping[date, tuple[datetime, datetime]]
    first_day: date
    last_day: date


@cache
def load_exchange_days() -> ExchangeDays:
    """Return the sessions of XBOM. The first call takes about a second."""
    from exchange_calendars.exchange_calendar_xbom import XBOMExchangeCalendar

    # By default the calendar ends a year from now, but it knows holidays by whole years.
    last_day = XBOMExchangeCalendar.bound_max()
    xbom = XBOMExchangeCalendar(end=last_day)
    sessions = {
        day.date(): (_to_utc(opens), _to_utc(closes))
        for day, opens, closes in zip(xbom.sessions, xbom.opens, xbom.closes, strict=True)
    }
    return ExchangeDays(sessions, min(sessions), last_day.date())


class TradingCalendar:
    """The sessions of the exchanges, and whether trading outside them is refused.

    Times are UTC. The first question waits for XBOM without blocking other greenlets; later
    questions take microseconds.
    """

    def __init__(
        self, *, enforced: bool = False, load: Callable[[], ExchangeDays] = load_exchange_days
    ) -> None:
        """Allow trading at any time unless `enforced`; otherwise only while it is open."""
        self.enforced = enforced
        self._load = load
        self._rules = read_rules()
        self._loading = threading.Lock()
        self._exchange_days: ExchangeDays | None = None
        self._sessions: dict[date, Session | None] = {}
        self._has_given_notice = False

    @property
    def timezone(self) -> ZoneInfo:
        return self._rules.timezone

    @property
    def known_until(self) -> date:
        """The last day whose holidays are known rather than assumed."""
        return self._days.last_day

    def trading_allowed(self, now: datetime) -> bool:
        """Return whether a trade may be opened or closed, by its user or by a tick."""
        return not self.enforced or self.is_open(now)

    def require_trading(self, now: datetime) -> None:
        """Raise MarketClosed with the next opening if trading is not allowed."""
        if closed := self.closed(now):
            raise closed

    def closed(self, now: datetime, symbol: str | None = None) -> MarketClosed | None:
        """Return why a trade, or an order of `symbol`, is refused now; None if it is allowed."""
        if self.trading_allowed(now):
            return None
        return MarketClosed(self.next_open(now).astimezone(self.timezone), symbol)

    def is_open(self, now: datetime) -> bool:
        """Return whether the exchanges accept orders."""
        session = self.session_at(now)
        return session is not None and session.open <= now < session.close

    def status(self, now: datetime) -> MarketStatus:
        """Return the state of the exchanges, whether it is enforced or not."""
        session = self.session_on(self._day_of(now))
        kind = session.kind_at(now) if session else SessionKind.CLOSED
        current = session if kind is not SessionKind.CLOSED else None
        return MarketStatus(
            open=self.is_open(now),
            session=kind,
            session_date=current.day if current else None,
            occasion=current.occasion if current else None,
            next_open=self.next_open(now),
            next_close=self.next_close(now),
            enforced=self.enforced,
            timezone=self.timezone.key,
            holidays_known_until=self.known_until,
        )

    def session_at(self, now: datetime) -> Session | None:
        """Return the session of the day of `now`, or None."""
        return self.session_on(self._day_of(now))

    def session_on(self, day: date) -> Session | None:
        """Return the session of a day, or None."""
        if day not in self._sessions:
            self._sessions[day] = self._find_session(day)
        return self._sessions[day]

    def ordinary_session(self, day: date) -> Session:
        """Return the session that a day has if it is no holiday. Never loads XBOM."""
        return self._session(day, self._rules.special.get(day) or self._rules.hours_on(day))

    def next_open(self, now: datetime) -> datetime:
        """Return the first opening after `now`."""
        return next(session.open for session in self._sessions_from(now) if session.open > now)

    def next_close(self, now: datetime) -> datetime:
        """Return the first close after `now`."""
        return next(session.close for session in self._sessions_from(now) if session.close > now)

    def session_of_order(self, now: datetime) -> Session:
        """Return the session that an order sent at `now` trades in: the current or the next one."""
        return next(session for session in self._sessions_from(now) if session.close > now)

    def opens_between(self, since: datetime, until: datetime) -> bool:
        """Return whether a session opens after `since` and not after `until`."""
        session = self.session_on(self._day_of(until))
        return session is not None and since < session.open <= until

    def trading_time(self, since: datetime, until: datetime) -> timedelta:
        """Return how long prices moved between two times: the age of a price in trading time.

        Nights, holidays and closing auctions do not count. A span of more than MAX_PAUSE is
        returned unchanged.
        """
        if until - since > MAX_PAUSE:
            return until - since
        last = self._day_of(until)
        total = timedelta(0)
        day = self._day_of(since)
        while day <= last:
            if session := self.session_on(day):
                total += session.price_time(since, until)
            day += ONE_DAY
        return total

    def is_trading_day_ago(self, since: datetime, now: datetime) -> bool:
        """Return whether prices have moved since `since` for the length of an ordinary day."""
        day = self._day_of(now)
        ordinary = self._session(day, self._rules.hours_on(day))
        return self.trading_time(since, now) >= ordinary.auction - ordinary.open

    @property
    def _days(self) -> ExchangeDays:
        if self._exchange_days is None:
            with self._loading:
                if self._exchange_days is None:
                    self._exchange_days = run_blocking(self._load)
        return self._exchange_days

    def _day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.timezone).date()

    def _sessions_from(self, now: datetime) -> Iterator[Session]:
        """Return the sessions from the day of `now`."""
        today = self._day_of(now)
        days = (today + ONE_DAY * number for number in count())
        return (session for day in days if (session := self.session_on(day)))

    def _find_session(self, day: date) -> Session | None:
        self._warn_before_end(day)
        if special := self._rules.special.get(day):
            return self._session(day, special)
        if day in self._rules.closed:
            return None
        if not self._days.first_day <= day <= self._days.last_day:
            is_holiday = day.weekday() >= SATURDAY or (day.month, day.day) in self._rules.yearly
            return None if is_holiday else self._session(day, self._rules.hours_on(day))
        if day not in self._days.sessions:
            return None
        return self._session(day, self._hours_from_xbom(day))

    def _warn_before_end(self, day: date) -> None:
        if day > self.known_until - NOTICE and not self._has_given_notice:
            self._has_given_notice = True
            logger.warning(
                "holidays are known until %s; after that every weekday counts as a session. "
                "Install a newer exchange_calendars, and restart",
                self.known_until,
            )

    def _hours_from_xbom(self, day: date) -> Hours:
        ordinary = self._rules.hours_on(day)
        opens, closes = (
            moment.astimezone(self.timezone).time() for moment in self._days.sessions[day]
        )
        if (opens, closes) == (ordinary.open, ordinary.close):
            return ordinary
        # XBOM has no auctions, so those of a day with other hours are unknown.
        return Hours(pre_open=opens, open=opens, close=closes)

    def _session(self, day: date, hours: Hours) -> Session:
        auction, end = hours.auction or (hours.close, hours.close)
        return Session(
            day=day,
            pre_open=self._utc(day, hours.pre_open),
            open=self._utc(day, hours.open),
            auction=self._utc(day, auction),
            close=self._utc(day, hours.close),
            end=self._utc(day, end),
            occasion=hours.name,
        )

    def _utc(self, day: date, moment: time) -> datetime:
        return datetime.combine(day, moment, self.timezone).astimezone(UTC)


@cache
def read_rules() -> SessionRules:
    """Return the dated rules of `data/trading_hours.toml`."""
    text = (files("app.market_data") / "data" / "trading_hours.toml").read_text("utf-8")
    document = tomllib.loads(text)
    ordinary = sorted((entry["from"], _hours(entry)) for entry in document["hours"])
    return SessionRules(
        timezone=ZoneInfo(document["timezone"]),
        ordinary=tuple(ordinary),
        special={entry["date"]: _hours(entry) for entry in document["special"]},
        closed=frozenset(entry["date"] for entry in document["closed"]),
        yearly=frozenset(_month_and_day(entry["day"]) for entry in document["yearly"]),
    )


def _hours(entry: Mapping[str, Any]) -> Hours:
    auction = entry.get("closing_auction")
    return Hours(
        pre_open=entry["pre_open"],
        open=entry["open"],
        close=entry["close"],
        auction=(auction["from"], auction["to"]) if auction else None,
        name=entry.get("name"),
    )


def _month_and_day(text: str) -> tuple[int, int]:
    month, day = text.split("-")
    return int(month), int(day)


def _to_utc(moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp(), UTC)
