"""The requests and responses of the portfolio routes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from app.models import Portfolio
from app.web.schemas import Money, RequestModel, ResponseModel, Timestamp, UserId, rupees


class CreatePortfolioRequest(RequestModel):
    initial_margin: Annotated[Decimal, *rupees(1_000, 1_000_000_000)] | None = Field(
        default=None,
        description="Rupees the portfolio opens with. Left out: INITIAL_MARGIN of the server.",
        examples=[100_000],
    )


class PortfolioResponse(ResponseModel):
    portfolio_id: str = Field(
        description="The id of the portfolio.", examples=["6744a1f0c2d5e8b7a9f01234"]
    )
    user_id: UserId
    available_margin: Money = Field(description="Rupees free for new trades.", examples=[90_348.6])
    utilized_margin: Money = Field(description="Rupees blocked by open trades.", examples=[9_680.0])
    total_pnl: Money = Field(
        description="Realized profit of all closed trades in rupees; a loss is negative.",
        examples=[28.6],
    )
    initial_margin: Money = Field(
        description="Rupees the portfolio was opened with.", examples=[100_000.0]
    )
    last_updated: Timestamp = Field(description="When the portfolio last changed, UTC.")

    @classmethod
    def of(cls, portfolio: Portfolio) -> PortfolioResponse:
        return cls(
            portfolio_id=str(portfolio.id),
            user_id=portfolio.user_id,
            available_margin=portfolio.available_margin,
            utilized_margin=portfolio.utilized_margin,
            total_pnl=portfolio.total_pnl,
            initial_margin=portfolio.initial_margin,
            last_updated=portfolio.last_updated,
        )
