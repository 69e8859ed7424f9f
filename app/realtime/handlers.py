"""Socket.IO events that clients send, and their acknowledgements."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, cast

from flask import current_app, request
from flask_socketio import ConnectionRefusedError, emit, join_room, leave_room
from pymongo.errors import PyMongoError

from app.database.transactions import is_outage, name_error
from app.domain.contact import is_same_identity
from app.domain.errors import Forbidden, InvalidRequest, PaperTradingError, Unauthenticated
from app.extensions import socketio
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.realtime.connections import Connection, Connections
from app.realtime.prices import price_payload
from app.realtime.requests import (
    as_object,
    read_batch,
    read_handshake,
    read_principal,
    read_since,
    read_symbols,
    read_user_id,
    require_valid,
    unknown_event,
)
from app.services import services
from app.sockets.server import UNKNOWN_EVENT
from app.web.errors import outage
from app.web.principal import Scope

KEY = "socket_connections"
EVENTS = ["join", "leave", "subscribe", "unsubscribe"]

Ack = dict[str, Any]


def _connections() -> Connections:
    return cast(Connections, current_app.extensions[KEY])


def _socket() -> str:
    # Flask-SocketIO adds `sid` to the request without a type.
    return str(request.sid)  # type: ignore[attr-defined]


def acknowledged(field: str) -> Callable[[Callable[[Any], Ack]], Callable[..., Ack]]:
    """Acknowledge an event with what its handler returns, or with its error.

    A payload that is not an object is taken as the value of `field`.
    """

    def decorate(handler: Callable[[Any], Ack]) -> Callable[..., Ack]:
        @functools.wraps(handler)
        def respond(payload: Any = None) -> Ack:
            try:
                return {"ok": True, **handler(as_object(payload, field))}
            except Exception as error:
                return _refusal(handler.__name__, error)

        return respond

    return decorate


def _refusal(event: str, error: Exception) -> Ack:
    match error:
        case PaperTradingError():
            code = "unauthorized" if isinstance(error, Unauthenticated) else error.code
            _log_client(f"socket event {event} refused, {code}")
            return {"ok": False, "error": error.message, "code": code}
        case PyMongoError() if is_outage(error):
            logger.warning("database unavailable: %s", name_error(error))
            unavailable = outage()
            return {"ok": False, "error": unavailable.message, "code": unavailable.code}
        case _:
            # An error of ours must not end the client's connection.
            logger.error("unexpected error in %s", event, exc_info=error)
            message = "The server failed. Try again."
            return {"ok": False, "error": message, "code": "internal_error"}


def _log_client(event: str) -> None:
    socketio.server.eio.client_log.write(event, request.remote_addr or "-")


@socketio.on("connect")
def connect(auth: Any = None) -> None:
    """Accept a socket with a valid token, API key or neither; send it the prices of the indices."""
    try:
        principal = read_handshake(auth, request.headers, request.args)
    except Unauthenticated:
        _log_client("socket refused, unauthorized")
        raise ConnectionRefusedError("unauthorized") from None
    except InvalidRequest as error:
        _log_client("socket refused, token in the address")
        raise ConnectionRefusedError(error.message) from None
    except PyMongoError as error:
        if not is_outage(error):
            raise
        logger.warning("database unavailable: %s", name_error(error))
        raise ConnectionRefusedError(outage().message) from None
    connection = _connections().add(_socket(), principal)
    for room in connection.price_rooms:
        join_room(room)
    emit("status", {"msg": f"Connected as {principal.user_id}" if principal else "Connected"})
    _send_prices(connection, DEFAULT_INDICES)


@socketio.on("disconnect")
def disconnect(*_reason: Any) -> None:
    """Remove the socket."""
    _connections().remove(_socket())


@socketio.on("join")
@acknowledged("user_id")
def join(payload: dict[str, Any]) -> Ack:
    """Add the socket to the room of its user, after the events it missed."""
    user_id = read_user_id(payload)
    principal = require_valid(read_principal(payload) or _connections().get(_socket()).principal)
    if not is_same_identity(principal.user_id, user_id):
        raise Forbidden("A token joins the room of its own user only.")
    principal.require(Scope.READ)
    seq = _connections().join(_socket(), principal, read_since(payload))
    emit("status", {"msg": f"Joined the room of {principal.user_id}"})
    return {"user_id": principal.user_id, "seq": seq}


@socketio.on("leave")
@acknowledged("user_id")
def leave(payload: dict[str, Any]) -> Ack:
    """Remove the socket from a user's room."""
    named = read_user_id(payload)
    joined = _connections().get(_socket()).joined
    for user_id in [joined_id for joined_id in list(joined) if is_same_identity(joined_id, named)]:
        _connections().leave(_socket(), user_id)
    return {"user_id": named}


@socketio.on("subscribe")
@acknowledged("symbols")
def subscribe(payload: dict[str, Any]) -> Ack:
    """Send the prices of these symbols from now on, starting with the latest.

    With `batch`, all prices of the socket come as `live_prices` from now on.
    """
    symbols, unknown = read_symbols(payload)
    batch = read_batch(payload)
    with _changed_rooms() as connection:
        _connections().follow(_socket(), symbols)
        if batch is not None:
            connection.is_batched = batch
    # A client of `live_prices` may ignore the `live_price` of the indices that came at first.
    _send_prices(connection, dict.fromkeys([*symbols, *(DEFAULT_INDICES if batch else ())]))
    answer: Ack = {"symbols": symbols, "unknown": unknown}
    return answer if batch is None else {**answer, "batch": batch}


@socketio.on("unsubscribe")
@acknowledged("symbols")
def unsubscribe(payload: dict[str, Any]) -> Ack:
    """Stop sending the prices of these symbols."""
    symbols, unknown = read_symbols(payload)
    with _changed_rooms():
        _connections().unfollow(_socket(), symbols)
    return {"symbols": symbols, "unknown": unknown}


@socketio.on(UNKNOWN_EVENT)
@acknowledged("name")
def refuse(payload: dict[str, Any]) -> Ack:
    """Refuse an event that does not exist."""
    raise unknown_event(payload["name"], EVENTS)


@contextmanager
def _changed_rooms() -> Iterator[Connection]:
    """Move the socket to the price rooms that it belongs in after the block."""
    connection = _connections().get(_socket())
    rooms = connection.price_rooms
    yield connection
    for room in connection.price_rooms - rooms:
        join_room(room)
    for room in rooms - connection.price_rooms:
        leave_room(room)


def _send_prices(connection: Connection, symbols: Collection[str]) -> None:
    """Send the known prices now, and request the others: they are sent when they arrive."""
    known = services().quotes.known(symbols)
    prices = [price_payload(seen.quote) for seen in known.values()]
    if connection.is_batched and prices:
        emit("live_prices", prices)
    elif not connection.is_batched:
        for price in prices:
            emit("live_price", price)
    services().feed.ask([symbol for symbol in symbols if symbol not in known])
