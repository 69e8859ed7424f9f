"""Requests and responses of the route of corporate actions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pydantic import Field

from app.domain.corporate_actions import ActionKind
from app.models.stored_action import StoredAction
from app.web.schemas import Money, RequestModel, ResponseModel, Symbol, Timestamp


class ActionsQuery(RequestModel):
    symbol: str | None = Field(
        default=None,
        max_length=100,
        description="A symbol or alias. If left out, the actions of every symbol.",
        examples=["RELIANCE"],
    )


class ActionView(ResponseModel):
    """A split, bonus, dividend or reorganization of a share."""

    symbol: Symbol
    ex_date: date = Field(
        description="The first day on which the share trades without it.", examples=["2026-12-01"]
    )
    kind: ActionKind = Field(description="What it is.", examples=["bonus"])
    ratio: str | None = Field(
        description="Of a split the new units for old ones, of a bonus the additional units for "
        "held ones; null for other kinds.",
        examples=["1:1"],
    )
    amount: Money | None = Field(
        description="Rupees that a dividend pays for each unit; null for other kinds.",
        examples=[18.5],
    )
    source: str = Field(
        description="Where it is known from: a `file` of the operator, `yahoo`, the `simulated` "
        "market itself, or the `recording` of a replay.",
        examples=["file"],
    )
    applied_at: Timestamp | None = Field(
        description="When all open trades had been adjusted, UTC; null before."
    )

    @classmethod
    def of(cls, stored: StoredAction) -> ActionView:
        action = stored.action
        return cls(
            symbol=action.symbol,
            ex_date=action.ex_date,
            kind=action.kind,
            ratio=str(action.ratio) if action.ratio else None,
            amount=action.amount,
            source=stored.source,
            applied_at=stored.applied_at,
        )


class ActionsResponse(ResponseModel):
    corporate_actions: list[ActionView] = Field(
        description="The known actions, the earliest ex-date first."
    )

    @classmethod
    def of(cls, actions: Iterable[StoredAction]) -> ActionsResponse:
        return cls(corporate_actions=[ActionView.of(each) for each in actions])
