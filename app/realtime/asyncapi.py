"""The AsyncAPI document at /asyncapi.json: the events that sockets send and receive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from flask import Blueprint, Flask, current_app, request
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.domain.quote import DETAILS
from app.market.quote_schemas import QuoteResponse
from app.realtime.event_data import VIEWS, Schema, event_data, object_schema, pick
from app.realtime.schemas import (
    JoinReply,
    JoinRequest,
    LeaveReply,
    LeaveRequest,
    Refusal,
    Status,
    SubscribeReply,
    SubscribeRequest,
    SymbolsReply,
    SymbolsRequest,
)
from app.web.key_auth import HEADER
from app.web.openapi import VERSION

blueprint = Blueprint("asyncapi", __name__)

KEY = "asyncapi"

_REFERENCE = "#/components/schemas/{model}"

_SEQ = {
    "type": "integer",
    "minimum": 1,
    "description": "The number of the event among the user's.",
    "examples": [7],
}


class ClientEvent(NamedTuple):
    """An event that clients send: its summary, payload and acknowledgement."""

    summary: str
    payload: type[BaseModel]
    reply: type[BaseModel]


CLIENT_EVENTS = {
    "join": ClientEvent(
        "Join the room of the token's user. With `since`, missed events come first.",
        JoinRequest,
        JoinReply,
    ),
    "leave": ClientEvent("Leave the room of a user.", LeaveRequest, LeaveReply),
    "subscribe": ClientEvent(
        "Follow symbols. The last price of each comes at once. With `batch`, prices come as "
        "`live_prices`.",
        SubscribeRequest,
        SubscribeReply,
    ),
    "unsubscribe": ClientEvent("Stop following symbols.", SymbolsRequest, SymbolsReply),
}
TRADE_UPDATES = {
    "trade_created": "A trade was opened, or its order waits: `status` is ACTIVE or PENDING.",
    "trade_filled": "A price filled an entry order that had waited.",
    "trade_triggered": "A price reached the stop of a stop-limit order: it is a limit from now on.",
    "trade_modified": "The user changed an entry order, or the levels of a trade.",
    "trade_adjusted": "A split, a bonus or a dividend of its share changed a trade.",
    "trade_cancelled": "An entry order was cancelled before it was filled.",
    "trade_expired": "An entry order has expired unfilled.",
    "trade_rejected": "An entry order could not be filled when its price was reached.",
    "trade_partially_exited": "The user closed a part of a trade.",
    "trade_exited": "The user closed a trade.",
    "trade_auto_closed": "A price reached a stop or the target of a trade.",
    "price_alert": "A price reached a level of an alert.",
    "funds_deposited": "The user deposited money in a portfolio.",
    "funds_withdrawn": "The user withdrew money from a portfolio.",
    "portfolio_reset": "The user reset a portfolio: all its trades were closed before.",
    "sign_in_failures": "Sign-ins from unknown addresses failed five times in a day.",
    "registration_attempted": "Someone tried to register the user's email address again.",
    "api_key_created": "An API key was created in the account.",
    "account_changed": "The password, an address or another part of the account was changed.",
    "webhook_disabled": "A webhook failed for a day, or its endpoint is gone.",
    "custom": "The user sent a notification. `event` is the name they gave it.",
}


def init_app(app: Flask) -> None:
    """Serve /asyncapi.json."""
    app.extensions[KEY] = cache(make_schemas)
    app.register_blueprint(blueprint)


@blueprint.get("/asyncapi.json")
def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document of the sockets of this server."""
    return make_document(request.host, current_app.extensions[KEY]())


