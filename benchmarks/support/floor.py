"""A floor that serves: a bare server as a process of its own, as ours is one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.support.server import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 15.0


@contextmanager
def floor(module: str, *arguments: str, **environment: str) -> Iterator[tuple[int, int]]:
    """Run `python -m module PORT arguments` until the block ends; give its process id and port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(port), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
    )
    try:
        _wait_until_up(port)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


def _wait_until_up(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            # Whatever it answers, be it that there is nothing here.
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
