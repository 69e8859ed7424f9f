"""Prices for sockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blinker import Namespace

from app.domain.quote import Quote
from app.extensions import socketio
from app.realtime.connections import price_room
from app.services import application, now
from app.web.schemas import format_seconds, format_time

# Sent with the payloads of `live_price` of a pass.
prices_published = Namespace().signal("prices-published")
# Emitting one to many sockets holds up everything else in the process for milliseconds.
QUOTES_BETWEEN_YIELDS = 5


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
    payloads = []
    for number, quote in enumerate(quotes, 1):
        payloads.append(price_payload(quote))
        socketio.emit("live_price", payloads[-1], to=price_room(quote.symbol))
        if number % QUOTES_BETWEEN_YIELDS == 0:
            socketio.sleep(0)
    if payloads:
        prices_published.send(application(), payloads=payloads)
