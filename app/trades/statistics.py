"""The statistics of a portfolio, from a pass over its trades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from app.concurrency import run_blocking
from app.domain.statistics import Realized, Statistics, day_of, summarize
from app.models import Portfolio, Season
from app.models.trade_results import find_results
from app.portfolio.flows import find_flows
from app.services import now, services

ONE_DAY = timedelta(days=1)


def compute_statistics(portfolio: Portfolio, season: Season) -> Statistics:
    """Return the statistics of a season of a portfolio, of the current one until now.

    The trades are read in batches, between which other requests run, and the sums are made in a
    thread.
    """
    exits: list[Realized] = []
    closed: list[Realized] = []
    numbers = season.first_number, season.last_number
    for batch in find_results(portfolio.user_id, portfolio.id, *numbers):
        for result in batch:
            exits += result.exits
            if result.closed:
                closed.append(result.closed)
    days = list(_trading_days(exits, season.ended_at or now()))
    flows = find_flows(portfolio, season)
    return run_blocking(
        summarize, closed, exits, initial=season.initial_margin, flows=flows, days=days
    )


def _trading_days(exits: Sequence[Realized], until: datetime) -> Iterator[date]:
    """Yield the exchanges' days from the first exit to `until`."""
    day = day_of(min((exit.time for exit in exits), default=until))
    while day <= day_of(until):
        if services().calendar.session_on(day):
            yield day
        day += ONE_DAY
