"""Requests and responses about sessions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.models import Session
from app.web.schemas import RequestModel, ResponseModel, Timestamp

RefreshToken = Annotated[str, Field(min_length=1, max_length=2_000)]


class RefreshRequest(RequestModel):
    refresh_token: RefreshToken = Field(
        description="The `refresh_token` of the last response to a sign-in or a refresh.",
        examples=["9f1c2b7d0e4a6c8f9f1c2b7d0e4a6c8f.q0yN1kq2J5l8o3s6v9y2B5E8H1K4N7Q0"],
    )


class SessionView(ResponseModel):
    id: str = Field(description="The id of the session.", examples=["9f1c2b7d0e4a6c8f"])
    device: str = Field(
        description="The browser and system, or the program, that signed in.",
        examples=["Firefox on Linux"],
    )
    address: str = Field(
        description="The network that last used it: the address without its last part.",
        examples=["203.0.113.0/24"],
    )
    created_at: Timestamp = Field(description="When it was started by a sign-in, UTC.")
    last_used_at: Timestamp = Field(description="When it was last used, UTC, to the minute.")
    expires_at: Timestamp = Field(description="When it ends unless it is refreshed, UTC.")
    is_current: bool = Field(
        description="Whether it is the session of this request.", examples=[True]
    )

    @classmethod
    def of(cls, session: Session, current_id: str | None) -> SessionView:
        """Return the view of a session for the caller whose own one has `current_id`."""
        fields = {name: getattr(session, name) for name in _SHOWN}
        return cls(is_current=session.id == current_id, **fields)


_SHOWN = tuple(name for name in SessionView.model_fields if name != "is_current")


class SessionsResponse(ResponseModel):
    sessions: list[SessionView] = Field(description="The user's sessions, last used first.")
