"""The requests and responses of the portfolio routes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from app.domain.fill_profile import FillProfile
from app.domain.portfolio import DEFAULT_NAME
from app.models import Portfolio
from app.portfolio.service import fill_profile_of
from app.web.schemas import (
    Money,
    PortfolioName,
    RequestModel,
    ResponseModel,
    Timestamp,
    UserId,
    choice,
    rupees,
)

InitialMargin = Annotated[Decimal, *rupees(1_000, 1_000_000_000)]
ChosenProfile = Annotated[
    Annotated[FillProfile, choice(FillProfile)] | None,
    Field(
        description="How its next trades are filled. Null: FILL_PROFILE of the server.",
        examples=["realistic"],
    ),
]


class CreatePortfolioRequest(RequestModel):
    name: PortfolioName = DEFAULT_NAME
    initial_margin: InitialMargin | None = Field(
        default=None,
        description="Rupees the portfolio opens with. If left out, INITIAL_MARGIN of the server.",
        examples=[100_000],
    )
    fill_profile: ChosenProfile = None


class ChangePortfolioRequest(RequestModel):
    portfolio: PortfolioName = DEFAULT_NAME
    fill_profile: ChosenProfile


class SeasonView(ResponseModel):
    """A past season: the life of the portfolio from one reset to the next."""

    number: int = Field(description="The number of the season, from 1.", examples=[1])
    initial_margin: Money = Field(description="Rupees it began with.", examples=[100_000.0])
    deposits: Money = Field(description="Rupees deposited in it.", examples=[25_000.0])
    withdrawals: Money = Field(description="Rupees withdrawn in it.", examples=[0.0])
    total_pnl: Money = Field(
        description="Realized profit of its trades in rupees; a loss is negative.",
        examples=[-31_250.4],
    )
    balance: Money = Field(description="Rupees at its end.", examples=[93_749.6])
    closed_count: int = Field(description="The number of its closed trades.", examples=[41])
    winner_count: int = Field(
        description="The number of its closed trades with a profit.", examples=[17]
    )
    started_at: Timestamp = Field(description="When it began, UTC.")
    ended_at: Timestamp = Field(description="When the reset ended it, UTC.")


class PortfolioResponse(ResponseModel):
    portfolio_id: str = Field(
        description="The id of the portfolio.", examples=["6744a1f0c2d5e8b7a9f01234"]
    )
    user_id: UserId
    name: str = Field(description="The name of the portfolio.", examples=["default"])
    available_margin: Money = Field(description="Rupees free for new trades.", examples=[90_348.6])
    utilized_margin: Money = Field(description="Rupees blocked by open trades.", examples=[9_680.0])
    total_pnl: Money = Field(
        description="Realized profit of the season's trades in rupees; a loss is negative.",
        examples=[28.6],
    )
    initial_margin: Money = Field(description="Rupees the season began with.", examples=[100_000.0])
    deposits: Money = Field(description="Rupees deposited in the season.", examples=[0.0])
    withdrawals: Money = Field(description="Rupees withdrawn in the season.", examples=[0.0])
    season: int = Field(
        description="The number of the current season: 1, and 1 more for each reset.", examples=[1]
    )
    season_started_at: Timestamp = Field(description="When the season began, UTC.")
    seasons: list[SeasonView] = Field(
        description="The past seasons, oldest first: the last 100.", examples=[[]]
    )
    fill_profile: FillProfile = Field(
        description="How its next trades are filled: by its own profile, else FILL_PROFILE.",
        examples=["plain"],
    )
    last_updated: Timestamp = Field(description="When the portfolio last changed, UTC.")

    @classmethod
    def of(cls, portfolio: Portfolio) -> PortfolioResponse:
        return cls(
            portfolio_id=str(portfolio.id),
            user_id=portfolio.user_id,
            name=portfolio.name,
            available_margin=portfolio.available_margin,
            utilized_margin=portfolio.utilized_margin,
            total_pnl=portfolio.total_pnl,
            initial_margin=portfolio.initial_margin,
            deposits=portfolio.deposits,
            withdrawals=portfolio.withdrawals,
            season=portfolio.season,
            season_started_at=portfolio.season_started_at,
            seasons=[SeasonView.model_validate(season) for season in portfolio.seasons],
            fill_profile=fill_profile_of(portfolio),
            last_updated=portfolio.last_updated,
        )


class PortfoliosResponse(ResponseModel):
    portfolios: list[PortfolioResponse] = Field(description="The portfolios, oldest first.")

    @classmethod
    def of(cls, portfolios: Iterable[Portfolio]) -> PortfoliosResponse:
        return cls(portfolios=[PortfolioResponse.of(portfolio) for portfolio in portfolios])
