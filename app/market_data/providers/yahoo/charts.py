"""Yahoo's charts by yfinance: the latest price of a symbol, and its candles.

Importing this module loads yfinance and pandas, which takes a second or more and 100 MB: it is
imported when Yahoo is first asked, in a real thread.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import yfinance
from curl_cffi.requests.exceptions import RequestException
from yfinance.data import YfData
from yfinance.exceptions import YFPricesMissingError

from app.domain.candle import Candle, Interval, beginning_of
from app.domain.money import parse_price
from app.domain.quote import Quote, Source
from app.logs import logger
from app.market_data.providers.base import SourceUnavailable
from app.market_data.providers.yahoo.session import NoChart, YahooSession

TIME_ZONE = "Asia/Kolkata"
# Yahoo's hours begin with the session, at 9:15.
_HOUR_OFFSET = timedelta(minutes=15)


class _Forward(logging.Handler):
    """Has yfinance's complaints in our log, where who looks for details finds them."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.debug("yfinance: %s", record.getMessage())


def _set_up_yfinance() -> None:
    log = logging.getLogger("yfinance")
    log.handlers = [_Forward()]
    log.propagate = False
    # At debug it tells of each step, and of its crumb.
    log.setLevel(logging.WARNING)
    # It asks for its warnings to be shown; what it does that pandas deprecates is not for users.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
    # Errors are raised, for us to tell one kind from another.
    yfinance.config.debug.hide_exceptions = False
    # A folder that cannot be made: yfinance then keeps time zones and cookies in memory, and
    # writes neither to the user's home nor anywhere else.
    yfinance.set_tz_cache_location(f"{os.devnull}/yfinance")


_set_up_yfinance()


class Charts:
    def __init__(self, root_url: str | None) -> None:
        """Ask Yahoo, or the server at `root_url` in its place."""
        self._session = YahooSession(root_url)
        # yfinance has one of these for the whole process. A crumb belongs to a session's cookies.
        vendor = YfData(session=self._session)
        vendor._cookie_strategy, vendor._cookie, vendor._crumb = "basic", None, None

    def latest(self, symbol: str, seconds: float, deadline: float) -> Quote | None:
        """Return the latest price, None where Yahoo has none; raise SourceUnavailable.

        A request may take so many seconds, all together may last until a monotonic time.
        """
        ticker = self._ticker(symbol)
        with _explained(symbol), self._session.within(seconds, deadline):
            try:
                ticker.history(period="1d", interval="1d", actions=False)
            except NoChart:
                return None
            except YFPricesMissingError:
                # Before the first trade of a day there is no row, but a price.
                pass
            return _quote(symbol, ticker.get_history_metadata())

    def candles(
        self,
        symbol: str,
        interval: Interval,
        since: datetime,
        until: datetime,
        *,
        seconds: float,
        deadline: float,
    ) -> list[Candle]:
        """Return the candles of a span that Yahoo answers at once; raise SourceUnavailable."""
        ticker = self._ticker(symbol)
        with _explained(symbol), self._session.within(seconds, deadline):
            try:
                rows = ticker.history(
                    interval=interval.value,
                    start=since,
                    # Yahoo dates a day by its opening, which may be after `until`.
                    end=until + interval.length,
                    auto_adjust=False,
                    actions=False,
                )
            except (NoChart, YFPricesMissingError):
                return []
            finally:
                # It keeps answers of the past, bad ones too; the caller has a cache of its own.
                YfData.cache_get.cache_clear()
            found = [_candle(symbol, interval, row) for row in _records(rows)]
        return [each for each in found if each and since <= each.time < until]

    def _ticker(self, symbol: str) -> Any:
        ticker = yfinance.Ticker(symbol, session=self._session)
        # Otherwise yfinance makes a request of its own to find it out.
        ticker._tz = TIME_ZONE
        return ticker


@contextmanager
def _explained(symbol: str) -> Iterator[None]:
    """Raise SourceUnavailable for whatever goes wrong in getting or reading an answer."""
    try:
        yield
    except SourceUnavailable:
        raise
    except RequestException as error:
        reason = type(error).__name__
        raise SourceUnavailable(f"Yahoo did not answer about {symbol}: {reason}") from None
    except Exception as error:
        # What yfinance and pandas raise over an answer that is not as it should be is not listed
        # anywhere: KeyError, TypeError, AttributeError, IndexError were seen.
        reason = type(error).__name__
        raise SourceUnavailable(f"Yahoo's answer about {symbol} is unusable: {reason}") from error


def _quote(symbol: str, metadata: Any) -> Quote | None:
    """Return the price and the time it was made, as a chart's metadata has them."""
    price = _price(metadata.get("regularMarketPrice"))
    time = metadata.get("regularMarketTime")
    if price is None or time is None or metadata.get("currency") not in ("INR", None):
        return None
    return Quote(symbol, price, Source.YAHOO, time.to_pydatetime().astimezone(UTC))


def _records(rows: Any) -> Iterator[tuple[Any, ...]]:
    """Return time, open, high, low and close of each row of a data frame."""
    columns = [rows[name].tolist() for name in ("Open", "High", "Low", "Close")]
    return zip(rows.index.to_pydatetime(), *columns, strict=True)


def _candle(symbol: str, interval: Interval, row: tuple[Any, ...]) -> Candle | None:
    prices = [_price(each) for each in row[1:]]
    open_, high, low, close = prices
    if open_ is None or high is None or low is None or close is None:
        return None
    # The newest may be dated by the moment of its last trade.
    offset = _HOUR_OFFSET if interval is Interval.HOUR else timedelta()
    time = beginning_of(row[0] - offset, interval) + offset
    candle = Candle(symbol, time, open_, high, low, close, Source.YAHOO)
    return candle if candle.is_sound else None


def _price(value: Any) -> Decimal | None:
    # Text in place of a number is no answer of Yahoo's.
    return None if isinstance(value, str) else parse_price(value)
