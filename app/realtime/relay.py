"""Between processes: word that a user has new events, passed on through Redis.

Only the word is passed. Each process reads the events themselves from the database, in order
from the last it showed, so that no process depends on another's timing.
"""

from __future__ import annotations

from collections.abc import Iterable

import redis
from flask import Flask

from app.extensions import socketio
from app.logs import logger
from app.models import Notification
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

    def tell(self, events: Iterable[Notification]) -> None:
        """Pass on whose events these are."""
        try:
            for user_id in {event.user_id for event in events}:
                self._redis.publish(CHANNEL, user_id)
        except redis.RedisError as error:
            # Sockets of other processes catch up with the user's next event, or as they rejoin.
            logger.warning("events could not be passed on: %s", error)

    def _listen(self) -> None:
        while True:
            try:
                # redis-py leaves this one method without types.
                pubsub = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                with pubsub as channel:
                    channel.subscribe(CHANNEL)
                    for message in channel.listen():
                        self._hear(message["data"])
            except redis.RedisError as error:
                logger.warning("no word from other processes: %s", error)
            socketio.sleep(RECONNECT_SECONDS)

    def _hear(self, user_id: str) -> None:
        try:
            with self._app.app_context():
                self._rooms.catch_up(user_id)
        except Exception:
            # One user's events must not end the listening for everyone else's.
            logger.exception("events of %s could not be shown", user_id)
