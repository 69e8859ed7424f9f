"""The route of pairs of entries."""

from __future__ import annotations

from flask import Blueprint

from app.models import IdempotencyKey
from app.trades.oco import open_pair
from app.trades.oco_schemas import PairResponse, PlacePairRequest
from app.trades.schemas import PLACING_ERRORS
from app.web.api import endpoint
from app.web.auth import current_principal

blueprint = Blueprint("oco", __name__)


@blueprint.post("/oco")
@endpoint(
    body=PlacePairRequest,
    responses={201: PairResponse},
    errors=PLACING_ERRORS,
    idempotent=True,
)
def place_pair(body: PlacePairRequest, key: IdempotencyKey | None) -> tuple[PairResponse, int]:
    """Place two orders of one symbol: the first that is filled or rejected cancels the other."""
    return PairResponse.of(open_pair(current_principal().user_id, body.to_orders(), key)), 201
