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

CHANNEL = "paper_trading.events"
RECONNECT_SECONDS = 2


class Relay:
    def __init__(self, app: Flask, redis_url: str, rooms: UserRooms) -> None:
        self._app = app
        self._rooms = rooms
        self._redis = redis.Redis.from_url(redis_url, decode_responses=True)

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
            logger.warning("events could not be passed on: %s", error)

    def _listen(self) -> None:
        while True:
            try:
                # redis-py leaves this one method without types.
                with self._redis.pubsub() as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CHANNEL)
                    for message in channel.listen():
                        self._hear(message)
            except redis.RedisError as error:
                logger.warning("no word from other processes: %s", error)
            socketio.sleep(RECONNECT_SECONDS)

    def _hear(self, message: Mapping[str, Any]) -> None:
        try:
            with self._app.app_context():
                if message["type"] == "subscribe":
                    # From now on no word is missed; some may have been, while Redis was away.
                    self._rooms.catch_up_all()
                else:
                    self._rooms.catch_up(message["data"])
        except Exception:
            # One user's events must not end the listening for everyone else's.
            logger.exception("events that others wrote could not be shown: %s", message["data"])
