"""Between processes: word that a user has new events, passed on through Redis.

Only the word is passed. Each process reads the events themselves from the database, in order
from the last it showed, so that no process depends on another's timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import redis
from flask import Flask

from app.extensions import socketio
from app.logs import logger
from app.realtime.rooms import UserRooms

KEY = "relay"
CHANNEL = "paper_trading.events"
RECONNECT_SECONDS = 2


class Relay:
    def __init__(self, app: Flask, redis_url: str, rooms: UserRooms) -> None:
        self._app = app
        self._rooms = rooms
        self._redis = redis.Redis.from_url(redis_url, decode_responses=True)
        # None until Redis has answered, or has not.
        self._is_away: bool | None = None

    @property
    def is_away(self) -> bool:
        """Whether Redis could not be reached when it was last needed."""
        return bool(self._is_away)

    def start(self) -> None:
        """Listen in the background for the rest of the process."""
        socketio.start_background_task(self._listen)

    def tell(self, user_ids: Iterable[str]) -> None:
        """Pass on that these users have new events."""
        try:
            for user_id in user_ids:
                self._redis.publish(CHANNEL, user_id)
        except redis.RedisError as error:
            # Other processes catch up when they are in touch with Redis again.
            self._note_away(error)

    def _listen(self) -> None:
        while True:
            try:
                # redis-py leaves this one method without types.
                with self._redis.pubsub() as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CHANNEL)
                    for message in channel.listen():
                        self._hear(message)
            except redis.RedisError as error:
                self._note_away(error)
            socketio.sleep(RECONNECT_SECONDS)

    def _hear(self, message: Mapping[str, Any]) -> None:
        try:
            with self._app.app_context():
                if message["type"] == "subscribe":
                    self._note_back()
                    # From now on no word is missed; some may have been, while Redis was away.
                    self._rooms.catch_up_all()
                else:
                    self._rooms.catch_up(message["data"])
        except Exception:
            # One user's events must not end the listening for everyone else's.
            logger.exception("events that others wrote could not be shown: %s", message["data"])

    def _note_away(self, error: redis.RedisError) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "Redis does not answer: rate limits count in this process alone, and other "
                "processes show events late: %s",
                error,
            )

    def _note_back(self) -> None:
        if self._is_away:
            logger.warning("Redis answers again")
        self._is_away = False
