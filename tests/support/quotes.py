"""Short helpers to create quotes and brackets."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.quote import Quote, Source
from app.domain.side import TradeType

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def quote(
    price: Decimal | int | str,
    source: Source = Source.MOCK,
    timestamp: datetime = NOON,
    symbol: str = "^NSEI",
) -> Quote:
    return Quote(symbol, Decimal(price), source, timestamp)


def prices_of(candle: Candle) -> tuple[Decimal | int, ...]:
    """Return open, high, low and close; integers may be compared with them."""
    return candle.open, candle.high, candle.low, candle.close


def bracket(
    trade_type: TradeType = TradeType.BUY,
    quantity: int = 1,
    entry: Decimal | int | str = 100,
    *,
    stop_loss: Decimal | int | None = None,
    target_price: Decimal | int | None = None,
    source: Source = Source.MOCK,
) -> Bracket:
    return Bracket.open(
        trade_type,
        quantity,
        quote(entry, source),
        stop_loss=None if stop_loss is None else Decimal(stop_loss),
        target_price=None if target_price is None else Decimal(target_price),
    )
