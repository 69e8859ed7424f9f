"""Prices on their way to sockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.quote import Quote
from app.extensions import socketio
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.services import now
from app.web.schemas import format_seconds, format_time


def price_room(symbol: str) -> str:
    """Return the room of those who subscribed to a symbol."""
    return f"price:{symbol}"


def price_payload(quote: Quote) -> dict[str, Any]:
    """Return a quote as `live_price` carries it."""
    return {
        "symbol": quote.symbol,
        "price": float(quote.price),
        "timestamp": format_time(quote.timestamp),
        "age": format_seconds(quote.age(now())),
        "source": quote.source.value,
        "delayed": quote.source.is_delayed,
    }


def publish_prices(quotes: Iterable[Quote]) -> None:
    """Send quotes to their subscribers; those of the default indices to everyone."""
    for quote in quotes:
        # Everyone has the indices, so a subscription to one must not bring them twice.
        room = None if quote.symbol in DEFAULT_INDICES else price_room(quote.symbol)
        socketio.emit("live_price", price_payload(quote), to=room)
