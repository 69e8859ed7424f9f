"""File descriptors: the limit is raised as far as possible, and some are reserved."""

from __future__ import annotations

import sys

from app.logs import logger

if sys.platform != "win32":
    import resource

MAX_DEFAULT_CONNECTIONS = 10_000
# For the database's pool, log files, Redis and upstreams.
RESERVED_DESCRIPTORS = 192
# Used if the limit is infinite.
MAX_USEFUL_DESCRIPTORS = 65_536


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; return the limit."""
    if sys.platform == "win32":  # pragma: no cover - Windows has no such limit
        return MAX_USEFUL_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_USEFUL_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:  # pragma: no cover - macOS caps it lower
            logger.warning("the limit of %s open files cannot be raised: %s", soft, error)
            wanted = soft
        else:
            logger.info("raised the limit of open files from %s to %s", soft, wanted)
    return min(wanted, MAX_USEFUL_DESCRIPTORS) if wanted > 0 else MAX_USEFUL_DESCRIPTORS


def connections_for(descriptors: int) -> int:
    """Return how many connections a limit of open files leaves room for."""
    reserved = min(RESERVED_DESCRIPTORS, descriptors // 2)
    return min(descriptors - reserved, MAX_DEFAULT_CONNECTIONS)
