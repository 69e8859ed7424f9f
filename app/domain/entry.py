"""Entry orders that wait: for a price, for the next session, or for both.

A limit fills at its own price, or at the first price of a session that opens beyond it. A stop
fills at the tick that reaches it. A stop-limit becomes a limit at that tick, which may fill it at
once. A market order waits for the first price of the next session. Limit and market orders fill at
the price of a closing auction, in which stops do not fire.

A fill model with parts fills a resting limit that the price touches in part: the part becomes a
position, the rest waits as an order of its own. A price beyond the limit fills all of it, as do
auctions and openings. The parts are whole lots, at least one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.fill import FillRule
from app.domain.fill_profile import FillModel, is_same_minute
from app.domain.money import PAISA, ZERO, required_margin
from app.domain.order import OrderType, TimeInForce
from app.domain.quote import MAX_DELAY, Quote
from app.domain.session import session_day
from app.domain.side import TradeType
from app.domain.trailing import TrailingTerms
from app.domain.triggers import SettledFrom


@dataclass(frozen=True, slots=True)
class Entered:
    """The fill of an entry order, or of a part of it: the bracket that it opens."""

    bracket: Bracket
    # The quote that caused it.
    quote: Quote
    # The time of the quote that triggered a stop-limit which it also filled.
    triggered_at: datetime | None = None
    # What waits on if only a part was filled.
    rest: EntryOrder | None = None

    @property
    def rest_margin(self) -> Decimal:
        """The rupees that the rest blocks."""
        return self.rest.margin_at(self.rest.margin_price) if self.rest else ZERO


@dataclass(frozen=True, slots=True)
class Triggered:
    """A stop-limit reached its stop and is a limit from now on."""

    quote: Quote
    settled_from: SettledFrom | None = None


@dataclass(frozen=True, slots=True)
class MarginBasis:
    """The price (rupees) and the units that margin was blocked for, before they were adjusted."""

    price: Decimal
    quantity: int


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """An entry order and its bracket. Prices are rupees in whole paise, times UTC.

    `placed` is the last known quote when it was placed: later prices count. `expires_at` is in the
    time of the feed, as the times of quotes are.
    """

    trade_type: TradeType
    quantity: int
    order_type: OrderType
    placed: Quote
    # The blocked fraction of the order's value.
    margin_rate: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: datetime | None = None
    # The session that an order placed outside market hours waits for.
    queued_for: date | None = None
    triggered_at: datetime | None = None
    stop_loss: Decimal | None = None
    target_price: Decimal | None = None
    trailing: TrailingTerms | None = None
    # None unless a corporate action has adjusted it since.
    margin_basis: MarginBasis | None = None
    # None for the plain profile.
    model: FillModel | None = None
    # For the rest of an order, the time of the quote that filled the part before it.
    split_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When it ends unfilled: prices of before its expiry may arrive later than that."""
        if self.expires_at is None:
            return None
        return self.expires_at + (MAX_DELAY if self.placed.source.is_delayed else timedelta(0))

    @property
    def waits_for_limit(self) -> bool:
        """Whether the next price it waits for is its limit."""
        if self.order_type is OrderType.STOP_LIMIT:
            return self.triggered_at is not None
        return self.order_type is OrderType.LIMIT

    @property
    def waiting_price(self) -> Decimal | None:
        """The price that it waits for; None for a market order, which any price fills."""
        if self.order_type is OrderType.MARKET:
            return None
        return self.limit_price if self.waits_for_limit else self.stop_price

    @property
    def margin_price(self) -> Decimal:
        """The price at which its margin is blocked: its limit, its stop, or the last price."""
        return self.limit_price or self.stop_price or self.placed.price

    def margin_at(self, price: Decimal) -> Decimal:
        """Return the rupees that it blocks at a price."""
        return required_margin(price, self.quantity, self.margin_rate)

    @property
    def trigger_below(self) -> Decimal | None:
        """The price at or under which something happens to it."""
        return self.waiting_price if self._waits_for_fall else None

    @property
    def trigger_above(self) -> Decimal | None:
        """The price at or over which something happens to it."""
        if self.order_type is OrderType.MARKET:
            return PAISA
        return None if self._waits_for_fall else self.waiting_price

    @property
    def _waits_for_fall(self) -> bool:
        # A buyer's limit and a seller's stop lie below the market.
        return self.waits_for_limit is (self.trade_type is TradeType.BUY) and (
            self.order_type is not OrderType.MARKET
        )

    def filled_by(
        self,
        quote: Quote,
        settled_from: SettledFrom | None = None,
        *,
        furthest: Decimal | None = None,
    ) -> Entered | Triggered | None:
        """Return what `quote` causes, None if nothing or if it precedes the order.

        `furthest` is the furthest that the price went through a limit, by default `quote`.
        """
        if not self._counts(quote):
            return None
        if self.waiting_price is not None and not self._is_reached(quote.price):
            return None
        if quote.in_auction:
            return self._filled_in_auction(quote, settled_from)
        if self.order_type is OrderType.STOP_LIMIT and not self.waits_for_limit:
            return self._trigger(quote, settled_from)
        if not self.waits_for_limit:
            rule = FillRule.STOP if self.order_type is OrderType.STOP else FillRule.MARKET
            return self._enter(quote, quote.price, rule, settled_from)
        assert self.limit_price is not None
        if quote.opens_session and quote.price != self.limit_price:
            return self._enter(quote, quote.price, FillRule.OPENING, settled_from)
        is_touched = (quote.price if furthest is None else furthest) == self.limit_price
        if is_touched and not self._fills_touched(quote):
            return None
        entered = self._enter(quote, self.limit_price, FillRule.LIMIT, settled_from)
        return self._in_part(entered) if is_touched else entered

    def _fills_touched(self, quote: Quote) -> bool:
        """Return whether it is filled by a quote at its limit.

        The rest of an order is not in the minute that filled the part before it: a candle tells one
        touch of a minute, however many ticks touch.
        """
        if self.model is None:
            return True
        if self.split_at is not None and is_same_minute(self.split_at, quote.timestamp):
            return False
        return self.model.fills_touched("entry", quote.timestamp)

    def _in_part(self, whole: Entered) -> Entered:
        """Return the fill of the part that the model gives a touched limit."""
        model, time = self.model, whole.quote.timestamp
        if model is None or self.time_in_force is TimeInForce.IOC:
            return whole
        part = model.part_touched("entry", time, self.quantity)
        if part == self.quantity:
            return whole
        rest = replace(
            self,
            quantity=self.quantity - part,
            # Later prices count.
            placed=whole.quote,
            queued_for=None,
            margin_basis=None,
            model=model.of_rest(),
            split_at=time,
        )
        return replace(whole, bracket=replace(whole.bracket, quantity=part), rest=rest)

    def _filled_in_auction(self, quote: Quote, settled_from: SettledFrom | None) -> Entered | None:
        """Return the fill by the price of a closing auction, None for a stop."""
        if not self.waits_for_limit and self.order_type is not OrderType.MARKET:
            return None
        return self._enter(quote, quote.price, FillRule.AUCTION, settled_from)

    def filled_on_arrival(self, quote: Quote) -> Entered | None:
        """Return the fill of a limit that `quote` reaches at once: at the quote, no worse."""
        if not self.waits_for_limit or not self._is_reached(quote.price):
            return None
        return self._enter(quote, quote.price, FillRule.MARKET, None)

    def filled_in(self, candle: Candle) -> Entered | Triggered | None:
        """Return what the prices of `candle` cause, None if nothing.

        Beyond its price at the open, it fills by the open as by a tick; later, at its own price.
        A candle that began before the order was placed is ignored.
        """
        if candle.time < self.placed.timestamp:
            return None
        if candle.time == self.triggered_at and not candle.in_auction:
            return self._filled_after_trigger(candle)
        opening = self.filled_by(candle.opening, SettledFrom.GAP)
        price = self.waiting_price
        if opening is not None or candle.in_auction or price is None:
            return opening
        if not candle.low <= price <= candle.high:
            return None
        furthest = candle.low if self._waits_for_fall else candle.high
        filled = self.filled_by(candle.quote_at(price), SettledFrom.GAP, furthest=furthest)
        if isinstance(filled, Entered) and filled.bracket.entry_rule is not FillRule.LIMIT:
            return replace(filled, bracket=replace(filled.bracket, entry_rule=FillRule.CANDLE))
        return filled

    def _filled_after_trigger(self, candle: Candle) -> Entered | Triggered | None:
        """Return the fill in the candle that triggered it, if that surely came later."""
        assert self.stop_price is not None
        assert self.limit_price is not None
        opened_beyond = (candle.open - self.stop_price) * self.trade_type.sign >= 0
        # Triggered at the open, any later price counts; triggered later, only the close.
        lowest, highest = (
            (candle.low, candle.high) if opened_beyond else (candle.close, candle.close)
        )
        best = lowest if self.trade_type is TradeType.BUY else highest
        if self._is_reached(best) and best != candle.open:
            quote = candle.quote_at(self.limit_price)
            return self.filled_by(quote, SettledFrom.GAP, furthest=best)
        return None

    def _trigger(self, quote: Quote, settled_from: SettledFrom | None) -> Entered | Triggered:
        assert self.limit_price is not None
        if (quote.price - self.limit_price) * self.trade_type.sign > 0:
            return Triggered(quote, settled_from)
        # The limit is marketable: it fills at the quote, which is no worse.
        entered = self._enter(quote, quote.price, FillRule.MARKET, settled_from)
        return replace(entered, triggered_at=quote.timestamp)

    def _enter(
        self, quote: Quote, price: Decimal, rule: FillRule, settled_from: SettledFrom | None
    ) -> Entered:
        return Entered(
            Bracket.entered(
                self.trade_type,
                self.quantity,
                quote,
                price=price,
                rule=rule,
                settled_from=settled_from,
                stop_loss=self.stop_loss,
                target_price=self.target_price,
                trailing=self.trailing,
                model=self.model,
                limit=self.limit_price,
            ),
            quote,
        )

    def _counts(self, quote: Quote) -> bool:
        placed = self.placed
        if self.expires_at is not None and quote.timestamp >= self.expires_at:
            return False
        if self.queued_for and quote.in_auction and session_day(quote) < self.queued_for:
            return False
        # Nor does an auction that took its orders before this one was modified, nor a price of
        # before a corporate action: the time tells its units.
        by_time = quote.in_auction or self.margin_basis is not None
        if by_time and quote.timestamp < placed.timestamp:
            return False
        if self._precedes_trigger(quote):
            return False
        return quote.counts_for(placed.source) and not quote.precedes(
            placed.source, placed.timestamp, placed.posting
        )

    def _precedes_trigger(self, quote: Quote) -> bool:
        """Return whether a stop-limit was triggered after a quote.

        Prices are settled again from the first one if the database was away in between. Simulated
        and recorded times start again with another board.
        """
        if self.triggered_at is None or quote.timestamp >= self.triggered_at:
            return False
        board, own = quote.posting, self.placed.posting
        is_comparable = board is None or (own is not None and board.board == own.board)
        return is_comparable or quote.source.is_real

    def _is_reached(self, price: Decimal) -> bool:
        level = self.waiting_price
        assert level is not None
        return price <= level if self._waits_for_fall else price >= level
