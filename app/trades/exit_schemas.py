"""The requests and responses of the routes that exit trades."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from app.domain.order import MAX_QUANTITY
from app.domain.portfolio import DEFAULT_NAME
from app.domain.share import Share
from app.trades.exit_all import ExitedAll, Selection
from app.trades.exits import Exited, Queued
from app.trades.views import QueuedFor, QueuedQuantity
from app.web.schemas import (
    Money,
    PortfolioName,
    RequestModel,
    ResponseModel,
    Symbol,
    SymbolName,
    rupees,
    whole_number,
)


class ShareRequest(RequestModel):
    """What every exit takes."""

    # Excluded from the fingerprint if absent, so requests of clients that do not know it match.
    percent: Annotated[
        Annotated[Decimal, *rupees(0, 100, exclusive=True)] | None,
        Field(exclude_if=operator.not_),
    ] = Field(
        default=None,
        description="Exit this percentage of what a trade holds, in whole lots, rounded down, but "
        "one lot at least.",
        examples=[50],
    )
    at_last_price: Annotated[bool | None, Strict(), Field(exclude_if=operator.not_)] = Field(
        default=None,
        description="true: use the last known price, if no source has had one for a trading day.",
        examples=[True],
    )


class ExitRequest(ShareRequest):
    """An empty body exits all that is held."""

    quantity: Annotated[
        Annotated[int, *whole_number(1, MAX_QUANTITY)] | None, Field(exclude_if=operator.not_)
    ] = Field(default=None, description="Exit this many units.", examples=[1])

    @model_validator(mode="after")
    def _has_one_share(self) -> Self:
        if self.quantity is not None and self.percent is not None:
            raise ValueError("must have quantity or percent, not both")
        return self

    @property
    def share(self) -> Share:
        return Share(self.quantity, self.percent)


class ExitAllRequest(ShareRequest):
    portfolio: PortfolioName = DEFAULT_NAME
    symbol: Annotated[SymbolName | None, Field(exclude_if=operator.not_)] = Field(
        default=None, description="Only trades of this symbol or alias.", examples=["NIFTY"]
    )
    include_pending: Annotated[bool | None, Strict(), Field(exclude_if=operator.not_)] = Field(
        default=None, description="true: cancel orders that wait as well.", examples=[True]
    )

    def to_selection(self) -> Selection:
        """Return the trades that this body selects."""
        return Selection(
            portfolio=self.portfolio,
            symbol=self.symbol,
            share=Share(percent=self.percent),
            include_pending=bool(self.include_pending),
            at_last_price=bool(self.at_last_price),
        )


class ExitResponse(ResponseModel):
    message: str = Field(description="A sentence for people.", examples=["Trade exited"])
    pnl: Money = Field(
        description="The realized profit in rupees; a loss is negative.", examples=[38.9]
    )
    exit_price: Money = Field(description="The price it closed at, in rupees.", examples=[24_230.0])
    quantity: int = Field(description="The units that were exited.", examples=[2])
    open_quantity: int = Field(description="The units that are still held.", examples=[0])

    @classmethod
    def of(cls, exited: Exited) -> ExitResponse:
        exit, left = exited.exit, exited.open_quantity
        return cls(
            message="Trade exited" if left == 0 else "Part of the trade exited",
            pnl=exit.pnl,
            exit_price=exit.price,
            quantity=exit.quantity,
            open_quantity=left,
        )


class QueuedExitResponse(ResponseModel):
    message: str = Field(
        description="A sentence for people.", examples=["Exit queued for the next session"]
    )
    trade_id: str = Field(description="The id of the trade.", examples=["6744a1f0c2d5e8b7a9f01234"])
    quantity: QueuedQuantity
    queued_for: QueuedFor

    @classmethod
    def of(cls, queued: Queued) -> QueuedExitResponse:
        return cls(
            message="Exit queued for the next session",
            trade_id=queued.trade_id,
            quantity=queued.quantity,
            queued_for=queued.session,
        )


class NotExitedView(ResponseModel):
    """A trade that stays open, and why."""

    trade_id: str = Field(description="The id of the trade.", examples=["6744a1f0c2d5e8b7a9f01234"])
    symbol: Symbol
    code: str = Field(
        description="The error code that its own exit would return.",
        examples=["market_data_unavailable"],
    )


class QueuedTradeView(ResponseModel):
    """A trade whose exit waits for the first price of a session."""

    trade_id: str = Field(description="The id of the trade.", examples=["6744a1f0c2d5e8b7a9f01234"])
    symbol: Symbol
    quantity: QueuedQuantity
    queued_for: QueuedFor


class ExitAllResponse(ResponseModel):
    message: str = Field(description="A sentence for people.", examples=["All trades exited"])
    total_pnl: Money = Field(
        description="The realized profit of these exits in rupees; a loss is negative.",
        examples=[38.9],
    )
    count: int = Field(description="The number of trades that were exited.", examples=[1])
    cancelled: int = Field(description="The number of orders that were cancelled.", examples=[0])
    queued: list[QueuedTradeView] = Field(
        description="The trades whose exit waits for the next session, or the closing auction."
    )
    not_exited: list[NotExitedView] = Field(
        description="The trades that have no price, or cannot exit at this hour, and stay open."
    )

    @classmethod
    def of(cls, exited: ExitedAll) -> ExitAllResponse:
        return cls(
            message=_in_words(exited),
            total_pnl=exited.total_pnl,
            count=exited.count,
            cancelled=exited.cancelled,
            queued=[QueuedTradeView(**fields) for fields in exited.queued],
            not_exited=[NotExitedView(**fields) for fields in exited.not_exited],
        )


def _in_words(exited: ExitedAll) -> str:
    queued, left = len(exited.queued), len(exited.not_exited)
    if queued and not exited.count and not left:
        return "All exits queued for the next session"
    if not queued and not left:
        return "All trades exited"
    message = f"{exited.count} of {exited.count + queued + left} trades exited"
    return f"{message}, {queued} queued for the next session" if queued else message
