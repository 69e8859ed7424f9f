"""The relay: tells other processes, through Redis, which users have new events.

It passes only the user_id. Each process reads the events from the database, in order from the
last one it emitted, so that no process depends on the timing of another. It also tells them which
sessions have ended; without it they find out half a second later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import redis
from flask import Flask

from app.extensions import socketio
from app.logs import logger
from app.models import Notification
from app.realtime.connections import Connections
from app.web.sessions import forget_session

KEY = "relay"
CHANNEL = "paper_trading.events"
ENDED_SESSIONS = "paper_trading.ended_sessions"
RECONNECT_SECONDS = 2


class Relay:
    def __init__(self, app: Flask, redis_url: str, connections: Connections) -> None:
        self._app = app
        self._connections = connections
        self._rooms = connections.rooms
        self._redis = redis.Redis.from_url(redis_url, decode_responses=True)
        # None until Redis has responded or failed.
        self._is_away: bool | None = None

    @property
    def is_away(self) -> bool:
        """Whether the last call to Redis failed."""
        return bool(self._is_away)

    def start(self) -> None:
        """Listen in the background until the process ends."""
        socketio.start_background_task(self._listen)

    def announce(self, _sender: object, events: Iterable[Notification]) -> None:
        """Tell other processes about committed events."""
        self.publish({event.user_id for event in events})

    def publish(self, user_ids: Iterable[str]) -> None:
        """Tell other processes that these users have new events."""
        self._send(CHANNEL, user_ids)

    def publish_ended(self, session_ids: Iterable[str]) -> None:
        """Tell other processes that these sessions have ended."""
        self._send(ENDED_SESSIONS, session_ids)

    def _send(self, channel: str, texts: Iterable[str]) -> None:
        try:
            for text in texts:
                self._redis.publish(channel, text)
        except redis.RedisError as error:
            # Other processes catch up when they reach Redis again.
            self._note_away(error)

    def _listen(self) -> None:
        while True:
            try:
                # redis-py has no types for this method.
                with self._redis.pubsub() as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CHANNEL, ENDED_SESSIONS)
                    for message in channel.listen():
                        self._receive(message)
            except redis.RedisError as error:
                self._note_away(error)
            socketio.sleep(RECONNECT_SECONDS)

    def _receive(self, message: Mapping[str, Any]) -> None:
        try:
            with self._app.app_context():
                if message["type"] == "subscribe":
                    if self._is_away:
                        logger.warning("Redis responds again")
                    self._is_away = False
                    # Messages may have been missed while Redis was away.
                    self._rooms.catch_up_all()
                elif message["channel"] == ENDED_SESSIONS:
                    forget_session(message["data"])
                    self._connections.disconnect_sessions([message["data"]])
                else:
                    self._rooms.catch_up(message["data"])
        except Exception:
            # An error with one user's events must not end the relay for all others.
            logger.exception("a message of another process failed: %s", message["data"])

    def _note_away(self, error: redis.RedisError) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "Redis does not respond: rate limits count in this process only, and other "
                "processes emit events late: %s",
                error,
            )
