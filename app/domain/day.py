"""What quotes of one trading day have in common."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.candle import Interval, beginning_of
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails


def start_of_day(time: datetime) -> datetime:
    """Return when the day in India that contains `time` begins, UTC."""
    return beginning_of(time, Interval.DAY)


def details_after(last: Quote, quote: Quote) -> QuoteDetails:
    """Return the details of a quote that follows `last`.

    A tick of a stream may have a price only. The figures of the day then follow from those of the
    last quote, if that was of the same source and day; bid and ask were replaced meanwhile.
    """
    known = last.details
    if quote.details is not NO_DETAILS or known is NO_DETAILS or last.source is not quote.source:
        return quote.details
    if not _is_same_day(last.timestamp, quote.timestamp):
        return NO_DETAILS
    return replace(
        known,
        bid=None,
        ask=None,
        high=None if known.high is None else max(known.high, quote.price),
        low=None if known.low is None else min(known.low, quote.price),
    )


def _is_same_day(first: datetime, second: datetime) -> bool:
    start = start_of_day(first)
    return start <= second < start + timedelta(days=1)
