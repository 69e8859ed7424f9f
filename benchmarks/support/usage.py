"""What a process takes of the machine, read from /proc: these rows are measured on Linux."""

from __future__ import annotations

import json
from pathlib import Path

MEGABYTE = 1_000_000


def memory(pid: int) -> float:
    """Return the resident memory of a process, in MB of a million bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kilobytes) * 1024 / MEGABYTE


def database_pid(data_dir: Path) -> int:
    """Return the process of the embedded database that a server runs in a data folder."""
    return int(json.loads((data_dir / "database.json").read_text())["database_pid"])
