"""A Socket.IO client that keeps received events in the order they were sent."""

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
# A limit of python-engineio's client only: it aborts a poll with more packets.
Payload.max_decode_packets = 100_000


class _InOrder(engineio.Client):
    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        # By default each message gets its own thread, and their order is lost.
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        if self.ws is not None:
            # By default it waits 3 s for a close frame that its reading thread has already read.
            self.ws.close = partial(self.ws.close, timeout=0)
        super().disconnect(*args, **kwargs)

    def _reset(self) -> None:
        # The base class leaves the socket open if the server closes the WebSocket.
        if self.ws is not None:
            self.ws.shutdown()
        super()._reset()


class InOrderClient(socketio.Client):
    """A client that handles messages one after another, in the order they were sent."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return _InOrder


class Socket:
    """One connection; `next` waits for an event, `rest` returns those received."""

    def __init__(self) -> None:
        self._client = InOrderClient(reconnection=False, handle_sigint=False)
        self._received: dict[str, queue.Queue[Any]] = defaultdict(queue.Queue)
        for event in ("status", "live_price", "live_prices", "trade_update", "connect_error"):
            self._client.on(event, self._received[event].put)

    def connect(self, url: str, *, transport: str = "websocket", **options: Any) -> Socket:
        """Connect, or raise socketio.exceptions.ConnectionError."""
        self._client.connect(url, transports=[transport], wait_timeout=SECONDS, **options)
        return self

    def emit(self, event: str, payload: Any = None) -> None:
        """Send an event without waiting for an acknowledgement."""
        self._client.emit(event, payload)

    def call(self, event: str, payload: Any = None) -> Any:
        """Send an event and return its acknowledgement."""
        return self._client.call(event, payload, timeout=SECONDS)

    def next(self, event: str) -> Any:
        """Wait for the next event of this name; return its payload."""
        return self._received[event].get(timeout=SECONDS)

    def rest(self, event: str) -> list[Any]:
        """Return the events of this name sent so far and not returned yet."""
        # Events sent before this acknowledgement arrive before it.
        self.call("unsubscribe", {"symbols": []})
        received = self._received[event]
        return [received.get_nowait() for _ in range(received.qsize())]

    def updates_until(self, seq: int) -> list[dict[str, Any]]:
        """Return the trade updates up to `seq`, in the order received."""
        updates = [self.next("trade_update")]
        while updates[-1]["seq"] != seq:
            updates.append(self.next("trade_update"))
        return updates

    @property
    def is_connected(self) -> bool:
        return bool(self._client.connected)

    @property
    def id(self) -> str:
        """The socket id at the server."""
        return str(self._client.get_sid())

    @property
    def engine_id(self) -> str:
        """The session id at the server's Engine.IO."""
        return str(self._client.eio.sid)

    def close(self) -> None:
        self._client.disconnect()

    def break_off(self) -> None:
        """Break the connection without a close frame, as an unplugged cable does."""
        self._client.eio.ws.sock.shutdown(socket.SHUT_RDWR)
