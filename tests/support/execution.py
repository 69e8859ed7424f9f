"""Execute what ticks and gaps trigger, as the monitor does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from app.alerts.execution import find_crossed, find_missed_alerts, fire_alerts
from app.database.batches import BatchResult, Owned
from app.domain.quote import Quote
from app.domain.triggers import CandlesAfter
from app.models import AlertTrigger
from app.trades.execution import apply_transitions
from app.trades.triggers import find_triggered

T = TypeVar("T", bound=Owned)


def close_triggered(ticks: Sequence[Quote]) -> int:
    """Close the trades that ticks trigger; return their number."""
    return count_written(apply_transitions(find_triggered(ticks)))


def fire_crossed(ticks: Sequence[Quote]) -> int:
    """Fire the alerts whose level ticks cross; return their number."""
    return count_written(fire_alerts(find_crossed(ticks)))


def fire_missed(symbols: Iterable[str], candles_after: CandlesAfter, since: datetime) -> int:
    """Fire the alerts whose level candles crossed; return their number."""
    return count_written(fire_alerts(find_missed_alerts(symbols, candles_after, since)))


def fire(triggers: Sequence[AlertTrigger]) -> int:
    """Fire alerts; return their number."""
    return count_written(fire_alerts(triggers))


def count_written(results: Iterator[BatchResult[T]]) -> int:
    """Return the number of items written; after the last batch, raise the first outage."""
    done = list(results)
    for result in done:
        if result.outage:
            raise result.outage
    return sum(len(result.written) for result in done)
