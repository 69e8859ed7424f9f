"""The relay: tells other processes, through Redis, which users have new events.

Each user has a channel, to which only the processes subscribe that have sockets of the user. The
message has no content: each process reads the events from the database, in order from the
last one it emitted, so that no process depends on the timing of another. It also tells them which
sessions have ended; without it they find out half a second later. And it brings them the prices of
a pass for their sockets that get `live_prices`; those of `live_price` come with the message queue
of Socket.IO.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from queue import Queue
from typing import Any

import redis
from flask import Flask

from app.database.batches import batched
from app.extensions import socketio
from app.logs import logger
from app.models import Notification
from app.realtime.batches import send_batches
from app.realtime.connections import Connections
from app.web.sessions import forget_session

KEY = "relay"
USER_CHANNEL = "paper_trading.events:"
ENDED_SESSIONS = "paper_trading.ended_sessions"
# A message is the id of the process that made the pass, a space, and the encoded prices as JSON.
PRICES = "paper_trading.prices"
RECONNECT_SECONDS = 2
# Channels in one command, after an outage of Redis.
SUBSCRIBE_BATCH = 1_000


class Relay:
    def __init__(self, app: Flask, redis_url: str, connections: Connections) -> None:
        self._app = app
        self._connections = connections
        self._rooms = connections.rooms
        self._redis = redis.Redis.from_url(redis_url, decode_responses=True)
        # None until Redis has responded or failed.
        self._is_away: bool | None = None
        # None while Redis is away.
        self._channels: Any = None
        self._subscribed: set[str] = set()
        self._lock = threading.Lock()
        # Whether every room has its channel, so that a further subscription is that of a new room.
        self._has_begun = False
        self._changed: Queue[str] = Queue()
        self._process = uuid.uuid4().hex
        self._prices: Queue[str] = Queue()
        self._rooms.on_change = self._changed.put

    @property
    def is_away(self) -> bool:
        """Whether the last call to Redis failed."""
        return bool(self._is_away)

    def start(self) -> None:
        """Listen in the background until the process ends."""
        socketio.start_background_task(self._listen)
        socketio.start_background_task(self._follow_rooms)
        socketio.start_background_task(self._deliver_prices)

    def announce(self, _sender: object, events: Iterable[Notification]) -> None:
        """Tell other processes about committed events."""
        self.publish({event.user_id for event in events})

    def publish(self, user_ids: Iterable[str]) -> None:
        """Tell other processes that these users have new events."""
        self._send((_channel(user_id), "") for user_id in user_ids)

    def publish_ended(self, session_ids: Iterable[str]) -> None:
        """Tell other processes that these sessions have ended."""
        self._send((ENDED_SESSIONS, session_id) for session_id in session_ids)

    def publish_prices(self, prices: Mapping[str, str]) -> None:
        """Bring other processes the encoded prices of a pass."""
        self._send([(PRICES, f"{self._process} {json.dumps(prices)}")])

    def _send(self, messages: Iterable[tuple[str, str]]) -> None:
        try:
            for channel, text in messages:
                self._redis.publish(channel, text)
        except redis.RedisError as error:
            # Other processes catch up when they reach Redis again.
            self._note_away(error)

    def _listen(self) -> None:
        while True:
            try:
                # redis-py has no types for this method.
                with self._redis.pubsub() as channels:  # type: ignore[no-untyped-call]
                    self._receive_all(channels)
            except redis.RedisError as error:
                self._note_away(error)
            socketio.sleep(RECONNECT_SECONDS)

    def _receive_all(self, channels: Any) -> None:
        try:
            self._begin(channels)
            for message in channels.listen():
                self._receive(message)
        finally:
            with self._lock:
                self._channels = None

    def _begin(self, channels: Any) -> None:
        """Subscribe to the channels of all rooms, and to that of ended sessions as the last."""
        with self._lock:
            self._has_begun = False
            self._channels = channels
            users = self._rooms.user_ids
            self._subscribed = set(users)
            for names in batched([_channel(user_id) for user_id in users], SUBSCRIBE_BATCH):
                channels.subscribe(*names)
            channels.subscribe(PRICES, ENDED_SESSIONS)

    def _follow_rooms(self) -> None:
        """Subscribe to the channel of each new room, and unsubscribe from those of closed ones.

        One after the other: a room that closes and opens again at once ends with its channel.
        """
        while True:
            user_id = self._changed.get()
            try:
                with self._lock:
                    self._follow(user_id)
            except redis.RedisError as error:
                # `_listen` fails as well, and then begins again with the rooms of that time.
                self._note_away(error)
            except Exception:
                # The rooms of other users need their channels all the same.
                logger.exception("the channel of a room could not be changed")

    def _follow(self, user_id: str) -> None:
        is_open, is_subscribed = self._rooms.has(user_id), user_id in self._subscribed
        if self._channels is None or is_open == is_subscribed:
            return
        if is_open:
            self._subscribed.add(user_id)
            self._channels.subscribe(_channel(user_id))
        else:
            self._subscribed.discard(user_id)
            self._channels.unsubscribe(_channel(user_id))

    def _receive(self, message: Mapping[str, Any]) -> None:
        try:
            with self._app.app_context():
                self._handle(message["type"], message["channel"], message["data"])
        except Exception:
            # An error with one user's events must not end the relay for all others.
            logger.exception("a message of another process failed: %s", message["channel"])

    def _handle(self, kind: str, channel: str, text: str) -> None:
        if channel == PRICES:
            if kind == "message":
                self._prices.put(text)
        elif channel != ENDED_SESSIONS:
            # A new room has read its events before its channel was there.
            if kind == "message" or (kind == "subscribe" and self._has_begun):
                self._rooms.catch_up(channel.removeprefix(USER_CHANNEL))
        elif kind == "message":
            forget_session(text)
            self._connections.disconnect_sessions([text])
        elif kind == "subscribe":
            if self._is_away:
                logger.warning("Redis responds again")
            self._is_away = False
            self._has_begun = True
            # Messages may have been missed while Redis was away.
            self._rooms.catch_up_all()

    def _deliver_prices(self) -> None:
        """Send the prices of other processes, beside the events: sockets are many.

        If passes come faster than they can be sent, the last price of each symbol is.
        """
        while True:
            prices = self._decoded(self._prices.get())
            while not self._prices.empty():
                prices |= self._decoded(self._prices.get())
            try:
                send_batches(self._connections, prices)
            except Exception:
                logger.exception("the prices of another process could not be sent")

    def _decoded(self, text: str) -> dict[str, str]:
        process, _, prices = text.partition(" ")
        is_needed = process != self._process and self._connections.batched()
        return json.loads(prices) if is_needed else {}

    def _note_away(self, error: redis.RedisError) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "Redis does not respond: rate limits count in this process only, and other "
                "processes emit events late: %s",
                error,
            )


def _channel(user_id: str) -> str:
    return USER_CHANNEL + user_id
