"""The simulated market in rupees: quotes and candles of the model's prices."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from cachetools import LRUCache

from app.domain.candle import Candle, Interval
from app.domain.instrument import Instrument
from app.domain.quote import Quote, QuoteDetails, Source
from app.market_data.feeds.course import Course
from app.market_data.feeds.market_model import MarketModel
from app.market_data.feeds.random_numbers import Numbers
from app.market_data.feeds.session_path import SECONDS, Line, SessionPath
from app.market_data.feeds.simulated_candles import MINUTES, NO_ROWS, Rows, candles_of, joined
from app.market_data.feeds.simulated_hours import DAY_SECONDS, SimulatedHours, seconds_of, time_at
from app.market_data.feeds.simulated_prices import bid_and_ask, rupees, to_tick
from app.market_data.feeds.simulated_shares import daily_volume

PAST_DAYS = 3_653
# Longer than any pause of the exchanges, in days.
MAX_PAUSE = 30
_DAY = MINUTES[Interval.DAY]
# Days of symbols whose candle of the day is kept, in about 200 bytes each.
KEPT_DAYS = 20_000
# Price bands: the widest of the exchanges, as a fraction of the previous close.
BAND = Decimal("0.2")
# The standard deviation of a day's volume, as a logarithm.
VOLUME_SPREAD = 0.35


@dataclass(frozen=True, slots=True)
class Instant:
    """The market at one second: the session, or the last one, and the factors."""

    second: int
    path: SessionPath
    factors: Numbers
    volume: float


@dataclass(frozen=True, slots=True)
class _Day:
    """The figures of a symbol's day, from its first `minutes`; `high` and `low` are logarithms."""

    day: int
    minutes: int
    previous_close: Decimal
    open: Decimal
    high: float
    low: float
    volume: float


