"""A Redis server of the system's package, with a password and without persistence."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import redis

from tests.support.live import eventually
from tests.support.server import free_port

PASSWORD = "a-password-of-redis"


class RedisServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._port}/0"

    def start(self) -> RedisServer:
        """Start it on its port, and wait until it answers."""
        program = shutil.which("redis-server")
        assert program, "needs redis-server"
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--appendonly", "no", "--dir", str(self._folder)]
        options += ["--requirepass", PASSWORD]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        eventually(self._answers)
        return self

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False
