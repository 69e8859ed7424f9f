"""Candles of the simulated market: columns of numbers until they are needed in rupees."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import numpy as np

from app.domain.candle import Candle, Interval
from app.domain.instrument import Instrument
from app.domain.quote import Source
from app.market_data.feeds.random_numbers import Numbers
from app.market_data.feeds.session_path import SECONDS
from app.market_data.feeds.simulated_hours import time_at
from app.market_data.feeds.simulated_prices import rupees

MINUTES = {interval: interval.length // timedelta(minutes=1) for interval in Interval}


class Rows(NamedTuple):
    """Candles as columns: first minutes, logarithms of prices, units traded."""

    minute: Numbers
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers


NO_ROWS = Rows(*(np.empty(0) for _ in Rows._fields))


def joined(rows: Rows, length: int) -> Rows:
    """Return the candles of `length` minutes that those of a minute add up to."""
    begins = rows.minute // length * length
    if length == 1 or not len(begins):
        return rows
    first = np.flatnonzero(np.diff(begins, prepend=-1))
    last = np.append(first[1:], len(begins)) - 1
    return Rows(
        begins[first],
        rows.open[first],
        np.maximum.reduceat(rows.high, first),
        np.minimum.reduceat(rows.low, first),
        rows.close[last],
        np.add.reduceat(rows.volume, first),
    )


def candles_of(instrument: Instrument, rows: Rows) -> list[Candle]:
    """Return the candles of rows in rupees; those of an index have no volume."""
    candles = []
    for minute, *prices, volume in zip(*(column.tolist() for column in rows), strict=True):
        open, high, low, close = (rupees(each, instrument.tick_size) for each in prices)
        traded = None if instrument.is_index else int(volume)
        time = time_at(minute * SECONDS)
        candles.append(
            Candle(instrument.symbol, time, open, high, low, close, Source.MOCK, volume=traded)
        )
    return candles
