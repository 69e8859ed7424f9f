"""The routes that modify and cancel trades."""

from __future__ import annotations

from flask import Blueprint

from app.models import IdempotencyKey
from app.trades import modification
from app.trades.change_schemas import ChangeTradeRequest
from app.trades.views import TradeView
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.schemas import NoBody

blueprint = Blueprint("changes", __name__)


@blueprint.patch("/<user_id>/<trade_id>")
@endpoint(
    body=ChangeTradeRequest,
    responses={200: TradeView},
    errors={
        400: [
            *("freeze_quantity", "insufficient_margin", "price_off_tick"),
            *("price_outside_band", "quantity_off_lot"),
            *("would_trigger_immediately", "wrong_side_of_price"),
        ],
        401: ["account_gone"],
        403: ["forbidden"],
        404: ["trade_not_found"],
        409: ["changed_meanwhile", "not_pending", "trade_ended"],
    },
    idempotent=True,
)
def modify_trade(
    user_id: str, trade_id: str, body: ChangeTradeRequest, key: IdempotencyKey | None
) -> TradeView:
    """Change a pending order, or the stop-loss and the target of an active trade."""
    return TradeView.of(
        modification.modify_trade(
            user_id, trade_id, body.to_changes(), key, version=body.seen_version
        )
    )


@blueprint.post("/cancel/<trade_id>")
@endpoint(
    body=NoBody,
    responses={200: TradeView},
    errors={401: ["account_gone"], 404: ["trade_not_found"], 409: ["not_pending"]},
    idempotent=True,
)
def cancel_trade(trade_id: str, body: NoBody, key: IdempotencyKey | None) -> TradeView:
    """Cancel a pending order, and release its margin."""
    return TradeView.of(modification.cancel_trade(current_principal().user_id, trade_id, key))
