"""The rows of SmartAPI's responses: a quote of the mode FULL, and a candle. Amounts are rupees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.domain.candle import IST, Candle
from app.domain.money import parse_price
from app.domain.quote import Quote, QuoteDetails, Source
from app.market_data.providers.base import make_candle
from app.market_data.providers.details import make_details, parse_volume

EXCHANGE_TIME = "%d-%b-%Y %H:%M:%S"


def read_quote(symbol: str, row: dict[str, Any], now: datetime) -> Quote | None:
    """Return the quote in a row, at `now` if it has no time; None if it has no price."""
    price = parse_price(row.get("ltp"))
    if price is None:
        return None
    time = _exchange_time(row.get("exchFeedTime")) or now
    return Quote(symbol, price, Source.ANGEL_ONE, time, details=_details(symbol, row))


def read_candle(symbol: str, row: Any) -> Candle | None:
    """Return the candle of [time, open, high, low, close, volume], None for anything else."""
    if not isinstance(row, list) or len(row) < 5:
        return None
    try:
        time = datetime.fromisoformat(str(row[0]))
    except ValueError:
        return None
    if time.tzinfo is None:
        return None
    prices = [parse_price(price) for price in row[1:5]]
    volume = None if symbol.startswith("^") else parse_volume(row[5] if len(row) > 5 else None)
    return make_candle(symbol, time, prices, Source.ANGEL_ONE, volume)


def _details(symbol: str, row: dict[str, Any]) -> QuoteDetails:
    depth = row.get("depth")
    return make_details(
        symbol,
        bid=_best(depth, "buy"),
        ask=_best(depth, "sell"),
        previous_close=row.get("close"),
        open=row.get("open"),
        high=row.get("high"),
        low=row.get("low"),
        volume=row.get("tradeVolume"),
        lower_band=row.get("lowerCircuit"),
        upper_band=row.get("upperCircuit"),
    )


def _best(depth: Any, side: str) -> Any:
    """Return the price of the first level of a side of the order book, if there is one."""
    levels = depth.get(side) if isinstance(depth, dict) else None
    first = levels[0] if isinstance(levels, list) and levels else None
    return first.get("price") if isinstance(first, dict) else None


def _exchange_time(value: Any) -> datetime | None:
    """Return the exchange's time of a quote in UTC, None if the response has none."""
    try:
        time = datetime.strptime(str(value), EXCHANGE_TIME)  # noqa: DTZ007 - it is in IST
    except ValueError:
        return None
    return time.replace(tzinfo=IST).astimezone(UTC)
