"""Clients that follow a user's events by Socket.IO, and rejoin after the server restarts."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

from socketio.exceptions import BadNamespaceError

from tests.support.sockets import InOrderClient

FOLLOW = Path(__file__).with_name("follow.cjs")
RETRY_SECONDS = 0.2


class Follower(Protocol):
    user_id: str

    def updates(self) -> list[dict[str, Any]]:
        """Return every trade_update received so far, in order."""

    def stop(self) -> None:
        """Disconnect."""


def await_seq(follower: Follower, seq: int, seconds: float = 30) -> list[dict[str, Any]]:
    """Wait until a follower received `seq`; return its updates up to that."""
    deadline = time.monotonic() + seconds
    while True:
        updates = follower.updates()
        if seq == 0 or any(update["seq"] == seq for update in updates):
            return [update for update in updates if update["seq"] <= seq]
        last = updates[-1]["seq"] if updates else 0
        assert time.monotonic() < deadline, f"{follower} is at {last} of {seq}"
        time.sleep(0.05)


class PythonFollower:
    def __init__(self, url: str, user_id: str, token: str, *, transport: str = "websocket") -> None:
        self.user_id = user_id
        self.joins = 0
        self._seen = 0
        self._updates: list[dict[str, Any]] = []
        self._client = InOrderClient(
            reconnection_delay=0.1, reconnection_delay_max=0.5, handle_sigint=False
        )
        self._client.on("connect", self._join)
        self._client.on("trade_update", self._take)
        self._client.connect(url, auth={"token": token}, transports=[transport])

    def updates(self) -> list[dict[str, Any]]:
        return list(self._updates)

    def stop(self) -> None:
        self._client.shutdown()

    def _join(self) -> None:
        request = {"user_id": self.user_id, "since": self._seen}
        self.joins += 1
        self._client.emit("join", request, callback=self._joined)

    def _joined(self, answer: dict[str, Any]) -> None:
        if not answer["ok"]:
            self._client.start_background_task(self._join_later)

    def _join_later(self) -> None:
        self._client.sleep(RETRY_SECONDS)
        try:
            self._join()
        except BadNamespaceError:
            # Disconnected in the meantime: it joins when it reconnects.
            return

    def _take(self, update: dict[str, Any]) -> None:
        self._seen = update["seq"]
        self._updates.append(update)


class NodeFollower:
    def __init__(self, url: str, user_id: str, token: str, output: Path) -> None:
        self.user_id = user_id
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                ["node", str(FOLLOW), url, user_id, token], stdout=file, stdin=subprocess.DEVNULL
            )

    def updates(self) -> list[dict[str, Any]]:
        lines = self._output.read_text().split("\n")
        # The text after the last newline is a line that is still being written.
        return [json.loads(line) for line in lines[:-1]]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
