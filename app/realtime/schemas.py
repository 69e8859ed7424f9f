"""The messages of sockets, described for /asyncapi.json. Handlers build them as plain objects."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.web.schemas import RequestModel, ResponseModel


class LeaveRequest(RequestModel):
    """Leave the room of a user."""

    user_id: str = Field(
        description="The `client_id` of the token's own user.", examples=["asha@example.com"]
    )


class JoinRequest(LeaveRequest):
    """Join the room of the token's own user, which receives `trade_update`."""

    token: str | None = Field(
        None,
        description="The access token; left out if the connection was made with one.",
        examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln"],
    )
    api_key: str | None = Field(
        None,
        description="An API key with the scope `read`, in place of a token.",
        examples=["ptk_" + "0" * 60 + "9f3c"],
    )
    since: int | None = Field(
        None,
        ge=0,
        description="The last `seq` the client has seen: each later event is replayed first.",
        examples=[41],
    )


class SymbolsRequest(RequestModel):
    """Symbols to follow, or to stop following."""

    symbols: list[str] = Field(
        max_length=500,
        description="Symbols or aliases in any case. A socket follows 100 at most.",
        examples=[["NIFTY", "RELIANCE"]],
    )


class SubscribeRequest(SymbolsRequest):
    """Symbols to follow, and how their prices are to come."""

    batch: bool | None = Field(
        None,
        description="true: all prices of the socket come as `live_prices` from now on. false: as "
        "`live_price` again. If left out, as before.",
        examples=[True],
    )


class LeaveReply(ResponseModel):
    """The socket has left the room."""

    ok: Literal[True] = Field(description="The request succeeded.", examples=[True])
    user_id: str = Field(description="The user of the room.", examples=["asha@example.com"])


class JoinReply(LeaveReply):
    """The socket is in the room of its user."""

    seq: int = Field(description="The `seq` of the user's last event so far.", examples=[42])


class SymbolsReply(ResponseModel):
    """Which symbols were recognized."""

    ok: Literal[True] = Field(description="The request succeeded.", examples=[True])
    symbols: list[str] = Field(
        description="The canonical symbols.", examples=[["^NSEI", "RELIANCE.NS"]]
    )
    unknown: list[str] = Field(
        description="Names that are no known symbols.", examples=[["RELIANC"]]
    )


class SubscribeReply(SymbolsReply):
    """Which symbols were recognized, and how prices come if the request had `batch`."""

    batch: bool | None = Field(
        None, description="As in the request; left out if it had none.", examples=[True]
    )


class Refusal(ResponseModel):
    """The request failed, and changed nothing."""

    ok: Literal[False] = Field(description="The request failed.", examples=[False])
    error: str = Field(description="One sentence for a person.", examples=["user_id is missing."])
    code: str = Field(description="The error code, for a program.", examples=["validation_error"])


class Status(ResponseModel):
    """What happened to the connection. A refusal and an expired token have a `code`."""

    msg: str = Field(
        description="One sentence for a person.", examples=["Connected as asha@example.com"]
    )
    code: str | None = Field(
        None, description="The error code of a refusal; else left out.", examples=["token_expired"]
    )
