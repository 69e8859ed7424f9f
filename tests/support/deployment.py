"""Web processes and workers on one database and one Redis, started as an operator starts them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.redis_server import RedisServer
from tests.support.server import ROOT, ServerProcess

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "deploy" / "gunicorn.conf.py")]
WORKER = [sys.executable, "-m", "flask", "--app", str(ROOT / "run"), "worker"]
WORKER_STARTED = "worker: monitor and outbox are running"


class WebProcess(ServerProcess):
    """gunicorn with one web process."""

    def __init__(self, folder: Path, **environment: Any) -> None:
        super().__init__(folder, command=GUNICORN, WEB_CONCURRENCY=1, **environment)


class WorkerProcess(ServerProcess):
    """A worker: it has no port."""

    def __init__(self, folder: Path, **environment: Any) -> None:
        super().__init__(folder, command=WORKER, **environment)

    def is_ready(self) -> bool:
        """Return whether monitor and outbox run."""
        started = self.output().count(WORKER_STARTED)
        return started > self._former_starts

    def spawn(self) -> Any:
        self._former_starts = self.output().count(WORKER_STARTED) if self.log.exists() else 0
        return super().spawn()


class Deployment:
    """The processes of one system, each with its own folder and log.

    `database_uri` names an empty database of a server that outlives the deployment.
    """

    def __init__(
        self,
        folder: Path,
        database_uri: str,
        *,
        webs: int = 2,
        workers: int = 2,
        **environment: Any,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.redis = RedisServer(folder)
        shared = {
            "MONGO_URI": database_uri,
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": "a-secret-of-all-processes-" + "3b" * 16,
            "JWT_SECRET_KEY": "a-secret-of-all-tokens-" + "5e" * 16,
            **environment,
        }
        self.webs = [WebProcess(folder / f"web{n}", **shared) for n in range(1, webs + 1)]
        self.workers = [
            WorkerProcess(folder / f"worker{n}", **shared) for n in range(1, workers + 1)
        ]

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """All processes but Redis."""
        return [*self.workers, *self.webs]

    def start(self) -> Deployment:
        """Start everything at once, and wait until it is ready."""
        self.redis.start()
        for process in self.processes:
            process.spawn()
        for process in self.processes:
            process.wait_until_ready()
        return self

    def stop(self) -> None:
        """End everything."""
        running = [each for each in self.processes if each.process and each.process.poll() is None]
        for process in running:
            assert process.process is not None
            process.process.send_signal(signal.SIGTERM)
        for process in running:
            process.stop(signal.SIGTERM, timeout=30)
        self.redis.kill()
