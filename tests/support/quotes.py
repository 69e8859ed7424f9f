"""Short helpers to create quotes, brackets and entry orders."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.entry import EntryOrder
from app.domain.order import OrderType
from app.domain.quote import Quote, QuoteDetails, Source
from app.domain.side import TradeType

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

# What a source may say of a symbol that was at 100 the day before.
DETAILS = QuoteDetails(
    bid=Decimal("104.95"),
    ask=Decimal("105.10"),
    previous_close=Decimal("100.00"),
    open=Decimal("101.00"),
    high=Decimal("106.00"),
    low=Decimal("99.50"),
    volume=12_500,
    lower_band=Decimal("90.00"),
    upper_band=Decimal("110.00"),
)


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


def entry_order(
    order_type: OrderType,
    trade_type: TradeType = TradeType.BUY,
    *,
    limit_price: Decimal | int | None = None,
    stop_price: Decimal | int | None = None,
    placed: Quote | None = None,
    expires_at: datetime | None = None,
    stop_loss: Decimal | int | None = None,
    target_price: Decimal | int | None = None,
) -> EntryOrder:
    """Return an order of 2 units that was placed at 100 by default; a fifth of it is blocked."""
    levels = [
        None if price is None else Decimal(price)
        for price in (limit_price, stop_price, stop_loss, target_price)
    ]
    return EntryOrder(
        trade_type=trade_type,
        quantity=2,
        order_type=order_type,
        placed=placed or quote(100),
        margin_rate=Decimal("0.2"),
        limit_price=levels[0],
        stop_price=levels[1],
        expires_at=expires_at,
        stop_loss=levels[2],
        target_price=levels[3],
    )
