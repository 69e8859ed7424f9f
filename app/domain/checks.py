"""The checks of an order, in the order in which they are reported.

1. The symbol is known and tradable: the instruments say so before anything here.
2. The quantity is whole lots, and at most the freeze quantity if that is known.
3. Each price is a multiple of the tick size.
4. Each price is inside the day's band, if the quote has one.
5. A stop entry is beyond the last price; stop-loss and target are on their side of the entry.
6. The market is open. An order that passes this far also needs a current price.
7. An intraday order comes before the square-off: once there are products.
8. The margin is available, and open trades have not used up the equity.
9. The user has fewer than MAX_PENDING trades that wait for their entry.

Creating a trade fails with the first problem, a preview lists them all. Prices are rupees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from app.domain.errors import (
    InsufficientMargin,
    MarketClosed,
    PaperTradingError,
    PriceOffTick,
    QuantityOffLot,
    WrongSideOfPrice,
)
from app.domain.instrument import Instrument
from app.domain.money import MAX_PRICE, PAISA, required_margin
from app.domain.order import MAX_QUANTITY, Order, OrderType, TimeInForce
from app.domain.order_errors import (
    FreezeQuantity,
    PriceOutsideBand,
    TooManyPending,
    WouldTriggerImmediately,
)
from app.domain.quote import Quote
from app.domain.side import TradeType

MAX_PENDING = 250
ENTRY_PRICES = ("limit_price", "stop_price")
LEVELS = ("stop_loss", "target_price")
TRAILING_PRICES = ("trailing_offset", "trailing_step")
FORM = ("quantity", *ENTRY_PRICES, *LEVELS, *TRAILING_PRICES)


@dataclass(frozen=True, slots=True)
class Market:
    """The market of one instrument.

    `quote` is its last known price. `closed` is why orders are refused at this hour, `no_price`
    why none is taken at the quote. `queued_for` is the session that an order waits for, if it is
    not refused.
    """

    quote: Quote | None
    closed: MarketClosed | None = None
    no_price: PaperTradingError | None = None
    queued_for: date | None = None
    # Whether it waits for the price of the closing auction of that session.
    in_auction: bool = False

    @property
    def is_queueing(self) -> bool:
        """Whether an order waits for the next session."""
        return self.queued_for is not None


@dataclass(frozen=True, slots=True)
class Funds:
    """What a portfolio has for a new trade, in rupees. `margin_rate` is a fraction.

    `pending` is the number of trades that wait for their entry.
    """

    available_margin: Decimal
    margin_rate: Decimal
    equity: Decimal | None = None
    pending: int = 0


def form_problems(
    order: Order, instrument: Instrument, params: Collection[str] = FORM
) -> Iterator[PaperTradingError]:
    """Yield what is wrong with the order whatever the market does: checks 2 and 3.

    Only the fields in `params` are checked: what an order has had for long may be off a tick size
    that the exchange has changed since.
    """
    lot_size = instrument.lot_size
    if "quantity" in params and order.quantity % lot_size:
        below, above = _nearest(Decimal(order.quantity), Decimal(lot_size), Decimal(MAX_QUANTITY))
        yield QuantityOffLot(order.quantity, lot_size, below=_whole(below), above=_whole(above))
    freeze_quantity = instrument.freeze_quantity
    if "quantity" in params and freeze_quantity is not None and order.quantity > freeze_quantity:
        most = freeze_quantity // lot_size * lot_size
        yield FreezeQuantity(order.quantity, instrument.symbol, freeze_quantity, below=most or None)
    for param in (*ENTRY_PRICES, *LEVELS, *TRAILING_PRICES):
        price: Decimal | None = getattr(order, param) if param in params else None
        tick_size = tick_size_of(instrument, param)
        if price is not None and price % tick_size:
            below, above = _nearest(price, tick_size, MAX_PRICE)
            yield PriceOffTick(param, price, instrument.symbol, tick_size, below=below, above=above)


def market_problems(
    order: Order, instrument: Instrument, market: Market, params: Collection[str] = FORM
) -> Iterator[PaperTradingError]:
    """Yield what is wrong with the order in this market: checks 4 to 6.

    Only the prices in `params` are compared with the band, which is another one each day.
    """
    current = replace(market, quote=None) if market.no_price else market
    yield from _outside_band(order, instrument, current, params)
    yield from _sides(order, instrument, current)
    if market.closed is not None:
        yield market.closed
    if market.no_price is not None:
        yield market.no_price


def funds_problems(
    order: Order,
    instrument: Instrument,
    market: Market,
    funds: Funds,
    price: Decimal | None = None,
) -> Iterator[PaperTradingError]:
    """Yield what the order needs more than the portfolio has: checks 8 and 9.

    An order that ends unfilled needs nothing. `price` is that of its fill, by default the one that
    `entry_price` returns.
    """
    is_queued = market.is_queueing
    if ends_unfilled(order, market):
        return
    if price is None:
        price = entry_price(order, market.quote, is_queued=is_queued)
    if price is not None:
        required = required_margin(price, order.quantity, funds.margin_rate)
        too_little = funds.available_margin < required
        if too_little or (funds.equity is not None and funds.equity <= 0):
            yield insufficient_margin(order, instrument, price, funds)
    if funds.pending >= MAX_PENDING and not fills_at_once(order, market.quote, is_queued=is_queued):
        yield TooManyPending(order.order_type.value, MAX_PENDING)


def insufficient_margin(
    order: Order, instrument: Instrument, price: Decimal, funds: Funds
) -> InsufficientMargin:
    """Return the problem of an order at `price` that the portfolio cannot carry."""
    required = required_margin(price, order.quantity, funds.margin_rate)
    available = funds.available_margin
    if available >= required:
        return InsufficientMargin(required, available, order.quantity, equity=funds.equity)
    affordable = _affordable(instrument.lot_size, price, funds)
    return InsufficientMargin(required, available, order.quantity, below=affordable)


def fills_at_once(order: Order, quote: Quote | None, *, is_queued: bool = False) -> bool:
    """Return whether the order is filled on arrival: a market order, or a limit that is reached.

    No order is that waits for the next session.
    """
    if is_queued:
        return False
    if order.order_type is OrderType.LIMIT and order.limit_price is not None and quote:
        sign = order.trade_type.sign
        return sign * quote.price <= sign * order.limit_price
    return order.order_type is OrderType.MARKET


def ends_unfilled(order: Order, market: Market) -> bool:
    """Return whether the order is cancelled on arrival: IOC, and its limit is not reached."""
    fills = fills_at_once(order, market.quote, is_queued=market.is_queueing)
    return order.time_in_force is TimeInForce.IOC and not fills


def entry_price(order: Order, quote: Quote | None, *, is_queued: bool = False) -> Decimal | None:
    """Return the price at which the order is expected to be filled, and margin is blocked.

    That is the quote if it fills at once, else the limit, else the stop price. None for a market
    order without a quote.
    """
    if order.order_type is OrderType.MARKET or fills_at_once(order, quote, is_queued=is_queued):
        return quote.price if quote else None
    return order.limit_price or order.stop_price


def tick_size_of(instrument: Instrument, param: str) -> Decimal:
    """Return the step of the prices in a field.

    An index has no order book, so nothing refuses a level between two of its values.
    """
    is_level = param in (*LEVELS, *TRAILING_PRICES)
    return PAISA if instrument.is_index and is_level else instrument.tick_size


def _outside_band(
    order: Order, instrument: Instrument, market: Market, params: Collection[str]
) -> Iterator[PriceOutsideBand]:
    # The next session has a band of its own.
    if market.quote is None or market.is_queueing:
        return
    lower, upper = market.quote.details.lower_band, market.quote.details.upper_band
    for param in (*ENTRY_PRICES, *LEVELS):
        price: Decimal | None = getattr(order, param) if param in params else None
        if price is None:
            continue
        tick_size = tick_size_of(instrument, param)
        if upper is not None and price > upper:
            below = upper // tick_size * tick_size
            yield PriceOutsideBand(param, price, instrument.symbol, lower, upper, below=below)
        elif lower is not None and price < lower:
            above = lower if lower % tick_size == 0 else (lower // tick_size + 1) * tick_size
            yield PriceOutsideBand(param, price, instrument.symbol, lower, upper, above=above)


def _sides(
    order: Order, instrument: Instrument, market: Market
) -> Iterator[WouldTriggerImmediately | WrongSideOfPrice]:
    buying, quote = order.trade_type is TradeType.BUY, market.quote
    if order.stop_price is not None and quote and not _is_beyond(order, quote):
        tick_size = tick_size_of(instrument, "stop_price")
        below, above = _beyond(quote.price, tick_size)
        nearest = above if buying else below
        yield WouldTriggerImmediately(order.stop_price, _rule(buying), quote.price, nearest)
    prices = _entry_range(order, market)
    for param, is_below in zip(LEVELS, (buying, not buying), strict=True):
        level: Decimal | None = getattr(order, param)
        if level is None or not prices:
            continue
        price = min(prices) if is_below else max(prices)
        if level >= price if is_below else level <= price:
            below, above = _beyond(price, tick_size_of(instrument, param))
            is_quote = quote is not None and price == quote.price
            yield WrongSideOfPrice(
                param,
                level,
                _rule(not is_below),
                price,
                price_name="price" if is_quote else "entry price",
                nearest=below if is_below else above,
            )
    offset = order.trailing_offset
    if offset is not None and prices and offset >= min(prices):
        below, _ = _beyond(min(prices), tick_size_of(instrument, "trailing_offset"))
        yield WrongSideOfPrice("trailing_offset", offset, "below", min(prices), nearest=below)


def _is_beyond(order: Order, quote: Quote) -> bool:
    """Return whether the price still has to rise (BUY) or fall (SELL) to the stop price."""
    sign = order.trade_type.sign
    return order.stop_price is not None and sign * order.stop_price > sign * quote.price


def _entry_range(order: Order, market: Market) -> list[Decimal]:
    """Return the prices between which the order fills without a gap, [] if unknown.

    A stop-limit order fills between its stop price and a limit beyond it.
    """
    price = entry_price(order, market.quote, is_queued=market.is_queueing)
    prices = [] if price is None else [price]
    if order.order_type is OrderType.STOP_LIMIT and order.stop_price and order.limit_price:
        sign = order.trade_type.sign
        if sign * order.limit_price > sign * order.stop_price:
            prices.append(order.stop_price)
    return prices


def _affordable(lot_size: int, price: Decimal, funds: Funds) -> int | None:
    """Return the largest quantity that the available margin carries, None if there is none."""
    units = int(max(funds.available_margin, Decimal(0)) / (price * funds.margin_rate))
    quantity = min(units, MAX_QUANTITY) // lot_size * lot_size
    # A margin is rounded, so that one lot more may still be carried.
    if required_margin(price, quantity + lot_size, funds.margin_rate) <= funds.available_margin:
        quantity += lot_size
    return quantity or None


def _nearest(
    value: Decimal, step: Decimal, maximum: Decimal
) -> tuple[Decimal | None, Decimal | None]:
    """Return the multiples of `step` around a value that is none, None if not legal."""
    below = value // step * step
    above = below + step
    return below or None, above if above <= maximum else None


def _beyond(price: Decimal, tick_size: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Return the nearest prices strictly below and above `price`, None if not legal."""
    below, above = _nearest(price, tick_size, MAX_PRICE)
    if price % tick_size:
        return below, above
    lower = price - tick_size
    return lower or None, above


def _whole(quantity: Decimal | None) -> int | None:
    return None if quantity is None else int(quantity)


def _rule(is_above: bool) -> str:
    return "above" if is_above else "below"
