"""Which processes of this host are dead, so that their leases need not expire.

Only Linux tells. Elsewhere, and for processes of other hosts and containers, nothing is known.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

PROC = Path("/proc")
# The time at which a process started, in clock ticks since the boot, among the fields after its
# state: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
START_FIELD = 18


def describe_process() -> dict[str, Any] | None:
    """Return what identifies this process for the others of its host, None if nothing does."""
    pid = os.getpid()
    started = _started(pid)
    host = _host()
    return {"host": host, "pid": pid, "started": started} if host and started else None


def is_dead(process: dict[str, Any] | None) -> bool:
    """Return whether a process is known to have ended; False if it runs on another host."""
    if process is None or process["host"] != _host():
        return False
    # Another process may have its number by now.
    started: int = process["started"]
    return _started(process["pid"]) != started


def _host() -> str | None:
    """Return what names this boot of this host, and the namespace of its process numbers."""
    with suppress(OSError):
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        # A container has numbers of its own.
        namespace = (PROC / "self/ns/pid").readlink()
        return f"{socket.gethostname()} {boot} {namespace}"
    return None


def _started(pid: int) -> int | None:
    with suppress(OSError):
        # The name of the program is in parentheses, and may contain any character.
        _, _, rest = (PROC / str(pid) / "stat").read_text().rpartition(")")
        state, *fields = rest.split()
        # A zombie has ended, and its parent has not noticed yet.
        return None if state in "ZX" else int(fields[START_FIELD])
    return None
