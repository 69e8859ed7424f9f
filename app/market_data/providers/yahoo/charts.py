"""Yahoo's charts by yfinance: the latest price of a symbol, and its candles.

Importing this module loads yfinance and pandas, which takes a second or more and 100 MB, so
`source.py` imports it with the first request, in a real thread.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import yfinance
from curl_cffi.requests.exceptions import RequestException
from yfinance.data import YfData
from yfinance.exceptions import YFPricesMissingError

from app.domain.candle import IST, Candle, Interval, beginning_of
from app.domain.corporate_actions import Ratio
from app.domain.day import start_of_day
from app.domain.money import parse_price
from app.domain.quote import Quote, QuoteDetails, Source
from app.logs import logger
from app.market_data.providers.base import (
    NO_DEADLINE,
    ReportedAction,
    SourceUnavailable,
    make_candle,
)
from app.market_data.providers.details import make_details, parse_volume
from app.market_data.providers.yahoo.session import NoChart, YahooSession

# Of the ratio of a split: Yahoo sends a quotient.
MAX_UNITS = 1_000
# Yahoo's hours begin with the session, at 9:15.
_HOUR_OFFSET = timedelta(minutes=15)


class _Forward(logging.Handler):
    """Forwards yfinance's warnings to our log, at level DEBUG."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.debug("yfinance: %s", record.getMessage())


def _set_up_yfinance() -> None:
    log = logging.getLogger("yfinance")
    log.handlers = [_Forward()]
    log.propagate = False
    # At DEBUG it logs its crumb.
    log.setLevel(logging.WARNING)
    # yfinance turns on its own deprecation warnings, which are not for our users.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
    # Raise errors instead of logging them, so that we can distinguish them.
    yfinance.config.debug.hide_exceptions = False
    # This folder cannot be created, so yfinance writes no time zones and cookies to disk.
    yfinance.set_tz_cache_location(f"{os.devnull}/yfinance")


_set_up_yfinance()


class Charts:
    def __init__(self, root_url: str | None) -> None:
        """Use Yahoo, or the server at `root_url`."""
        self._session = YahooSession(root_url)
        # yfinance has one YfData per process. Start it again: its crumb belongs to the cookies of
        # the session before.
        YfData(session=self._session).__init__(session=self._session)

    def latest(self, symbol: str, seconds: float, deadline: float = NO_DEADLINE) -> Quote | None:
        """Return the latest price, None if Yahoo has none; raise SourceUnavailable.

        Each request may take `seconds`, and all of them end at `deadline`, a monotonic time.
        """
        ticker = yfinance.Ticker(symbol, session=self._session)
        with _as_unavailable(symbol), self._session.limits(seconds, deadline):
            rows = None
            try:
                rows = ticker.history(period="1d", interval="1d", auto_adjust=False, actions=False)
            except NoChart:
                return None
            except YFPricesMissingError:
                # Before the first trade of a day there is a price, but no row.
                pass
            return _quote(symbol, ticker.get_history_metadata(), rows)

    def candles(
        self,
        symbol: str,
        interval: Interval,
        since: datetime,
        until: datetime,
        *,
        seconds: float,
        deadline: float = NO_DEADLINE,
    ) -> list[Candle]:
        """Return the candles of one span that Yahoo accepts; raise SourceUnavailable."""
        ticker = yfinance.Ticker(symbol, session=self._session)
        with _as_unavailable(symbol), self._session.limits(seconds, deadline):
            try:
                rows = ticker.history(
                    interval=interval.value,
                    start=since,
                    # A day's time is its opening, which may be after `until`.
                    end=until + interval.length,
                    auto_adjust=False,
                    actions=False,
                )
            except (NoChart, YFPricesMissingError):
                return []
            finally:
                # yfinance caches past responses, even bad ones. Our caller has a cache.
                YfData.cache_get.cache_clear()
            candles = [_candle(symbol, interval, row) for row in _records(rows)]
        return [candle for candle in candles if candle and since <= candle.time < until]

    def actions(
        self,
        symbol: str,
        since: datetime,
        until: datetime,
        *,
        seconds: float,
        deadline: float = NO_DEADLINE,
    ) -> list[ReportedAction]:
        """Return the splits and dividends of a span, in order; raise SourceUnavailable."""
        ticker = yfinance.Ticker(symbol, session=self._session)
        with _as_unavailable(symbol), self._session.limits(seconds, deadline):
            try:
                rows = ticker.history(
                    interval="1d",
                    start=since,
                    end=until + Interval.DAY.length,
                    auto_adjust=False,
                    actions=True,
                )
            except (NoChart, YFPricesMissingError):
                return []
            finally:
                YfData.cache_get.cache_clear()
            columns = (rows["Dividends"].tolist(), rows["Stock Splits"].tolist())
            return _actions(list(zip(rows.index.to_pydatetime(), *columns, strict=True)))


