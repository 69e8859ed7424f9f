"""The rows of a recording: `timestamp,symbol,price`, and what was known beside the price."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from io import StringIO
from operator import attrgetter

from app.domain.candle import IST
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails

COLUMNS = ("timestamp", "symbol", "price")
DETAIL_COLUMNS = tuple(field.name for field in fields(QuoteDetails))
# 1 if the server that recorded the tick acted on it.
CONFIRMED = "confirmed"
# Corporate actions that the prices of its symbol follow from here on.
ACTIONS = "actions"
# A row that was cut off has fewer columns, because the last one is never empty.
HEADER = (*COLUMNS, *DETAIL_COLUMNS, ACTIONS, CONFIRMED)
_details = attrgetter(*DETAIL_COLUMNS)
_UNKNOWN = ("",) * len(DETAIL_COLUMNS)


def format_header() -> bytes:
    """Return the first line of a recording."""
    return f"{','.join(HEADER)}\n".encode()


def format_ticks(ticks: Iterable[tuple[datetime, Quote, str]]) -> bytes:
    """Return the rows of ticks, each with the time at which a replay shall have it.

    The third of each is the field of its corporate actions.
    """
    lines = StringIO(newline="")
    rows = csv.writer(lines, lineterminator="\n")
    # The writer leaves the field of a None empty.
    rows.writerows(
        (
            time.astimezone(IST).isoformat(),
            tick.symbol,
            f"{tick.price:f}",
            *(_UNKNOWN if tick.details is NO_DETAILS else _details(tick.details)),
            actions,
            1,
        )
        for time, tick, actions in ticks
    )
    return lines.getvalue().encode()
