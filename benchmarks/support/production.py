"""Everything of a production system on this machine, as deploy/ puts it together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.support.usage import MEGABYTE
from tests.support.database import DatabaseServer
from tests.support.deployment import Deployment
from tests.support.nginx import Nginx
from tests.support.server import Process

# Limits are counted, as in production, and never reached.
LIMITS: dict[str, Any] = {
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_DEFAULT": "1000000 per hour",
    "RATELIMIT_READS": "1000000 per hour",
    "RATELIMIT_REGISTRATIONS": "1000000 per day",
    "RATELIMIT_SOCKETS": "1000000 per hour",
}


@dataclass(frozen=True, slots=True)
class Production:
    """The running parts."""

    database: DatabaseServer
    deployment: Deployment
    nginx: Nginx
    database_name: str = "paper_trading"

    @property
    def database_uri(self) -> str:
        return self.database.uri

    def memory(self) -> dict[str, float]:
        """Return the resident memory of each running part, in MB."""
        return {
            name: sum(each.memory_info().rss for each in _family(process)) / MEGABYTE
            for name, process in self._parts().items()
            if process and process.poll() is None
        }

    def _parts(self) -> dict[str, Process | None]:
        return {
            **{f"web{n}": web.process for n, web in enumerate(self.deployment.webs, 1)},
            **{f"worker{n}": each.process for n, each in enumerate(self.deployment.workers, 1)},
            "nginx": self.nginx.process,
            "database": self.database.process,
        }


def cpu_seconds(process: Process | None) -> float:
    """Return the CPU time that a process and those it has started have used so far, in s."""
    return sum(sum(each.cpu_times()[:2]) for each in _family(process)) if process else 0.0


def _family(process: Process) -> list[psutil.Process]:
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


@contextmanager
def production(folder: Path) -> Iterator[Production]:
    """Start everything in `folder`, and end it afterwards."""
    with ExitStack() as stops:
        database = DatabaseServer(folder / "database")
        stops.callback(database.kill)
        database.start()
        deployment = Deployment(
            folder / "processes",
            database.uri,
            TRUSTED_PROXIES=1,
            MARKET_DATA="simulated",
            MONITOR_INTERVAL_SECONDS=5,
            **LIMITS,
        )
        stops.callback(deployment.stop)
        deployment.start()
        (folder / "nginx").mkdir()
        nginx = Nginx(folder / "nginx", [web.port for web in deployment.webs])
        stops.callback(nginx.stop)
        yield Production(database, deployment, nginx.start())