@contextmanager
def _as_unavailable(symbol: str) -> Iterator[None]:
    """Raise SourceUnavailable for every error in getting or reading a response."""
    try:
        yield
    except SourceUnavailable:
        raise
    except RequestException as error:
        reason = type(error).__name__
        raise SourceUnavailable(f"Yahoo did not answer about {symbol}: {reason}") from None
    except Exception as error:
        # The errors of yfinance and pandas on a malformed response are not documented: KeyError,
        # TypeError, AttributeError and IndexError were seen.
        reason = type(error).__name__
        raise SourceUnavailable(f"Yahoo's response about {symbol} is unusable: {reason}") from error


def _quote(symbol: str, metadata: Any, rows: Any) -> Quote | None:
    """Return the latest price from the metadata of a chart; only its row has the open."""
    price = _price(metadata.get("regularMarketPrice"))
    time = metadata.get("regularMarketTime")
    if price is None or time is None or metadata.get("currency") not in ("INR", None):
        return None
    made_at = time.to_pydatetime().astimezone(UTC)
    opening = _opening(rows, made_at)
    return Quote(symbol, price, Source.YAHOO, made_at, details=_details(symbol, metadata, opening))


def _opening(rows: Any, made_at: datetime) -> Any:
    """Return the first price of the day of a quote, if the rows have that day."""
    if rows is None or rows.empty:
        return None
    begins_at = rows.index[-1].to_pydatetime()
    is_of_day = start_of_day(begins_at) == start_of_day(made_at)
    return rows["Open"].tolist()[-1] if is_of_day else None


def _details(symbol: str, metadata: Any, opening: Any) -> QuoteDetails:
    # Of a chart of one day, the close before the chart is that of the day before.
    previous_close = metadata.get("previousClose") or metadata.get("chartPreviousClose")
    numbers = {
        "previous_close": previous_close,
        "open": opening,
        "high": metadata.get("regularMarketDayHigh"),
        "low": metadata.get("regularMarketDayLow"),
    }
    return make_details(
        symbol,
        volume=metadata.get("regularMarketVolume"),
        **{name: _price(number) for name, number in numbers.items()},
    )


def _records(rows: Any) -> Iterator[tuple[Any, ...]]:
    """Return time, open, high, low, close and volume of each row of a data frame."""
    columns = [rows[name].tolist() for name in ("Open", "High", "Low", "Close", "Volume")]
    return zip(rows.index.to_pydatetime(), *columns, strict=True)


def _candle(symbol: str, interval: Interval, row: tuple[Any, ...]) -> Candle | None:
    # The time of the newest candle may be that of its last trade.
    offset = _HOUR_OFFSET if interval is Interval.HOUR else timedelta()
    time = beginning_of(row[0] - offset, interval) + offset
    prices = [_price(value) for value in row[1:5]]
    volume = None if symbol.startswith("^") else parse_volume(row[5])
    return make_candle(symbol, time, prices, Source.YAHOO, volume)


def _actions(rows: Sequence[tuple[datetime, float, float]]) -> list[ReportedAction]:
    """Return what days report, with dividends as they were paid."""
    actions: list[ReportedAction] = []
    later = Fraction(1)
    for time, dividend, split in reversed(rows):
        ex_date = time.astimezone(IST).date()
        if split and split > 0 and split != 1:
            factor = Fraction(str(split)).limit_denominator(MAX_UNITS)
            actions.append(ReportedAction(ex_date, Ratio(factor.numerator, factor.denominator)))
            later *= factor
        paid = Decimal(str(dividend)) * later.numerator / later.denominator
        if (amount := parse_price(paid)) is not None:
            actions.append(ReportedAction(ex_date, amount=amount))
    return actions[::-1]


def _price(value: Any) -> Decimal | None:
    # Yahoo sends numbers. A text is not a price.
    return None if isinstance(value, str) else parse_price(value)
