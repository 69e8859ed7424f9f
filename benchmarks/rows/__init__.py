"""The rows of the table, by the name that picks one: `python -m benchmarks trigger`."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import Result
from benchmarks.rows import create, lists, memory, reads, settle, startup, trigger

Row = Callable[[], list[Result]]

ROWS: dict[str, Row] = {
    "create": create.measure,
    "reads": reads.measure,
    "trigger": trigger.measure,
    "settle": settle.measure,
    "lists": lists.measure,
    "memory": memory.measure,
    "startup": startup.measure,
}
