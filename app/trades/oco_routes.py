"""The route of pairs of entries."""

from __future__ import annotations

from flask import Blueprint

from app.models import IdempotencyKey
from app.trades.oco import open_pair
from app.trades.oco_schemas import PairResponse, PlacePairRequest
from app.web.api import endpoint
from app.web.auth import current_principal

blueprint = Blueprint("oco", __name__)


@blueprint.post("/oco")
@endpoint(
    body=PlacePairRequest,
    responses={201: PairResponse},
    errors={
        400: [
            *("insufficient_margin", "price_off_tick", "quantity_off_lot"),
            *("unknown_symbol", "unlisted_symbol", "would_trigger_immediately"),
            "wrong_side_of_price",
        ],
        401: ["account_gone"],
        404: ["portfolio_not_found"],
        409: ["client_order_id_reused", "market_closed", "price_too_old", "too_many_pending"],
        503: ["market_data_unavailable"],
    },
    idempotent=True,
)
def place_pair(body: PlacePairRequest, key: IdempotencyKey | None) -> tuple[PairResponse, int]:
    """Place two orders of one symbol: the first to fill cancels the other."""
    return PairResponse.of(open_pair(current_principal().user_id, body.to_orders(), key)), 201
