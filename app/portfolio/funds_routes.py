"""The routes of a portfolio's money: deposits, withdrawals and the statement of both."""

from __future__ import annotations

from flask import Blueprint

from app.models import IdempotencyKey
from app.portfolio import funds
from app.portfolio.activities import list_activities
from app.portfolio.funds_schemas import (
    ActivitiesQuery,
    ActivitiesResponse,
    FundsRequest,
    MovementResponse,
    ResetRequest,
    ResetResponse,
)
from app.portfolio.reset import reset_portfolio
from app.web.api import endpoint

blueprint = Blueprint("funds", __name__)


@blueprint.post("/<user_id>/deposit")
@endpoint(
    body=FundsRequest,
    responses={200: MovementResponse},
    errors={
        400: ["balance_too_large"],
        401: ["account_gone"],
        403: ["forbidden"],
        404: ["portfolio_not_found"],
    },
    idempotent=True,
)
def deposit(user_id: str, body: FundsRequest, key: IdempotencyKey | None) -> MovementResponse:
    """Add virtual money to a portfolio."""
    return MovementResponse.of(funds.deposit(user_id, body.amount, body.portfolio, key), body)


@blueprint.post("/<user_id>/withdraw")
@endpoint(
    body=FundsRequest,
    responses={200: MovementResponse},
    errors={
        400: ["insufficient_funds"],
        401: ["account_gone"],
        403: ["forbidden"],
        404: ["portfolio_not_found"],
    },
    idempotent=True,
)
def withdraw(user_id: str, body: FundsRequest, key: IdempotencyKey | None) -> MovementResponse:
    """Take virtual money out of a portfolio: what is available, less what open trades lost."""
    return MovementResponse.of(funds.withdraw(user_id, body.amount, body.portfolio, key), body)


@blueprint.post("/<user_id>/reset")
@endpoint(
    body=ResetRequest,
    responses={200: ResetResponse},
    errors={
        401: ["account_gone"],
        403: ["forbidden"],
        404: ["portfolio_not_found"],
        409: ["market_closed", "reset_meanwhile"],
        503: ["market_data_unavailable"],
    },
    idempotent=True,
)
def reset(user_id: str, body: ResetRequest, key: IdempotencyKey | None) -> ResetResponse:
    """Close every trade at the last traded price, and begin the next season with new money."""
    done = reset_portfolio(user_id, body.initial_margin, body.portfolio, key)
    return ResetResponse.of(done, body.portfolio)


@blueprint.get("/<user_id>/activities")
@endpoint(
    query=ActivitiesQuery,
    responses={200: ActivitiesResponse},
    errors={403: ["forbidden"], 404: ["portfolio_not_found", "season_not_found"]},
)
def show_activities(user_id: str, query: ActivitiesQuery) -> ActivitiesResponse:
    """List every movement of money, newest first, with the balance after each."""
    return ActivitiesResponse.of(*list_activities(user_id, **dict(query)))
