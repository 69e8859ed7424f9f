"""The sockets of this process: their users, their rooms and the symbols they follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import Flask
from pymongo.errors import PyMongoError

from app.domain.errors import InvalidRequest, ServerBusy, Unauthenticated
from app.extensions import socketio
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.market_data.polled_symbols import MAX_FOLLOWED
from app.models import Session
from app.realtime.rooms import UserRooms
from app.services import application, now, services
from app.web.auth import token_expired
from app.web.principal import Principal
from app.web.sessions import session_ended

MAX_SYMBOLS = 100
MAX_SYMBOLS_ANONYMOUS = 20
CHECK_SECONDS = 0.5
# How long stopping waits for a check, whose only read takes this long at most.
STOP_SECONDS = 5
# The time that a session ended at may be found this late: the commit of a transaction takes time,
# and the clocks of two servers differ.
COMMIT_DELAY = timedelta(seconds=60)


def price_room(symbol: str) -> str:
    """Return the room of the sockets that get the `live_price` of a symbol."""
    return f"price:{symbol}"


@dataclass(slots=True)
class Connection:
    """One socket."""

    principal: Principal | None
    # By user_id of the rooms it is in: when the token expires, in Unix seconds.
    joined: dict[str, float] = field(default_factory=dict)
    # Never changed in place: batches of one pass are made once for each set of symbols.
    symbols: frozenset[str] = frozenset()
    # Whether it gets its prices of a pass in one `live_prices`, and no `live_price`.
    is_batched: bool = False
    # The sessions of the tokens that it has used. It stays connected until one of them ends.
    sessions: set[str] = field(default_factory=set)

    @property
    def is_anonymous(self) -> bool:
        """Whether the socket has sent no token yet."""
        return self.principal is None

    @property
    def is_limited(self) -> bool:
        """Whether the socket leaves its rooms at a time, or may be disconnected."""
        return bool(self.joined or self.sessions)

    @property
    def price_rooms(self) -> frozenset[str]:
        """The rooms of `live_price` that it belongs in: those of the default indices as well."""
        if self.is_batched:
            return frozenset()
        return frozenset(map(price_room, self.symbols.union(DEFAULT_INDICES)))


class Connections:
    """The connected sockets.

    The server handles one packet of a socket at a time, and its disconnect after the last of
    them, so nothing is added to a socket that has been removed.
    """

    def __init__(self, rooms: UserRooms, *, max_followed: int = MAX_FOLLOWED) -> None:
        """Let all sockets together follow `max_followed` symbols.

        A socket without a token may only fill half of it.
        """
        self.rooms = rooms
        self.max_followed = max_followed
        self._by_socket: dict[str, Connection] = {}
        self._lock = threading.Lock()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._stopping = threading.Event()

    @property
    def count(self) -> int:
        return len(self._by_socket)

    @property
    def is_checking(self) -> bool:
        """Whether tokens and sessions of the sockets are looked at in the background."""
        return not self._is_idle.is_set()

    def stop(self) -> None:
        """End the checks for good: the application ends, and with it its database."""
        with self._lock:
            self._stopping.set()
        self._is_idle.wait(STOP_SECONDS)

    def add(self, socket: str, principal: Principal | None) -> Connection:
        """Add a socket that has connected."""
        self._by_socket[socket] = connection = Connection(principal)
        if principal is not None:
            self._watch_session(connection, principal)
        return connection

    def get(self, socket: str) -> Connection:
        """Return the connection of a socket."""
        return self._by_socket[socket]

    def remove(self, socket: str) -> None:
        """Remove a socket that has disconnected from its rooms, and unfollow its symbols."""
        connection = self._by_socket.pop(socket, None)
        if connection is None:
            return
        for user_id in list(connection.joined):
            self.rooms.leave(user_id, socket)
        for symbol in connection.symbols:
            services().polled_symbols.unfollow(symbol)

    def join(self, socket: str, principal: Principal, since: int | None) -> int:
        """Add a socket to the room of its user until the token expires; return the room's seq."""
        connection = self.get(socket)
        user_id, expires_at = principal.user_id, principal.expires_at
        known = connection.principal
        if known is None or (known.user_id == user_id and known.expires_at < expires_at):
            connection.principal = principal
        connection.joined[user_id] = max(expires_at, connection.joined.get(user_id, 0))
        self._watch_session(connection, principal)

        def check() -> None:
            if user_id not in connection.joined:
                raise token_expired()

        seq = self.rooms.join(user_id, socket, since, check)
        try:
            check()
        except Exception:
            self.rooms.leave(user_id, socket)
            raise
        return seq

    def leave(self, socket: str, user_id: str) -> None:
        """Remove a socket from the room of a user."""
        self.get(socket).joined.pop(user_id, None)
        self.rooms.leave(user_id, socket)

    def follow(self, socket: str, symbols: Sequence[str]) -> list[str]:
        """Follow symbols for a socket; return those it did not follow yet.

        Raises InvalidRequest or ServerBusy, and follows none, if there would be too many.
        """
        connection = self.get(socket)
        new = [symbol for symbol in symbols if symbol not in connection.symbols]
        limit = MAX_SYMBOLS_ANONYMOUS if connection.is_anonymous else MAX_SYMBOLS
        count = len(connection.symbols)
        if count + len(new) > limit:
            who = "A socket without a token" if connection.is_anonymous else "A socket"
            raise InvalidRequest(
                f"{who} follows {limit} symbols at most. This one follows {count}, "
                f"and {len(new)} more were requested.",
                code="too_many_symbols",
            )
        budget = self.max_followed // 2 if connection.is_anonymous else self.max_followed
        if not services().polled_symbols.try_follow(new, budget):
            raise ServerBusy(
                f"The sockets of this server follow {budget} symbols at most in all. "
                "Try again later, or subscribe to fewer."
            )
        connection.symbols = connection.symbols.union(new)
        return new

    def unfollow(self, socket: str, symbols: Sequence[str]) -> list[str]:
        """Unfollow symbols for a socket; return those it followed."""
        connection = self.get(socket)
        followed = [symbol for symbol in symbols if symbol in connection.symbols]
        connection.symbols = connection.symbols.difference(followed)
        for symbol in followed:
            services().polled_symbols.unfollow(symbol)
        return followed

    def batched(self) -> list[tuple[str, Connection]]:
        """Return the sockets that get `live_prices`."""
        return [each for each in list(self._by_socket.items()) if each[1].is_batched]

    def disconnect_sessions(self, session_ids: Collection[str]) -> None:
        """Disconnect the sockets that used a token of a session that has ended."""
        ended = frozenset(session_ids)
        for socket, connection in list(self._by_socket.items()):
            if used := ended & connection.sessions:
                error = session_ended(next(iter(used)))
                self._expel(socket, connection, list(connection.joined), error)
                # It waits for the event that the socket is handling.
                socketio.start_background_task(socketio.server.expel, socket)

    def _watch_session(self, connection: Connection, principal: Principal) -> None:
        if principal.session_id is not None:
            connection.sessions.add(principal.session_id)
        with self._lock:
            if self.is_checking or self._stopping.is_set():
                return
            self._is_idle.clear()
        socketio.start_background_task(self._check_regularly, application())

    def _check_regularly(self, app: Flask) -> None:
        with app.app_context():
            looked_at = now()
            while not self._stopping.wait(CHECK_SECONDS):
                with self._lock:
                    if not any(each.is_limited for each in list(self._by_socket.values())):
                        self._is_idle.set()
                        return
                try:
                    self._leave_expired(time.time())
                    looked_at = self._disconnect_ended(looked_at)
                except PyMongoError:
                    # The next look covers this time as well.
                    continue
                except Exception:
                    logger.exception("expired tokens and ended sessions could not be checked")
        self._is_idle.set()

    def _leave_expired(self, now: float) -> None:
        for socket, connection in list(self._by_socket.items()):
            joined = list(connection.joined.items())
            if expired := [user_id for user_id, expires_at in joined if expires_at <= now]:
                self._expel(socket, connection, expired, token_expired())

    def _disconnect_ended(self, since: datetime) -> datetime:
        """Disconnect the sockets of sessions that any process ended; return the time of this."""
        looked_at = now()
        self.disconnect_sessions(Session.find_ended(since - COMMIT_DELAY))
        return looked_at

    def _expel(
        self,
        socket: str,
        connection: Connection,
        user_ids: Iterable[str],
        error: Unauthenticated,
    ) -> None:
        """Remove a socket from the rooms of these users, and send it the reason."""
        for user_id in user_ids:
            # This also ends a replay that is still running.
            connection.joined.pop(user_id, None)
            self.rooms.leave(user_id, socket)
        message = f"{error.message} Then join with the new token and the last seq you have seen."
        status = {"msg": message, "code": error.code}
        socketio.emit("status", status, to=socket, ignore_queue=True)
