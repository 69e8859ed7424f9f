"""Routes of watchlists."""

from __future__ import annotations

from flask import Blueprint

from app.models import IdempotencyKey
from app.watchlists import service
from app.watchlists.schemas import (
    AddSymbolRequest,
    ChangeWatchlistRequest,
    CreateWatchlistRequest,
    WatchlistsResponse,
    WatchlistView,
)
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.schemas import MessageResponse

blueprint = Blueprint("watchlists", __name__, url_prefix="/watchlists")


@blueprint.post("", strict_slashes=False)
@endpoint(
    body=CreateWatchlistRequest,
    responses={201: WatchlistView},
    errors={
        400: ["unknown_symbol"],
        401: ["account_gone"],
        409: ["too_many_watchlists", "watchlist_name_taken"],
    },
    idempotent=True,
)
def create_watchlist(
    body: CreateWatchlistRequest, key: IdempotencyKey | None
) -> tuple[WatchlistView, int]:
    """Create a watchlist, at most 20 of 100 symbols each. It is the last of your lists."""
    user_id = current_principal().user_id
    created = service.create_watchlist(user_id, body.name, body.symbols, key)
    return WatchlistView.of(created), 201


@blueprint.get("", strict_slashes=False)
@endpoint(responses={200: WatchlistsResponse})
def list_watchlists() -> WatchlistsResponse:
    """List your watchlists in your order."""
    watchlists = service.list_watchlists(current_principal().user_id)
    return WatchlistsResponse(watchlists=[WatchlistView.of(each) for each in watchlists])


@blueprint.get("/<watchlist_id>")
@endpoint(responses={200: WatchlistView}, errors={404: ["watchlist_not_found"]})
def get_watchlist(watchlist_id: str) -> WatchlistView:
    """Show one watchlist."""
    found = service.get_watchlist(current_principal().user_id, watchlist_id)
    return WatchlistView.of(found)


@blueprint.patch("/<watchlist_id>")
@endpoint(
    body=ChangeWatchlistRequest,
    responses={200: WatchlistView},
    errors={
        400: ["unknown_symbol"],
        404: ["watchlist_not_found"],
        409: ["watchlist_name_taken"],
    },
)
def change_watchlist(watchlist_id: str, body: ChangeWatchlistRequest) -> WatchlistView:
    """Change the name, all symbols in their order, or the place among your lists."""
    changed = service.change_watchlist(
        current_principal().user_id,
        watchlist_id,
        name=body.name,
        symbols=body.symbols,
        position=body.position,
    )
    return WatchlistView.of(changed)


@blueprint.delete("/<watchlist_id>")
@endpoint(responses={200: MessageResponse}, errors={404: ["watchlist_not_found"]})
def delete_watchlist(watchlist_id: str) -> MessageResponse:
    """Delete a watchlist."""
    service.delete_watchlist(current_principal().user_id, watchlist_id)
    return MessageResponse(message="Watchlist deleted")


@blueprint.post("/<watchlist_id>/symbols")
@endpoint(
    body=AddSymbolRequest,
    responses={200: WatchlistView},
    errors={400: ["unknown_symbol"], 404: ["watchlist_not_found"], 409: ["watchlist_full"]},
)
def add_symbol(watchlist_id: str, body: AddSymbolRequest) -> WatchlistView:
    """Add a symbol to a watchlist, or move it. Repeating it changes nothing."""
    changed = service.add_symbol(
        current_principal().user_id, watchlist_id, body.symbol, body.position
    )
    return WatchlistView.of(changed)


@blueprint.delete("/<watchlist_id>/symbols/<symbol>")
@endpoint(responses={200: WatchlistView}, errors={404: ["unknown_symbol", "watchlist_not_found"]})
def remove_symbol(watchlist_id: str, symbol: str) -> WatchlistView:
    """Remove a symbol from a watchlist. Repeating it changes nothing."""
    changed = service.remove_symbol(current_principal().user_id, watchlist_id, symbol)
    return WatchlistView.of(changed)
