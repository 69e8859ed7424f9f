"""The timetable of the exchanges: when they are open, for any time that is given.

It is made of the days that the exchange's calendar knows and of the dated configuration in
`data/trading_hours.toml`. Beyond the calendar's last day every weekday is taken for a session
but for the holidays that are the same each year: an order on an unknown holiday does less harm
than a market that never opens again. All of it is plain Python, some microseconds a question.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from importlib.resources import files
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

EXCHANGES = ("NSE", "BSE")
ONE_DAY = timedelta(days=1)
SATURDAY = 5
# More than the exchanges were ever closed for: what is older than this is old by any count.
MAX_PAUSE = timedelta(days=14)


class SessionKind(StrEnum):
    """What the exchanges do at a time."""

    PRE_OPEN = "pre_open"
    REGULAR = "regular"
    CLOSING_AUCTION = "closing_auction"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Session:
    """One day of trading; times are UTC. `occasion` names what makes it a special one.

    Orders are taken from `open` to before `close`. Prices move from `open` to `auction`, where
    the closing auction begins; it ends at `end`. Without one, these two are `close`.
    """

    day: date
    pre_open: datetime
    open: datetime
    auction: datetime
    close: datetime
    end: datetime
    occasion: str | None = None

    def is_open_at(self, now: datetime) -> bool:
        return self.open <= now < self.close

    def kind_at(self, now: datetime) -> SessionKind:
        """Return what part of the session `now` is in."""
        if not self.pre_open <= now < self.end:
            return SessionKind.CLOSED
        if now < self.open:
            return SessionKind.PRE_OPEN
        return SessionKind.REGULAR if now < self.auction else SessionKind.CLOSING_AUCTION

    def price_time(self, since: datetime, until: datetime) -> timedelta:
        """Return how long prices moved in this session between two times."""
        return max(min(until, self.auction) - max(since, self.open), timedelta(0))


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """The exchanges at one time. `day` and `occasion` are of the session under way, if any."""

    open: bool
    session: SessionKind
    day: date | None
    occasion: str | None
    next_open: datetime
    next_close: datetime
    timezone: str
    holidays_known_until: date


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of a day, in the exchange's own time. `auction` is the closing auction's."""

    pre_open: time
    open: time
    close: time
    auction: tuple[time, time] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRules:
    """The dated configuration. `ordinary` are hours by the date they begin on, oldest first."""

    timezone: ZoneInfo
    ordinary: tuple[tuple[date, Hours], ...]
    special: Mapping[date, Hours]
    closed: frozenset[date]
    yearly: frozenset[tuple[int, int]]

    def hours_on(self, day: date) -> Hours:
        """Return the hours of an ordinary day; before the first entry, those of the first."""
        began = [hours for first, hours in self.ordinary if first <= day]
        return began[-1] if began else self.ordinary[0][1]


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the exchange's calendar knows: open and close, UTC, of each session in its days."""

    sessions: Mapping[date, tuple[datetime, datetime]]
    first_day: date
    last_day: date


class TradingCalendar:
    def __init__(self, calendar: Calendar, rules: SessionRules) -> None:
        self._calendar = calendar
        self._rules = rules
        self._days: dict[date, Session | None] = {}

    @property
    def timezone(self) -> ZoneInfo:
        return self._rules.timezone

    @property
    def known_until(self) -> date:
        """The last day whose holidays are known rather than supposed."""
        return self._calendar.last_day

    def session_on(self, day: date) -> Session | None:
        """Return the session of a day, None where there is none."""
        if day not in self._days:
            self._days[day] = self._find_session(day)
        return self._days[day]

    def is_open(self, now: datetime) -> bool:
        """Tell whether the exchanges take orders."""
        session = self.session_on(self._day_of(now))
        return session is not None and session.is_open_at(now)

    def status(self, now: datetime) -> MarketStatus:
        """Return all there is to say of the exchanges at a time."""
        session = self.session_on(self._day_of(now))
        kind = session.kind_at(now) if session else SessionKind.CLOSED
        current = session if kind is not SessionKind.CLOSED else None
        return MarketStatus(
            open=self.is_open(now),
            session=kind,
            day=current.day if current else None,
            occasion=current.occasion if current else None,
            next_open=self.next_open(now),
            next_close=self.next_close(now),
            timezone=self.timezone.key,
            holidays_known_until=self.known_until,
        )

    def next_open(self, now: datetime) -> datetime:
        """Return when orders are taken again: the first opening after `now`."""
        return next(each.open for each in self._sessions(now, ONE_DAY) if each.open > now)

    def next_close(self, now: datetime) -> datetime:
        """Return the first close after `now`: of this session, else of the next."""
        return next(each.close for each in self._sessions(now, ONE_DAY) if each.close > now)

    def last_trading_moment(self, now: datetime) -> datetime:
        """Return `now` while the exchanges are open, else when they closed last."""
        if self.is_open(now):
            return now
        return next(each.close for each in self._sessions(now, -ONE_DAY) if each.close <= now)

    def trading_time(self, since: datetime, until: datetime) -> timedelta:
        """Return how long prices moved between two times: the age of a price in trading time.

        Nights, holidays and the closing auction do not count. More than two weeks are returned
        as they are.
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
        """Return whether prices have moved for as long as on an ordinary day since a time."""
        hours = self._rules.hours_on(self._day_of(now))
        ordinary = self._session(self._day_of(now), hours)
        return self.trading_time(since, now) >= ordinary.auction - ordinary.open

    def _day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.timezone).date()

    def _sessions(self, now: datetime, step: timedelta) -> Iterator[Session]:
        """Return the sessions from that of `now` on, forward or back."""
        today = self._day_of(now)
        days = (today + step * each for each in count())
        return (session for day in days if (session := self.session_on(day)))

    def _find_session(self, day: date) -> Session | None:
        if special := self._rules.special.get(day):
            return self._session(day, special)
        if day in self._rules.closed:
            return None
        if not self._calendar.first_day <= day <= self._calendar.last_day:
            holiday = day.weekday() >= SATURDAY or (day.month, day.day) in self._rules.yearly
            return None if holiday else self._session(day, self._rules.hours_on(day))
        if day not in self._calendar.sessions:
            return None
        return self._session(day, self._hours_by_calendar(day))

    def _hours_by_calendar(self, day: date) -> Hours:
        ordinary = self._rules.hours_on(day)
        opens, closes = (
            each.astimezone(self.timezone).time() for each in self._calendar.sessions[day]
        )
        if (opens, closes) == (ordinary.open, ordinary.close):
            return ordinary
        # A day of its own hours: when its auctions are, the calendar does not say.
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


def read_rules() -> SessionRules:
    """Return the dated configuration."""
    text = (files("app.market_data") / "data" / "trading_hours.toml").read_text("utf-8")
    written = tomllib.loads(text)
    ordinary = sorted((each["from"], _hours(each)) for each in written["hours"])
    return SessionRules(
        timezone=ZoneInfo(written["timezone"]),
        ordinary=tuple(ordinary),
        special={each["date"]: _hours(each) for each in written["special"]},
        closed=frozenset(each["date"] for each in written["closed"]),
        yearly=frozenset(_month_and_day(each["day"]) for each in written["yearly"]),
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
