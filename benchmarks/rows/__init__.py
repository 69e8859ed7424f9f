"""The rows of the table, by the name that picks one: `python -m benchmarks trigger`."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import Result
from benchmarks.rows import (
    bounds,
    busy,
    create,
    deliveries,
    latency,
    lists,
    live_prices,
    memory,
    mixed,
    nautilus,
    quotes,
    reads,
    settle,
    socket_memory,
    startup,
    trailing,
    trigger,
)

Row = Callable[[], list[Result]]

ROWS: dict[str, Row] = {
    "create": create.measure,
    "reads": reads.measure,
    "trigger": trigger.measure,
    "bounds": bounds.measure,
    "trailing": trailing.measure,
    "nautilus": nautilus.measure,
    "quotes": quotes.measure,
    "settle": settle.measure,
    "deliveries": deliveries.measure,
    "live_prices": live_prices.measure,
    "latency": latency.measure,
    "mixed": mixed.measure,
    "busy": busy.measure,
    "lists": lists.measure,
    "memory": memory.measure,
    "socket_memory": socket_memory.measure,
    "startup": startup.measure,
}
