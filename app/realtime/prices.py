"""Prices for sockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.quote import Quote
from app.extensions import socketio
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.services import now
from app.web.schemas import format_seconds, format_time

# Emitting one to many sockets holds up everything else in the process for milliseconds.
QUOTES_BETWEEN_YIELDS = 5


def price_room(symbol: str) -> str:
    """Return the room of the subscribers of a symbol."""
    return f"price:{symbol}"


def price_payload(quote: Quote) -> dict[str, Any]:
    """Return the payload of `live_price` for a quote."""
    details = quote.known_details().items()
    return {
        "symbol": quote.symbol,
        "price": float(quote.price),
        "timestamp": format_time(quote.timestamp),
        "age": format_seconds(quote.age(now())),
        "source": quote.source.value,
        "delayed": quote.source.is_delayed,
        **{name: value if type(value) is int else float(value) for name, value in details},
    }


def publish_prices(quotes: Iterable[Quote]) -> None:
    """Emit quotes to their subscribers, and those of the default indices to everyone.

    Requests are served meanwhile: a pass that triggers nothing waits for the database only once.
    """
    for number, quote in enumerate(quotes, 1):
        # Everyone gets the indices, so a subscriber of one must not get it twice.
        room = None if quote.symbol in DEFAULT_INDICES else price_room(quote.symbol)
        socketio.emit("live_price", price_payload(quote), to=room)
        if number % QUOTES_BETWEEN_YIELDS == 0:
            socketio.sleep(0)
