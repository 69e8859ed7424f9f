"""Log lines about what clients do: few, however often they do it."""

from __future__ import annotations

import time

from app.logs import logger

QUIET_SECONDS = 10.0

_last_line: dict[str, float] = {}
_unlogged: dict[str, int] = {}


def notice(event: str, address: str, level: str = "info") -> None:
    """Log `event` and the address that caused it, at most once in ten seconds for each event.

    The next line says how many were left out. `event` is one of our own texts.
    """
    now = time.monotonic()
    if now - _last_line.get(event, -QUIET_SECONDS) < QUIET_SECONDS:
        _unlogged[event] = _unlogged.get(event, 0) + 1
        return
    _last_line[event] = now
    count = _unlogged.pop(event, 0)
    more = f" ({count} more since the last such line)" if count else ""
    log = logger.warning if level == "warning" else logger.info
    log("%s: %s%s", event, address, more)
