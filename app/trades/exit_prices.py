"""At which price a trade is exited by its user: the last traded one, however old.

If no source has a price, as of a share that was delisted or renamed, the last known price serves
once a trading day has passed without another, and if the user says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.bracket import Exit, ExitReason, SettledFrom
from app.domain.errors import LastPriceTooEarly, MarketDataUnavailable, PaperTradingError
from app.domain.quote import Quote, SeenQuote
from app.market_data.quotes import LastPrice
from app.models import SymbolState, Trade, TradeExit
from app.services import now, services


@dataclass(frozen=True, slots=True)
class NotExited:
    """A trade that has no price to be exited at, and the code of the reason."""

    trade: Trade
    code: str


def price_exit(trade: Trade, *, at_last_price: bool) -> TradeExit:
    """Return the exit of a trade; it may wait for a source, once.

    Raises MarketDataUnavailable if no source has a price. With `at_last_price` the last known
    one serves then; LastPriceTooEarly if a source had one within a trading day.
    """
    prices = services().quotes.confirmed_prices([trade.symbol])
    return _price(trade, prices.get(trade.symbol), at_last_price)


def price_exits(
    trades: Sequence[Trade], *, at_last_price: bool
) -> tuple[list[TradeExit], list[NotExited]]:
    """Return the exits of the trades that have a price, and the others; wait once for all."""
    prices = services().quotes.confirmed_prices({each.symbol for each in trades})
    closures, others = [], []
    for trade in trades:
        try:
            closures.append(_price(trade, prices.get(trade.symbol), at_last_price))
        except PaperTradingError as error:
            others.append(NotExited(trade, error.code))
    return closures, others


def _price(trade: Trade, price: LastPrice | None, at_last_price: bool) -> TradeExit:
    if price and trade.bracket.may_exit_at(price.quote):
        return TradeExit(trade, trade.bracket.exit_at(price.quote, ExitReason.USER))
    last = _last_seen(trade)
    if not at_last_price:
        raise _no_price(trade, last, has_simulated_price=price is not None)
    if not _is_final(last):
        raise LastPriceTooEarly(trade.symbol, last.quote.price, last.seen_at)
    return TradeExit(trade, _exit_at_last(trade, last.quote))


def _last_seen(trade: Trade) -> SeenQuote:
    """Return the last quote that may close the trade; its entry if nothing newer is known."""
    bracket = trade.bracket
    entry = Quote(trade.symbol, bracket.entry_price, bracket.entry_source, bracket.entry_timestamp)
    # Of several seen at the same time the first is taken.
    known = [
        services().quotes.seen_quotes([trade.symbol]).get(trade.symbol),
        SymbolState.find_real_quote(trade.symbol),
        SeenQuote(entry, trade.created_at),
    ]
    usable = [each for each in known if each and bracket.may_exit_at(each.quote)]
    return max(usable, key=lambda each: each.seen_at)


def _is_final(last: SeenQuote) -> bool:
    time = now()
    return services().calendar.is_trading_day_ago(last.seen_at, time)


def _exit_at_last(trade: Trade, quote: Quote) -> Exit:
    exit = trade.bracket.exit_at(quote, ExitReason.USER)
    return replace(exit, settled_from=SettledFrom.LAST_PRICE)


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
