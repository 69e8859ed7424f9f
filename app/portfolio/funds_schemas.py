"""The requests and responses about a portfolio's money."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from bson import ObjectId
from pydantic import Field, PlainValidator, WithJsonSchema

from app.domain.portfolio import DEFAULT_NAME
from app.models import Movement, MovementKind
from app.portfolio.activities import Activity, ActivityCursor
from app.portfolio.reset import Reset
from app.portfolio.schemas import InitialMargin, SeasonView
from app.web.schemas import (
    Money,
    NextCursor,
    PageSize,
    PortfolioName,
    RequestModel,
    ResponseModel,
    ResultMessage,
    SeasonNumber,
    Symbol,
    Timestamp,
    UserId,
    rupees,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"([0-9]{1,14})-([0-9a-f]{24})-([0-9]{1,9})-(-?[0-9]{1,20})")
_DONE = {MovementKind.DEPOSIT: "Funds deposited", MovementKind.WITHDRAWAL: "Funds withdrawn"}


class FundsRequest(RequestModel):
    amount: Annotated[Decimal, *rupees(0, 1_000_000_000, exclusive=True)] = Field(
        description="Rupees to move.", examples=[25_000]
    )
    portfolio: PortfolioName = DEFAULT_NAME


class MovementResponse(ResponseModel):
    message: ResultMessage
    movement_id: str = Field(
        description="The id of the movement.", examples=["6744a1f0c2d5e8b7a9f01234"]
    )
    user_id: UserId
    portfolio: str = Field(description="The name of the portfolio.", examples=["default"])
    kind: MovementKind = Field(description="What was done.", examples=["deposit"])
    amount: Money = Field(
        description="Rupees it added to the available margin; a withdrawal is negative.",
        examples=[25_000.0],
    )
    available_margin: Money = Field(
        description="Rupees free for new trades after it.", examples=[125_000.0]
    )
    season: int = Field(description="The season it belongs to.", examples=[1])
    created_at: Timestamp = Field(description="When it was made, UTC.")

    @classmethod
    def of(cls, movement: Movement, request: FundsRequest) -> MovementResponse:
        return cls(
            message=_DONE[movement.kind],
            movement_id=str(movement.id),
            user_id=movement.user_id,
            portfolio=request.portfolio,
            kind=movement.kind,
            amount=movement.amount,
            available_margin=movement.balance_after,
            season=movement.season,
            created_at=movement.created_at,
        )


class ResetRequest(RequestModel):
    initial_margin: InitialMargin | None = Field(
        default=None,
        description="Rupees the next season begins with. If left out, those of the last season.",
        examples=[100_000],
    )
    portfolio: PortfolioName = DEFAULT_NAME


class ResetResponse(ResponseModel):
    message: ResultMessage
    user_id: UserId
    portfolio: str = Field(description="The name of the portfolio.", examples=["default"])
    season: int = Field(description="The number of the season that began.", examples=[2])
    initial_margin: Money = Field(description="Rupees it began with.", examples=[100_000.0])
    available_margin: Money = Field(description="The same: all of it.", examples=[100_000.0])
    exited: int = Field(description="The active trades that this request closed.", examples=[3])
    cancelled: int = Field(
        description="The pending trades that this request cancelled.", examples=[0]
    )
    ended: SeasonView = Field(description="The season that ended.")
    reset_at: Timestamp = Field(description="When the season began, UTC.")

    @classmethod
    def of(cls, reset: Reset, portfolio: str) -> ResetResponse:
        movement = reset.movement
        return cls(
            message="Portfolio reset",
            user_id=movement.user_id,
            portfolio=portfolio,
            season=movement.season,
            initial_margin=movement.balance_after,
            available_margin=movement.balance_after,
            exited=reset.exited,
            cancelled=reset.cancelled,
            ended=SeasonView.model_validate(reset.ended),
            reset_at=movement.created_at,
        )


def _read_cursor(value: Any) -> ActivityCursor:
    parts = CURSOR.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise ValueError("must be the next_cursor of a page")
    milliseconds, id, number, paise = parts.groups()
    time = EPOCH + timedelta(milliseconds=int(milliseconds))
    return ActivityCursor((time, ObjectId(id), int(number)), Decimal(int(paise)).scaleb(-2))


def _write_cursor(cursor: ActivityCursor) -> str:
    time, id, number = cursor.key
    milliseconds = (time - EPOCH) // timedelta(milliseconds=1)
    return f"{milliseconds}-{id}-{number}-{int(cursor.balance * 100)}"


class ActivitiesQuery(RequestModel):
    portfolio: PortfolioName = DEFAULT_NAME
    season: SeasonNumber = None
    limit: PageSize = 50
    cursor: Annotated[
        Annotated[
            ActivityCursor,
            PlainValidator(_read_cursor),
            WithJsonSchema({"type": "string", "pattern": f"^{CURSOR.pattern}$"}),
        ]
        | None,
        Field(
            description="The `next_cursor` of the previous page.",
            examples=["1795780000000-6744a1f0c2d5e8b7a9f01234-1-10048430"],
        ),
    ] = None


class ActivityView(ResponseModel):
    """One movement of money: of the user, or of a trade by an exit or a corporate action."""

    activity_id: str = Field(
        description="The id of the movement, or of the trade and the number of its exit.",
        examples=["6744a1f0c2d5e8b7a9f01234-1"],
    )
    kind: Literal[
        "opening", "deposit", "withdrawal", "reset", "trade", "dividend", "corporate_action"
    ] = Field(
        description="What moved the money. `opening` and `reset` begin a season, `trade` is an "
        "exit, `corporate_action` what a split or a bonus leaves over.",
        examples=["trade"],
    )
    amount: Money = Field(
        description="Rupees it added; a loss or a withdrawal is negative.", examples=[484.3]
    )
    balance: Money = Field(
        description="Rupees after it: available and utilized margin.", examples=[100_484.3]
    )
    time: Timestamp = Field(description="When it happened, UTC.")
    trade_id: str | None = Field(
        description="The id of the trade; null for any other kind.",
        examples=["6744a1f0c2d5e8b7a9f01234"],
    )
    symbol: Symbol | None = Field(description="The symbol of the trade; null for any other kind.")

    @classmethod
    def of(cls, activity: Activity) -> ActivityView:
        line, source = activity.line, activity.line.source
        is_movement = isinstance(source, Movement)
        trade_id = source.trade_id if isinstance(source, Movement) else source.id
        return cls(
            activity_id=str(source.id) if is_movement else f"{source.id}-{line.number}",
            kind=source.kind.value if isinstance(source, Movement) else "trade",
            amount=line.amount,
            balance=activity.balance,
            time=line.time,
            trade_id=str(trade_id) if trade_id else None,
            symbol=source.symbol,
        )


class ActivitiesResponse(ResponseModel):
    activities: list[ActivityView] = Field(description="The movements of money, newest first.")
    next_cursor: NextCursor

    @classmethod
    def of(
        cls, activities: Iterable[Activity], next_cursor: ActivityCursor | None
    ) -> ActivitiesResponse:
        return cls(
            activities=[ActivityView.of(activity) for activity in activities],
            next_cursor=_write_cursor(next_cursor) if next_cursor else None,
        )
