"""A Socket.IO client that keeps what it receives, in the order it was sent."""

from __future__ import annotations

import queue
import socket
from collections import defaultdict
from functools import partial
from typing import Any

import engineio
import socketio
from engineio.payload import Payload

SECONDS = 15
# Of python-engineio alone, which breaks off a poll that brings more packets than this.
Payload.max_decode_packets = 100_000


class _InOrder(engineio.Client):
    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        # Otherwise each message gets a thread of its own, and their order is lost.
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        if self.ws is not None:
            # Otherwise it waits 3 s for a goodbye that its own reading thread has taken.
            self.ws.close = partial(self.ws.close, timeout=0)
        super().disconnect(*args, **kwargs)

    def _reset(self) -> None:
        # It leaves the socket open if the server closes the WebSocket.
        if self.ws is not None:
            self.ws.shutdown()
        super()._reset()


class InOrderClient(socketio.Client):
    """A client that handles one message after the other, as they were sent."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return _InOrder


class Socket:
    """One connection; `next` waits for what comes, `rest` is all that has come."""

    def __init__(self) -> None:
        self._client = InOrderClient(reconnection=False, handle_sigint=False)
        self._received: dict[str, queue.Queue[Any]] = defaultdict(queue.Queue)
        for event in ("status", "live_price", "trade_update", "connect_error"):
            self._client.on(event, self._received[event].put)

    def connect(self, url: str, *, transport: str = "websocket", **options: Any) -> Socket:
        """Connect, or raise socketio.exceptions.ConnectionError."""
        self._client.connect(url, transports=[transport], wait_timeout=SECONDS, **options)
        return self

    def call(self, event: str, payload: Any = None) -> Any:
        """Send an event and return its acknowledgement."""
        return self._client.call(event, payload, timeout=SECONDS)

    def next(self, event: str) -> Any:
        """Return the next of these events, waiting for it."""
        return self._received[event].get(timeout=SECONDS)

    def rest(self, event: str) -> list[Any]:
        """Return the events that were sent so far and not looked at."""
        # What was sent before the answer to this is here when the answer is.
        self.call("unsubscribe", {"symbols": []})
        received = self._received[event]
        return [received.get_nowait() for _ in range(received.qsize())]

    def updates_until(self, seq: int) -> list[dict[str, Any]]:
        """Return the trade updates up to this one, in the order they came."""
        updates = [self.next("trade_update")]
        while updates[-1]["seq"] != seq:
            updates.append(self.next("trade_update"))
        return updates

    @property
    def is_connected(self) -> bool:
        return bool(self._client.connected)

    @property
    def id(self) -> str:
        """The id that the server knows it by."""
        return str(self._client.get_sid())

    @property
    def engine_id(self) -> str:
        """The id of its session, which the server's Engine.IO knows it by."""
        return str(self._client.eio.sid)

    def close(self) -> None:
        self._client.disconnect()

    def break_off(self) -> None:
        """Be gone without a goodbye, as when a cable is pulled."""
        self._client.eio.ws.sock.shutdown(socket.SHUT_RDWR)
