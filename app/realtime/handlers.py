"""What clients may ask over a socket, and what they are told."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, cast

from flask import current_app, request
from flask_socketio import ConnectionRefusedError, emit, join_room, leave_room
from pymongo.errors import PyMongoError

from app.domain.contact import is_same_identity
from app.domain.errors import (
    DatabaseUnavailable,
    Forbidden,
    InvalidRequest,
    PaperTradingError,
    Unauthenticated,
)
from app.extensions import socketio
from app.identity import bearer_token, client_id_of
from app.logs import logger
from app.market_data.instruments import DEFAULT_INDICES
from app.realtime.prices import price_payload, price_room
from app.realtime.rooms import UserRooms
from app.runtime import runtime

KEY = "socket_connections"
MOST_SYMBOLS = 500

Ack = dict[str, Any]


@dataclass(slots=True)
class _Connection:
    client_id: str | None
    joined: set[str] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)


class Connections:
    """The sockets of this process: whose they are and what they follow."""

    def __init__(self, rooms: UserRooms) -> None:
        self.rooms = rooms
        self._by_socket: dict[str, _Connection] = {}

    def add(self, socket: str, client_id: str | None) -> None:
        self._by_socket[socket] = _Connection(client_id)

    def get(self, socket: str) -> _Connection:
        # One whose goodbye was faster than its last request is nobody's any more.
        return self._by_socket.get(socket) or _Connection(None)

    def remove(self, socket: str) -> None:
        """Forget a socket that is gone, and all that it followed."""
        connection = self._by_socket.pop(socket, None)
        if connection is None:
            return
        for user_id in connection.joined:
            self.rooms.leave(user_id, socket)
        for symbol in connection.symbols:
            runtime().watchlist.unfollow(symbol)


def _connections() -> Connections:
    return cast(Connections, current_app.extensions[KEY])


def _socket() -> str:
    # Flask-SocketIO adds it to the request, unknown to mypy.
    return str(request.sid)  # type: ignore[attr-defined]


def acknowledged(handler: Callable[[Any], Ack]) -> Callable[..., Ack]:
    """Answer what `handler` returns, or in the same shape what was wrong."""

    @functools.wraps(handler)
    def answer(payload: Any = None, *_: Any) -> Ack:
        # The next message may be there already: without this its sender would be served alone.
        socketio.sleep(0)
        try:
            if payload is not None and not isinstance(payload, dict):
                raise InvalidRequest("Send an object.")
            return {"ok": True, **handler(payload or {})}
        except PaperTradingError as error:
            code = "unauthorized" if isinstance(error, Unauthenticated) else error.code
            return {"ok": False, "error": error.message, "code": code}
        except PyMongoError as error:
            logger.warning("database unavailable: %s", type(error).__name__)
            return {
                "ok": False,
                "error": "The database cannot be reached right now. Try again shortly.",
                "code": DatabaseUnavailable.code,
            }
        except Exception:
            # It is nobody's but ours, and must not cost the client its connection.
            logger.exception("unexpected error in %s", handler.__name__)
            return {
                "ok": False,
                "error": "Something went wrong on our side. Try again.",
                "code": "internal_error",
            }

    return answer


@socketio.on("connect")
def connect(auth: Any = None) -> None:
    """Let in anyone with a good token, or with none; tell them the indices' prices."""
    try:
        token = _token(auth)
        client_id = client_id_of(token) if token is not None else None
    except Unauthenticated:
        raise ConnectionRefusedError("unauthorized") from None
    _connections().add(_socket(), client_id)
    emit("status", {"msg": f"Connected as {client_id}" if client_id else "Connected"})
    _send_prices(DEFAULT_INDICES)


@socketio.on("disconnect")
def disconnect(*_reason: Any) -> None:
    """Forget the socket."""
    _connections().remove(_socket())


@socketio.on("join")
@acknowledged
def join(payload: dict[str, Any]) -> Ack:
    """Add the socket to the room of its own user, after telling it what it missed."""
    connection = _connections().get(_socket())
    user_id = _text(payload, "user_id")
    token = payload.get("token")
    client_id = client_id_of(str(token)) if token is not None else connection.client_id
    if client_id is None:
        raise Unauthenticated("Connect or join with a token.")
    if not is_same_identity(client_id, user_id):
        raise Forbidden("A token joins the room of its own user only.")
    user_id = client_id
    since = payload.get("since")
    if since is not None and (isinstance(since, bool) or not isinstance(since, int) or since < 0):
        raise InvalidRequest("since must be a whole number from 0, the last seq you have seen.")
    connection.joined.add(user_id)
    seq = _connections().rooms.join(user_id, _socket(), since)
    emit("status", {"msg": f"Joined the room of {user_id}"})
    return {"user_id": user_id, "seq": seq}


@socketio.on("leave")
@acknowledged
def leave(payload: dict[str, Any]) -> Ack:
    """Take the socket out of a user's room."""
    named = _text(payload, "user_id")
    joined = _connections().get(_socket()).joined
    for user_id in [each for each in joined if is_same_identity(each, named)]:
        joined.discard(user_id)
        _connections().rooms.leave(user_id, _socket())
    return {"user_id": named}


@socketio.on("subscribe")
@acknowledged
def subscribe(payload: dict[str, Any]) -> Ack:
    """Send the prices of these symbols from now on, beginning with the latest."""
    connection = _connections().get(_socket())
    symbols, unknown = _symbols(payload)
    for symbol in symbols:
        if symbol not in connection.symbols:
            connection.symbols.add(symbol)
            runtime().watchlist.follow(symbol)
            join_room(price_room(symbol))
    _send_prices(symbols)
    return {"symbols": symbols, "unknown": unknown}


@socketio.on("unsubscribe")
@acknowledged
def unsubscribe(payload: dict[str, Any]) -> Ack:
    """Send the prices of these symbols no more."""
    connection = _connections().get(_socket())
    symbols, unknown = _symbols(payload)
    for symbol in symbols:
        if symbol in connection.symbols:
            connection.symbols.discard(symbol)
            runtime().watchlist.unfollow(symbol)
            leave_room(price_room(symbol))
    return {"symbols": symbols, "unknown": unknown}


@socketio.on("*")
def refuse(event: str, *_: Any) -> Ack:
    """Say that there is no such event."""

    @acknowledged
    def refuse(_: Any) -> Ack:
        raise InvalidRequest(f"There is no event {event!r}.", code="unknown_event")

    return refuse()


def _token(auth: Any) -> str | None:
    if isinstance(auth, dict) and auth.get("token") is not None:
        return str(auth["token"])
    header = request.headers.get("Authorization")
    return bearer_token(header) if header is not None else None


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{name} is missing.")
    return value


def _symbols(payload: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the canonical symbols asked for, and the names that are none."""
    names = payload.get("symbols")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidRequest("symbols must be a list of names.")
    if len(names) > MOST_SYMBOLS:
        raise InvalidRequest(f"symbols may be {MOST_SYMBOLS} at most.")
    found = {name: runtime().instruments.find(name) for name in names}
    known = dict.fromkeys(each.symbol for each in found.values() if each)
    return list(known), [name for name, each in found.items() if each is None]


def _send_prices(symbols: Collection[str]) -> None:
    """Send what is known of each symbol now; ask for the rest, which is sent when it comes in."""
    known = runtime().quotes.known_quotes(symbols)
    for each in known.values():
        emit("live_price", price_payload(each.quote))
    runtime().feed.ask([each for each in symbols if each not in known])