def make_document(host: str, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Return the document for a server at `host`, such as `127.0.0.1:5000`."""
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Paper Trading sockets",
            "version": VERSION,
            "description": "Socket.IO protocol 5, default namespace. `receive` are events that "
            "clients send; the reply is their acknowledgement. `send` are events of the server. "
            "The REST API is at /openapi.json.",
        },
        "defaultContentType": "application/json",
        "servers": {"this": _server(host)},
        "channels": {
            "sockets": {
                "address": "/",
                "description": "The default namespace. The name of a message is its event.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": _operations(messages),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "api_key": {"type": "httpApiKey", "name": HEADER, "in": "header"},
            },
        },
    }


def _server(host: str) -> dict[str, Any]:
    schemes = "#/components/securitySchemes"
    return {
        "host": host,
        "pathname": "/socket.io/",
        "protocol": "socketio",
        "description": "Connect with `auth: {token}` or `auth: {api_key}`, or with neither "
        "for prices only.",
        "security": [{"$ref": f"{schemes}/bearer"}, {"$ref": f"{schemes}/api_key"}],
    }


def _operations(messages: Iterable[str]) -> dict[str, Any]:
    received = {
        event: {
            "action": "receive",
            "summary": CLIENT_EVENTS[event].summary,
            **_on_channel([event]),
            "reply": _on_channel([f"{event}.reply", "refusal"]),
        }
        for event in CLIENT_EVENTS
    }
    sent = {
        f"send_{event}": {
            "action": "send",
            **_on_channel(name for name in messages if name.partition(".")[0] == event),
        }
        for event in ("status", "live_price", "live_prices", "trade_update")
    }
    return received | sent


def _on_channel(names: Iterable[str]) -> dict[str, Any]:
    channel = "#/channels/sockets"
    return {
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in names],
    }


def _messages() -> dict[str, dict[str, Any]]:
    messages = {
        "status": _message("status", "What happened to the connection.", _ref("Status")),
        "live_price": _message(
            "live_price",
            "A price of a followed symbol, and of `^NSEI` and `^BSESN` for every socket.",
            _ref("LivePrice"),
        ),
        "live_prices": _message(
            "live_prices",
            "The same prices in one message for all that a pass brings, in any order, in place of "
            "`live_price`: for sockets that asked for it with `batch`.",
            {"type": "array", "items": _ref("LivePrice"), "minItems": 1},
        ),
        "refusal": _message("refusal", "Acknowledges a request that failed.", _ref("Refusal")),
    }
    for event, (summary, payload, reply) in CLIENT_EVENTS.items():
        messages[event] = _message(event, summary, _ref(payload.__name__))
        messages[f"{event}.reply"] = _message(
            f"{event}.reply", f"Acknowledges `{event}`.", _ref(reply.__name__)
        )
    for event, summary in TRADE_UPDATES.items():
        name = f"trade_update.{event}"
        messages[name] = _message("trade_update", summary, _trade_update(event))
    return messages


def _message(name: str, summary: str, payload: Schema) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": payload}


def _ref(name: str) -> Schema:
    return {"$ref": _REFERENCE.format(model=name)}


def _trade_update(event: str) -> Schema:
    kind: Schema = {"type": "string", "description": "The type of the event.", "examples": [event]}
    if event != "custom":
        kind["const"] = event
    data = {**_ref(event), "description": "The event as data."}
    return object_schema({"event": kind, "data": data, "seq": _SEQ}, TRADE_UPDATES[event])


def _live_price(quote: dict[str, Schema]) -> Schema:
    certain = pick(quote, "symbol price timestamp age source delayed")
    details = {name: quote[name] for name in DETAILS}
    description = "A price of a symbol. Optional fields are absent if no source gave them."
    return object_schema(certain | details, description, optional=DETAILS)


def make_schemas() -> dict[str, Schema]:
    """Return every schema: those of sockets, and what events share with the REST API."""
    payloads = [model for event in CLIENT_EVENTS.values() for model in event[1:]]
    unique: dict[type[BaseModel], None] = dict.fromkeys([Refusal, Status, *payloads, *VIEWS])
    definitions = models_json_schema(
        [(model, "serialization") for model in unique], ref_template=_REFERENCE
    )
    schemas: dict[str, Schema] = definitions[1]["$defs"]
    views = {model: schemas.pop(model.__name__)["properties"] for model in VIEWS}
    events = {"LivePrice": _live_price(views[QuoteResponse])} | {
        name: object_schema(properties, TRADE_UPDATES[name])
        for name, properties in event_data(views).items()
    }
    for unused in (
        "AlertStatus",
        "FillProfile",
        "MovementKind",
        "RejectReason",
        "TradeStatus",
        "UnconfirmedQuote",
    ):
        del schemas[unused]
    return schemas | events
