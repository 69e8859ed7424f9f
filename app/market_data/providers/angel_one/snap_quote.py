"""The SnapQuote mode of Angel One's stream: ticks that also have the figures of the day.

After the 51 bytes of every tick come, little-endian and in paise: traded quantity q, average
price q, volume of the day q, totals of the bids and asks d and d, open q, high q, low q, previous
close q. The five best bids and five best asks are from byte 147 on, 20 bytes each: side H (1 is a
bid), quantity q, price q, orders H. The upper and the lower band are at byte 347, q each.
Source: SmartApi/smartWebSocketV2.py of smartapi-python 1.5.5.
"""

from __future__ import annotations

import struct
from decimal import Decimal

from app.domain.quote import NO_DETAILS, QuoteDetails
from app.market_data.providers.details import make_details

SNAP_QUOTE_MODE = 3
_VOLUME = struct.Struct("<q")
_DAY = struct.Struct("<qqqq")
_ORDERS = struct.Struct("<HqqH")
_BANDS = struct.Struct("<qq")
_VOLUME_AT, _DAY_AT, _ORDERS_AT, _BANDS_AT = 67, 91, 147, 347
_LEVELS = 10
_BID = 1


def read_snap_quote(frame: bytes, symbol: str) -> QuoteDetails:
    """Return the details in a tick, none of a tick of another mode or length."""
    if len(frame) < _BANDS_AT + _BANDS.size or frame[0] != SNAP_QUOTE_MODE:
        return NO_DETAILS
    open_, high, low, close = _DAY.unpack_from(frame, _DAY_AT)
    upper, lower = _BANDS.unpack_from(frame, _BANDS_AT)
    bids, asks = _prices(frame)
    return make_details(
        symbol,
        bid=_rupees(max(bids, default=0)),
        ask=_rupees(min(asks, default=0)),
        previous_close=_rupees(close),
        open=_rupees(open_),
        high=_rupees(high),
        low=_rupees(low),
        volume=_VOLUME.unpack_from(frame, _VOLUME_AT)[0],
        lower_band=_rupees(lower),
        upper_band=_rupees(upper),
    )


def _prices(frame: bytes) -> tuple[list[int], list[int]]:
    """Return the prices of the bids and of the asks, in paise."""
    bids: list[int] = []
    asks: list[int] = []
    for level in range(_LEVELS):
        side, quantity, price, _ = _ORDERS.unpack_from(frame, _ORDERS_AT + level * _ORDERS.size)
        if quantity > 0 and price > 0:
            (bids if side == _BID else asks).append(price)
    return bids, asks


def _rupees(paise: int) -> Decimal:
    return Decimal(paise).scaleb(-2)
