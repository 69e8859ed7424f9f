"""What processes that share one system need: web processes and workers.

Imported by gunicorn before anything else, so it imports nothing that loads slowly.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.configuration.environment import ConfigurationError

if TYPE_CHECKING:
    from config import Settings

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5000
MAX_PORT = 65_535


def require_shared(settings: Settings) -> None:
    """Raise ConfigurationError unless the settings name what all processes share."""
    offences = []
    if settings.uses_embedded_database:
        offences.append(
            "MONGO_URI: must be set, because web processes and workers share the database; "
            "the embedded one belongs to `python run.py`"
        )
    if settings.redis_url is None:
        offences.append(
            "REDIS_URL: must be set, because web processes and workers pass on events and prices "
            "through Redis"
        )
    if offences:
        raise ConfigurationError(offences)


def web_addresses(environ: Mapping[str, str]) -> list[str]:
    """Return HOST and a port for each of WEB_CONCURRENCY processes, from PORT upwards.

    By default there is a process for each core. Raises ConfigurationError.
    """
    host = environ.get("HOST", "").strip().strip("[]") or DEFAULT_HOST
    port = _whole_number(environ, "PORT", DEFAULT_PORT)
    count = _whole_number(environ, "WEB_CONCURRENCY", _cores())
    last = port + count - 1
    if last > MAX_PORT:
        raise ConfigurationError(
            [f"WEB_CONCURRENCY: the ports of {count} processes, from PORT on, would end at {last}"]
        )
    shown = f"[{host}]" if ":" in host else host
    return [f"{shown}:{number}" for number in range(port, last + 1)]


def _whole_number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "").strip() or str(default)
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_PORT:
        raise ConfigurationError([f"{name}: must be a number from 1 to {MAX_PORT}"])
    return int(value)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
