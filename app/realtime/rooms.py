"""The rooms of users: each socket of a user gets every event once and in order.

Events are committed in the order of their `seq`, but the threads that committed them may arrive
here in any order. So a room keeps the seq of its last event: an older event is a repetition, and
the events missing before a newer one are read from the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.domain.errors import ServerBusy
from app.extensions import socketio
from app.models import Inbox, Notification
from app.web.schemas import to_json

# Events per read from the database while sockets catch up.
REPLAY_PAGE = 200
# A socket at most this many events behind gets the rest while its room is locked: that is too few
# to delay other sockets, or to fill the queue of this one.
LAST_PAGE = 10


@dataclass(slots=True)
class _Room:
    name: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    sockets: set[str] = field(default_factory=set)
    # Sockets that are in the room or joining it: the room is deleted when there are none.
    users: int = 0
    last_seq: int | None = None


class UserRooms:
    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._lock = threading.Lock()
        # Called with a user_id when their first socket joins, and after their last one left.
        self.on_change: Callable[[str], None] = lambda _user_id: None

    @property
    def user_ids(self) -> list[str]:
        """The users of whom a socket is in a room."""
        return list(self._rooms)

    def has(self, user_id: str) -> bool:
        """Return whether a socket of the user is in a room, or is about to join it."""
        return user_id in self._rooms

    def join(
        self,
        user_id: str,
        socket: str,
        since: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> int:
        """Add a socket to the user's room; return the seq of the last event it has.

        With `since`, the socket first gets each event with a greater seq, as fast as it reads
        them. `check` is called before each of these, and ends the replay by raising.
        """
        if since is not None:
            since = _replay_older(user_id, socket, since, check)
        with self._opened(user_id) as room, room.lock:
            current = self._catch_up(user_id, room)
            if since is not None:
                _emit(_events(user_id, since, current), socket)
            if socket not in room.sockets:
                socketio.server.enter_room(socket, room.name)
                room.sockets.add(socket)
                room.users += 1
            return current

    def leave(self, user_id: str, socket: str) -> None:
        """Remove a socket from the user's room."""
        with self._opened(user_id) as room, room.lock:
            if socket in room.sockets:
                room.sockets.discard(socket)
                room.users -= 1
                socketio.server.leave_room(socket, room.name)

    def publish(self, _sender: object, events: Iterable[Notification]) -> None:
        """Emit committed events to the sockets of their users."""
        for event in events:
            room = self._rooms.get(event.user_id)
            if room is not None:
                with room.lock:
                    self._emit_in_order(room, event)

    def catch_up(self, user_id: str) -> None:
        """Emit the events in the database that the user's sockets do not have yet."""
        room = self._rooms.get(user_id)
        if room is not None:
            with room.lock:
                self._catch_up(user_id, room)

    def catch_up_all(self) -> None:
        """Emit to the sockets of every user the events they do not have yet."""
        for user_id, inbox in Inbox.find_many(self.user_ids).items():
            room = self._rooms.get(user_id)
            if room is not None and room.last_seq != inbox.event_seq:
                self.catch_up(user_id)

    @contextmanager
    def _opened(self, user_id: str) -> Iterator[_Room]:
        # Added before any seq is read, so that a later commit finds the room.
        with self._lock:
            room = self._rooms.get(user_id)
            if room is None:
                room = self._rooms[user_id] = _Room(name=f"user:{user_id}")
                self.on_change(user_id)
            room.users += 1
        try:
            yield room
        finally:
            with self._lock:
                room.users -= 1
                if not room.users:
                    del self._rooms[user_id]
                    self.on_change(user_id)

    def _emit_in_order(self, room: _Room, event: Notification) -> None:
        if room.last_seq is None or event.seq <= room.last_seq:
            return
        _emit_up_to(event.user_id, room, event.seq - 1)
        _emit([event], room.name)
        room.last_seq = event.seq

    def _catch_up(self, user_id: str, room: _Room) -> int:
        current = _current_seq(user_id)
        if room.last_seq is not None:
            _emit_up_to(user_id, room, current)
        room.last_seq = current
        return current


def _current_seq(user_id: str) -> int:
    inbox = Inbox.find(user_id)
    return inbox.event_seq if inbox else 0


def _emit_up_to(user_id: str, room: _Room, seq: int) -> None:
    """Emit to a room each event up to `seq` that it does not have yet."""
    while room.last_seq is not None and room.last_seq < seq:
        page_end = min(room.last_seq + REPLAY_PAGE, seq)
        for event in _events(user_id, room.last_seq, page_end):
            _emit([event], room.name)
            # Let the packet leave before the next one is queued.
            socketio.sleep(0)
        room.last_seq = page_end


def _replay_older(user_id: str, socket: str, since: int, check: Callable[[], None]) -> int:
    """Emit all events after `since` but the last few; return the seq reached.

    It runs outside the room's lock, so that a slow reader does not delay other sockets.
    """
    while True:
        current = _current_seq(user_id)
        page_end = min(since + REPLAY_PAGE, current)
        is_last = current - since <= LAST_PAGE
        for event in [] if is_last else _events(user_id, since, page_end):
            _wait_for_reader(socket, check)
            _emit([event], socket)
        if is_last:
            _wait_for_reader(socket, check)
            return since
        since = page_end


def _wait_for_reader(socket: str, check: Callable[[], None]) -> None:
    if not socketio.server.wait_until_read(socket):
        raise ServerBusy("This socket reads its missed events too slowly. Join again.")
    check()


def _events(user_id: str, after: int, up_to: int) -> list[Notification]:
    return Notification.find_after(user_id, after, up_to) if after < up_to else []


def _emit(events: Iterable[Notification], to: str) -> None:
    for event in events:
        payload = {"event": event.type, "data": to_json(event.data), "seq": event.seq}
        # Not through the message queue: each process has its own rooms.
        socketio.emit("trade_update", payload, to=to, ignore_queue=True)
