"""The prices of exits that a user asks for.

A trade exits at the last traded price, however old. If no source has a price, as of a share that
was delisted, the last known price serves once a trading day has passed, if the user asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.database import Document
from app.domain.errors import LastPriceTooEarly, MarketDataUnavailable, PaperTradingError
from app.domain.quote import Quote, SeenQuote
from app.domain.share import Share
from app.domain.trade import exit_by_user
from app.domain.trade_errors import QuantityNotHeld
from app.domain.triggers import SettledFrom
from app.models import SymbolState, Trade, TradeChange
from app.services import now, services
from app.trades.state import trade_state


def price_exits(
    trades: Sequence[Trade], share: Share, *, at_last_price: bool
) -> tuple[list[TradeChange], list[Document]]:
    """Return the exit of a share of each trade that has a price, and why the others have none."""
    quotes = services().quotes.confirmed({trade.symbol for trade in trades})
    exits: list[TradeChange] = []
    others: list[Document] = []
    for trade in trades:
        try:
            exit = price_exit(trade, quotes.get(trade.symbol), share, at_last_price=at_last_price)
            exits.append(exit)
        except PaperTradingError as error:
            others.append(name_refusal(trade, error))
    return exits, others


def name_refusal(trade: Trade, error: PaperTradingError) -> Document:
    """Return a trade that cannot exit, and the code of the error of its exit."""
    return {"trade_id": str(trade.id), "symbol": trade.symbol, "code": error.code}


def price_exit(
    trade: Trade, quote: Quote | None, share: Share, *, at_last_price: bool
) -> TradeChange:
    """Return the exit of a share at `quote`, or at the last known price if that may be used.

    Raises QuantityOffLot, QuantityNotHeld, MarketDataUnavailable, LastPriceTooEarly.
    """
    quantity, actions = quantity_of(trade, share), services().actions
    if quote:
        actions.require_same_units(trade, quote)
    if quote and trade.entered.may_exit_at(quote):
        return TradeChange(trade, exit_by_user(trade, quote, quantity=quantity))
    last = last_seen(trade)
    if last.quote.timestamp != trade.set_at:
        # Its own entry price has been adjusted with it.
        actions.require_same_units(trade, last.quote)
    if not at_last_price:
        raise _no_price(trade, last, has_simulated_price=quote is not None)
    time = now()
    if not services().calendar.is_trading_day_ago(last.seen_at, time):
        raise LastPriceTooEarly(trade.symbol, last.quote.price, last.seen_at)
    settled_from = SettledFrom.LAST_PRICE
    return TradeChange(trade, exit_by_user(trade, last.quote, settled_from, quantity=quantity))


def quantity_of(trade: Trade, share: Share) -> int:
    """Return the units of a share; raise QuantityOffLot, or QuantityNotHeld for too many."""
    held = trade.entered.open_quantity
    if share.is_all:
        return held
    instrument = services().instruments.find(trade.symbol)
    quantity = share.of(held, instrument.lot_size if instrument else 1)
    if quantity > held:
        raise QuantityNotHeld(quantity, trade_state(trade))
    return quantity


def last_seen(trade: Trade) -> SeenQuote:
    """Return the last quote that may close the trade; its entry if nothing newer is known."""
    bracket = trade.entered
    price = bracket.entry_market_price
    entry = Quote(trade.symbol, price, bracket.entry_source, bracket.entry_timestamp)
    # max() takes the first of several that were seen at the same time.
    known = [
        services().quotes.known([trade.symbol]).get(trade.symbol),
        SymbolState.find_real_quote(trade.symbol),
        SeenQuote(entry, trade.created_at),
    ]
    usable = [seen for seen in known if seen and bracket.may_exit_at(seen.quote)]
    return max(usable, key=lambda seen: seen.seen_at)


def _no_price(trade: Trade, last: SeenQuote, *, has_simulated_price: bool) -> MarketDataUnavailable:
    reason = (
        "no live price right now, and a trade opened at a live price is not closed at a simulated "
        "one"
        if has_simulated_price
        else "no price right now"
    )
    return MarketDataUnavailable(
        f"{trade.symbol} has {reason}. Try again shortly. Once no source has had a price for a "
        'trading day, send {"at_last_price": true} to exit at the last known one.',
        details={
            "symbol": trade.symbol,
            "last_price": last.quote.price,
            "price_time": last.quote.timestamp,
        },
    )