class SimulatedMarket:
    """Prices of the market. Thread-safe."""

    def __init__(
        self,
        course: Course,
        hours: SimulatedHours,
        offsets: Mapping[str, float],
    ) -> None:
        """`offsets` are added to the logarithms of the model's prices, by symbol."""
        self._course = course
        self._hours = hours
        self._model = MarketModel(course.seed, hours, course.scenarios)
        self.offsets = dict(offsets)
        self._instant: Instant | None = None
        self._lines: dict[str, tuple[int, Line]] = {}
        self._days: dict[str, _Day] = {}
        self._rows: LRUCache[tuple[str, int], Rows] = LRUCache(KEPT_DAYS)
        self._lock = threading.Lock()

    def quote(self, instrument: Instrument, now: datetime) -> Quote:
        """Return the price of an instrument, with the figures of its day."""
        instant = self._at(math.floor(seconds_of(now)))
        price = rupees(self._log_price(instrument, instant), instrument.tick_size)
        details = self._details(instrument, price, instant)
        return Quote(instrument.symbol, price, Source.MOCK, now, details=details)

    def price(self, instrument: Instrument, second: int) -> Decimal:
        """Return the price of an instrument at any second, in rupees."""
        log_price = self._model_price(instrument, second) + self._offset(instrument)
        return rupees(log_price, instrument.tick_size)

    def continue_from(self, instrument: Instrument, price: Decimal, second: int) -> None:
        """Have the instrument cost `price` (rupees) at a second, and scale all its prices."""
        log_price = math.log(max(price, instrument.tick_size))
        self.offsets[instrument.symbol] = log_price - self._model_price(instrument, second)
        self._lines.pop(instrument.symbol, None)
        self._days.pop(instrument.symbol, None)
        with self._lock:
            self._rows.clear()

    def _details(self, instrument: Instrument, price: Decimal, instant: Instant) -> QuoteDetails:
        """Return the figures of the day, and of a share also bid, ask, volume and bands."""
        day = self._update_day(instrument, instant)
        figures = QuoteDetails(
            previous_close=day.previous_close,
            open=day.open,
            high=max(rupees(day.high, instrument.tick_size), price),
            low=min(rupees(day.low, instrument.tick_size), price),
        )
        if instrument.is_index:
            return figures
        bid, ask = bid_and_ask(instrument, price, instant.second, instant.path.volatility)
        return replace(
            figures,
            bid=bid,
            ask=ask,
            volume=round(day.volume * instant.volume),
            lower_band=to_tick(day.previous_close * (1 - BAND), instrument, ROUND_CEILING),
            upper_band=to_tick(day.previous_close * (1 + BAND), instrument, ROUND_FLOOR),
        )

    def candles(
        self, instrument: Instrument, interval: Interval, first: int, last: int, until: int
    ) -> Iterator[list[Candle]]:
        """Yield the candles of each day that begin from minute `first` to before `last`.

        `until` is the last second of which prices are known.
        """
        last = min(last, until // SECONDS + 1)
        first = max(first, (until // DAY_SECONDS - PAST_DAYS) * _DAY)
        for day in range(first // _DAY, -(-last // _DAY)):
            rows = self._rows_of(instrument, day, interval, until)
            kept = (rows.minute >= first) & (rows.minute < last)
            yield candles_of(instrument, Rows(*(column[kept] for column in rows)))

    def candles_after(
        self, instrument: Instrument, since: int, until: int
    ) -> Iterator[list[Candle]]:
        """Yield the candles of a minute of each day, from after the second `since` to `until`."""
        for day in range(since // DAY_SECONDS, until // DAY_SECONDS + 1):
            hours = self._hours.of_day(day)
            if hours is None or not max(since + 1, hours.opens) <= min(until, hours.closes - 1):
                continue
            path = self._model.path(day, hours)
            line = self._shifted(instrument, path)
            begin = max(since + 1, path.hours.opens)
            first, rest = divmod(begin - path.hours.opens, SECONDS)
            rows = self._minutes(instrument, path, until, first)
            candles = candles_of(instrument, rows)
            if rest:
                end = min(begin - rest + SECONDS, until + 1, path.hours.closes)
                seen = [
                    rupees(each, instrument.tick_size)
                    for each in path.prices(line, np.arange(begin, end)).tolist()
                ]
                candles[0] = replace(
                    candles[0],
                    time=time_at(begin),
                    open=seen[0],
                    high=max(seen),
                    low=min(seen),
                    volume=None,
                )
            yield candles

    def _at(self, second: int) -> Instant:
        """Return the market at a second, at the end of the last session if it is closed."""
        instant = self._instant
        if instant is None or instant.second != second:
            path = self._session_at(second)
            instant = self._instant = Instant(second, path, *path.factors(second))
        return instant

    def _log_price(self, instrument: Instrument, instant: Instant) -> float:
        line = self._line(instrument, instant.path)
        return line.constant + float(line.loadings @ instant.factors)

    def _model_price(self, instrument: Instrument, second: int) -> float:
        """Return the logarithm of the model's price, without the offset."""
        path = self._session_at(second)
        line = self._model.line(instrument, path)
        return line.constant + float(line.loadings @ path.factors(second)[0])

    def _offset(self, instrument: Instrument) -> float:
        symbol = instrument.symbol
        if symbol not in self.offsets:
            start = self._course.starts.get(symbol)
            self.offsets[symbol] = (
                math.log(start) - self._model_price(instrument, math.floor(self._course.zero))
                if start
                else 0.0
            )
        return self.offsets[symbol]

    def _shifted(self, instrument: Instrument, path: SessionPath) -> Line:
        line = self._model.line(instrument, path)
        return line._replace(constant=line.constant + self._offset(instrument))

    def _session_at(self, second: int) -> SessionPath:
        today = second // DAY_SECONDS
        for day in range(today, today - MAX_PAUSE, -1):
            hours = self._hours.of_day(day)
            if hours and hours.opens <= second:
                return self._model.path(day, hours)
        raise LookupError(f"no session in the {MAX_PAUSE} days before {time_at(second)}")

    def _line(self, instrument: Instrument, path: SessionPath) -> Line:
        known = self._lines.get(instrument.symbol)
        if known and known[0] == path.day:
            return known[1]
        line = self._shifted(instrument, path)
        self._lines[instrument.symbol] = path.day, line
        return line

    def _update_day(self, instrument: Instrument, instant: Instant) -> _Day:
        """Return the figures of the day up to the last whole minute."""
        path, symbol = instant.path, instrument.symbol
        minutes = min((instant.second + 1 - path.hours.opens) // SECONDS, path.hours.minutes)
        day = self._days.get(symbol)
        if day is None or day.day != path.day or day.minutes > minutes:
            day = self._begin_day(instrument, path)
        if day.minutes < minutes:
            _, highs, lows, _ = path.minutes(self._line(instrument, path), day.minutes, minutes)
            high, low = max(float(highs.max()), day.high), min(float(lows.min()), day.low)
            day = replace(day, minutes=minutes, high=high, low=low)
        self._days[symbol] = day
        return day

    def _begin_day(self, instrument: Instrument, path: SessionPath) -> _Day:
        before = self._session_at(path.hours.opens - 1)
        line = self._shifted(instrument, before)
        close = line.constant + float(line.loadings @ before.factors(before.hours.closes)[0])
        open = float(path.prices(self._line(instrument, path), np.array([path.hours.opens]))[0])
        return _Day(
            path.day,
            0,
            rupees(close, instrument.tick_size),
            rupees(open, instrument.tick_size),
            open,
            open,
            self._volume(instrument, path),
        )

    def _volume(self, instrument: Instrument, path: SessionPath) -> float:
        """Return the volume of a session: more on a volatile day."""
        draw = random.Random(f"volume/{self._course.seed}/{instrument.ticker}/{path.day}")
        size = VOLUME_SPREAD * draw.gauss(0, 1) + 0.7 * math.log(path.volatility)
        return daily_volume(instrument) * math.exp(size)

    def _rows_of(self, instrument: Instrument, day: int, interval: Interval, until: int) -> Rows:
        hours = self._hours.of_day(day)
        if hours is None:
            return NO_ROWS
        key = instrument.symbol, day
        is_kept = interval is Interval.DAY and hours.closes <= until + 1
        with self._lock:
            rows = self._rows.get(key) if is_kept else None
        if rows is None:
            path = self._model.path(day, hours)
            rows = joined(self._minutes(instrument, path, until), MINUTES[interval])
            with self._lock:
                if is_kept:
                    self._rows[key] = rows
        return rows

    def _minutes(
        self, instrument: Instrument, path: SessionPath, until: int, first: int = 0
    ) -> Rows:
        bars = path.bars(self._shifted(instrument, path), until, first)
        traded = np.zeros(len(bars.volume))
        if not instrument.is_index:
            traded = np.rint(self._volume(instrument, path) * bars.volume)
        return Rows(*bars[:-1], np.diff(traded))
