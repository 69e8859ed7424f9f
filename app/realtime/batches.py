"""`live_prices`: the prices of a pass in one message to each socket that asked for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.extensions import socketio
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.realtime.connections import Connections

# As with `live_price`, sending to many holds up everything else in the process.
SOCKETS_BETWEEN_YIELDS = 50


def encode_prices(payloads: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return payloads of `live_price` as JSON, by symbol."""
    return {each["symbol"]: json.dumps(each, separators=(",", ":")) for each in payloads}


def send_batches(connections: Connections, prices: Mapping[str, str]) -> None:
    """Send each socket the encoded prices that it follows, and those of the default indices.

    A price is encoded once for all sockets, and a message once for all that follow the same
    symbols. Requests are served meanwhile. A socket that subscribes meanwhile misses nothing: its
    symbols are read when its turn comes.
    """
    priced = frozenset(prices)
    packets: dict[frozenset[str], Any] = {}
    for number, (socket, connection) in enumerate(connections.batched(), 1):
        symbols = connection.symbols
        if symbols not in packets:
            packets[symbols] = _packet(symbols.union(DEFAULT_INDICES) & priced, prices)
        if packets[symbols] is not None:
            socketio.server.send_to(socket, packets[symbols])
        if number % SOCKETS_BETWEEN_YIELDS == 0:
            socketio.sleep(0)


def _packet(symbols: frozenset[str], prices: Mapping[str, str]) -> Any:
    if not symbols:
        return None
    return socketio.server.event_packet(
        "live_prices", f"[{','.join([prices[symbol] for symbol in symbols])}]"
    )
