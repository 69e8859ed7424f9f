"""The bracket: an entry with an optional stop-loss and target, and the exits that prices cause.

A bracket of either side closes when the price falls to `trigger_below` or rises to
`trigger_above`. Both are stored with the trade, so queries find the trades that a tick closes.
The stop-loss is a stop: it exits at the tick that reaches it. The target is a limit: it exits at
its own price, or at the first price of a session that opens beyond it, or at that of a closing
auction. A trailing stop is a stop that moves with the best price (app/domain/trailing.py). Beside a
stop-loss, the tighter one counts. app/domain/candle_exits.py has the exits that candles cause.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from app.domain.fill import SLIPPING, Exit, ExitReason, FillRule, PricePoint, QueuedExit
from app.domain.fill_profile import FillModel, Slippage, is_same_minute
from app.domain.money import PAISA, ZERO
from app.domain.quote import Posting, Quote, Source
from app.domain.side import TradeType, require_sides
from app.domain.trailing import Start, TrailingStop, TrailingTerms, is_better
from app.domain.triggers import SettledFrom


@dataclass(frozen=True, slots=True)
class Bracket:
    """An entry with its protective levels. Prices are rupees in whole paise.

    `quantity` is what was entered, `exited` what has left since. `entry_quote_price` is the price
    of the quote that caused the entry, which a limit may differ from.
    """

    trade_type: TradeType
    quantity: int
    entry_price: Decimal
    entry_source: Source
    entry_timestamp: datetime
    stop_loss: Decimal | None = None
    target_price: Decimal | None = None
    # None for a trade of an earlier version.
    entry_posting: Posting | None = None
    entry_rule: FillRule | None = None
    entry_quote_price: Decimal | None = None
    entry_settled_from: SettledFrom | None = None
    exited: int = 0
    # The time of the quote at which its touched target last exited a part.
    touched_at: datetime | None = None
    # The last known quote when its levels were modified: only later prices count.
    levels_since: Quote | None = None
    trailing: TrailingTerms | None = None
    # What the trailing stop follows prices from, if it was set after the entry.
    trailing_start: Start | None = None
    exit_queued: QueuedExit | None = None
    # None for the plain profile.
    model: FillModel | None = None
    entry_slippage: Slippage | None = None

    @classmethod
    def open(
        cls,
        trade_type: TradeType,
        quantity: int,
        quote: Quote,
        *,
        stop_loss: Decimal | None = None,
        target_price: Decimal | None = None,
        trailing: TrailingTerms | None = None,
    ) -> Bracket:
        """Enter at `quote`; raise WrongSideOfPrice for a level that would trigger immediately."""
        require_sides(trade_type, quote.price, stop_loss=stop_loss, target_price=target_price)
        return cls.entered(
            trade_type,
            quantity,
            quote,
            stop_loss=stop_loss,
            target_price=target_price,
            trailing=trailing,
        )

    @classmethod
    def entered(
        cls,
        trade_type: TradeType,
        quantity: int,
        quote: Quote,
        *,
        price: Decimal | None = None,
        rule: FillRule = FillRule.MARKET,
        settled_from: SettledFrom | None = None,
        stop_loss: Decimal | None = None,
        target_price: Decimal | None = None,
        trailing: TrailingTerms | None = None,
        model: FillModel | None = None,
        limit: Decimal | None = None,
    ) -> Bracket:
        """Enter at `price`, by default that of the `quote`, or what a `model` makes of it."""
        bracket = cls(
            trade_type=trade_type,
            quantity=quantity,
            entry_price=quote.price if price is None else price,
            entry_source=quote.source,
            entry_timestamp=quote.timestamp,
            stop_loss=stop_loss,
            target_price=target_price,
            entry_posting=quote.posting,
            entry_rule=rule,
            entry_quote_price=quote.price,
            entry_settled_from=settled_from,
            trailing=trailing,
        )
        return bracket.filled_by(model, quote, limit) if model else bracket

    def filled_by(self, model: FillModel, quote: Quote, limit: Decimal | None = None) -> Bracket:
        """Return it as entered at `quote` under a model, by an order with a `limit` if given."""
        if self.entry_rule not in SLIPPING:
            return replace(self, model=model)
        price, slippage = model.fill(quote, self.trade_type.sign, "entry", limit)
        return replace(self, model=model, entry_price=price, entry_slippage=slippage)

    @property
    def entry_market_price(self) -> Decimal:
        """The price of its entry before slippage."""
        slippage = self.entry_slippage.amount if self.entry_slippage else ZERO
        return self.entry_price - self.trade_type.sign * slippage

    @property
    def open_quantity(self) -> int:
        """The quantity that is still held."""
        return self.quantity - self.exited

    @property
    def trailing_stop(self) -> TrailingStop | None:
        """The trailing stop, if it has one."""
        if self.trailing is None:
            return None
        start = self.trailing_start or Start(
            self.entry_market_price, self.entry_source, self.entry_timestamp, self.entry_posting
        )
        return TrailingStop(self.trade_type, self.trailing, start)

    @property
    def trigger_below(self) -> Decimal | None:
        """The price at or under which the bracket closes, before a trailing stop has moved."""
        return self.stop_after() if self.trade_type is TradeType.BUY else self.target_price

    @property
    def trigger_above(self) -> Decimal | None:
        """The price at or over which the bracket closes, before a trailing stop has moved.

        Any price is, for an exit that is queued.
        """
        if self.exit_queued is not None:
            return PAISA
        return self.target_price if self.trade_type is TradeType.BUY else self.stop_after()

    def stop_after(self, best: Quote | None = None) -> Decimal | None:
        """Return the price of the tighter stop after the best price `best`.

        None stands for the price that the trailing stop was set at.
        """
        return self._tighter_stop(best)[0]

    def _tighter_stop(self, best: Quote | None) -> tuple[Decimal | None, ExitReason]:
        trailing = self.trailing_stop
        if trailing is not None:
            level = trailing.level(best)
            if self.stop_loss is None or is_better(self.trade_type, level, self.stop_loss):
                return level, ExitReason.TRAILING_STOP
        return self.stop_loss, ExitReason.STOP_LOSS

    def pnl_at(self, price: Decimal, quantity: int | None = None) -> Decimal:
        """Return the rupees earned, or lost if negative, by exiting a quantity at `price`.

        By default the quantity that is still held.
        """
        quantity = self.open_quantity if quantity is None else quantity
        # Adding zero turns the -0.00 of a sell that ends at its entry price into 0.00.
        return (price - self.entry_price) * quantity * self.trade_type.sign + ZERO

    def may_exit_at(self, quote: Quote) -> bool:
        """Return whether `quote` may close it: a real entry never exits at a mock price."""
        return quote.counts_for(self.entry_source)

    def _follows(self, quote: Quote) -> bool:
        if quote.precedes(self.entry_source, self.entry_timestamp, self.entry_posting):
            return True
        since = self.levels_since
        if since is None:
            return False
        # A corporate action has no place in the order of ticks: the time tells the units. An
        # auction takes no orders any more when its price is known.
        by_time = since.posting is None or quote.in_auction
        is_older = by_time and quote.timestamp < since.timestamp
        return is_older or quote.precedes(since.source, since.timestamp, since.posting)

    def exit_at(
        self,
        quote: Quote,
        reason: ExitReason,
        settled_from: SettledFrom | None = None,
        *,
        price: Decimal | None = None,
        rule: FillRule = FillRule.MARKET,
        quantity: int | None = None,
    ) -> Exit:
        """Exit for `reason` at `price`, by default that of `quote`; by default all that is held.

        What exits at market has the slippage of the model.
        """
        quantity = self.open_quantity if quantity is None else quantity
        price = quote.price if price is None else price
        slippage = None
        if self.model and rule in SLIPPING:
            side, number = -self.trade_type.sign, f"exit {self.exited}"
            limit = self.target_price if reason is ExitReason.TARGET else None
            price, slippage = self.model.fill(quote, side, number, limit)
        pnl = self.pnl_at(price, quantity)
        return Exit(reason, quote, price, quantity, pnl, rule, settled_from, slippage=slippage)

    def queued_exit_at(self, quote: Quote, settled_from: SettledFrom | None = None) -> Exit | None:
        """Return the exit that waits for the session, if `quote` is a price of it."""
        queued = self.exit_queued
        if queued is None or not self.may_exit_at(quote) or not queued.counts(quote):
            return None
        quantity = min(queued.quantity, self.open_quantity)
        rule = FillRule.AUCTION if quote.in_auction else FillRule.MARKET
        return self.exit_at(quote, ExitReason.USER, settled_from, rule=rule, quantity=quantity)

    def after_part(self, exit: Exit) -> Bracket:
        """Return what is left after a part was exited; a queued exit is done or obsolete then."""
        is_touch = exit.reason is ExitReason.TARGET
        touched_at = exit.quote.timestamp if is_touch else self.touched_at
        exited = self.exited + exit.quantity
        return replace(self, exited=exited, touched_at=touched_at, exit_queued=None)

    def was_touched(self, quote: Quote) -> bool:
        """Return whether its target exited a part in the minute of `quote`.

        What is left is then not decided again: a candle tells one touch of a minute, however many
        ticks touch.
        """
        return self.touched_at is not None and is_same_minute(self.touched_at, quote.timestamp)

    def triggered_by(
        self,
        quote: Quote,
        settled_from: SettledFrom | None = None,
        best: Quote | None = None,
        *,
        furthest: Decimal | None = None,
    ) -> Exit | None:
        """Return the exit that `quote` causes, None if it causes none or precedes the entry.

        `best` is the best price that its trailing stop followed before, None for that of its start.
        `furthest` is the furthest that the price went towards the target, by default `quote`.
        In the closing auction no stop fires.
        """
        if not self.may_exit_at(quote) or self._follows(quote):
            return None
        stop, reason = self._tighter_stop(best)
        if not quote.in_auction and self.is_reached(stop, quote.price, losing=True):
            exit = self.exit_at(quote, reason, settled_from, rule=FillRule.STOP)
            return replace(exit, best=self._followed(reason, best))
        if self.is_reached(self.target_price, quote.price, losing=False):
            return self._exit_at_target(quote, settled_from, furthest)
        return None

    def _followed(self, reason: ExitReason, best: Quote | None) -> PricePoint | None:
        """Return the evidence of the level of a trailing stop."""
        if reason is not ExitReason.TRAILING_STOP:
            return None
        if best is not None:
            return PricePoint(best.price, best.timestamp)
        trailing = self.trailing_stop
        assert trailing is not None
        return PricePoint(trailing.start.price, trailing.start.timestamp)

    def _exit_at_target(
        self, quote: Quote, settled_from: SettledFrom | None, furthest: Decimal | None
    ) -> Exit | None:
        assert self.target_price is not None
        if quote.in_auction:
            price, rule = quote.price, FillRule.AUCTION
        elif quote.opens_session and quote.price != self.target_price:
            price, rule = quote.price, FillRule.OPENING
        elif self.is_reached(self.target_price, self.entry_market_price, losing=False):
            # The entry itself was beyond it, so the limit was better than the market at once.
            price, rule = quote.price, FillRule.MARKET
        else:
            return self._exit_resting_target(quote, settled_from, furthest)
        return self.exit_at(quote, ExitReason.TARGET, settled_from, price=price, rule=rule)

    def _exit_resting_target(
        self, quote: Quote, settled_from: SettledFrom | None, furthest: Decimal | None
    ) -> Exit | None:
        """Return the exit at the target itself, None if it was touched and the model keeps it."""
        target, model, quantity = self.target_price, self.model, self.open_quantity
        if model and (quote.price if furthest is None else furthest) == target:
            limit = f"target {self.exited}"
            if self.was_touched(quote) or not model.fills_touched(limit, quote.timestamp):
                return None
            quantity = model.part_touched(limit, quote.timestamp, quantity)
        rule, reason = FillRule.LIMIT, ExitReason.TARGET
        return self.exit_at(quote, reason, settled_from, price=target, rule=rule, quantity=quantity)

    def is_reached(self, level: Decimal | None, price: Decimal, *, losing: bool) -> bool:
        """Return whether `price` is at or beyond a level on the losing or the winning side."""
        if level is None:
            return False
        falls = losing is (self.trade_type is TradeType.BUY)
        return price <= level if falls else price >= level
