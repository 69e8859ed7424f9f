"""What the portfolio routes take and answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from app.models import Portfolio
from app.web.schemas import Money, RequestModel, ResponseModel, Timestamp, rupees


class CreatePortfolioRequest(RequestModel):
    initial_margin: Annotated[Decimal, *rupees(1_000, 1_000_000_000)] | None = None


class PortfolioResponse(ResponseModel):
    portfolio_id: str
    user_id: str
    available_margin: Money
    utilized_margin: Money
    total_pnl: Money
    initial_margin: Money
    last_updated: Timestamp

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
