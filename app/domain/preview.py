"""What an order would cost and earn: the estimate of a preview, and its warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.domain.checks import Market, ends_unfilled, entry_price, fills_at_once
from app.domain.fill_profile import ODDS, FillModel, FillProfile
from app.domain.money import ZERO, required_margin
from app.domain.order import Order, OrderType
from app.domain.quote import Quote
from app.domain.trailing import TrailingTerms


class WarningCode(StrEnum):
    """What a user should know before an order, although it is accepted."""

    NO_STOP_LOSS = "no_stop_loss"
    LOSS_EXCEEDS_MARGIN = "loss_exceeds_margin"
    FILLS_AT_ONCE = "fills_at_once"
    ENDS_UNFILLED = "ends_unfilled"
    QUEUED = "queued"
    TOUCH_MAY_NOT_FILL = "touch_may_not_fill"
    PRICE_STALE = "price_stale"
    PRICE_DELAYED = "price_delayed"
    PRICE_UNCONFIRMED = "price_unconfirmed"


@dataclass(frozen=True, slots=True)
class OrderWarning:
    code: WarningCode
    message: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """An order at the price of its entry. Amounts are rupees.

    `margin_required` is 0 for an order that is cancelled on arrival. `loss_at_stop` is that of the
    tighter stop: the stop-loss, or the trailing stop where it begins. It and `reward_at_target`
    are positive: None without the level, or if it is on the wrong side.
    """

    entry_price: Decimal
    margin_required: Decimal
    loss_at_stop: Decimal | None
    reward_at_target: Decimal | None

    @classmethod
    def of(
        cls,
        order: Order,
        market: Market,
        margin_rate: Decimal,
        trailing: TrailingTerms | None = None,
        model: FillModel | None = None,
    ) -> Estimate | None:
        """Return the estimate of an order with these terms of its trailing stop.

        None if it has no price. The `model` is None for the plain fill profile.
        """
        quote, is_queued = market.quote, market.is_queueing
        start = entry = entry_price(order, quote, is_queued=is_queued)
        if entry is None or start is None:
            return None
        if model and quote and fills_at_once(order, quote, is_queued=is_queued):
            entry, _ = model.fill(quote, order.trade_type.sign, "entry", order.limit_price)
        margin = required_margin(entry, order.quantity, margin_rate)
        per_rupee = order.quantity * order.trade_type.sign
        trailed = trailing.level(order.trade_type, start, start) if trailing else None
        stops = [level for level in (order.stop_loss, trailed) if level is not None]
        losses = [(entry - level) * per_rupee for level in stops]
        targets = [] if order.target_price is None else [order.target_price]
        rewards = [(level - entry) * per_rupee for level in targets]
        return cls(
            entry_price=entry,
            margin_required=ZERO if ends_unfilled(order, market) else margin,
            loss_at_stop=_least_positive(losses),
            reward_at_target=_least_positive(rewards),
        )

    @property
    def reward_risk_ratio(self) -> Decimal | None:
        """The rupees that the target earns for each that the stop-loss costs."""
        if self.loss_at_stop is None or self.reward_at_target is None:
            return None
        return self.reward_at_target / self.loss_at_stop


def order_warnings(
    order: Order, market: Market, estimate: Estimate | None
) -> Iterator[OrderWarning]:
    """Yield what the levels of an order should make its user think about, and what follows it."""
    if order.stop_loss is None and not order.is_trailing:
        yield OrderWarning(WarningCode.NO_STOP_LOSS, "Without a stop-loss nothing limits the loss.")
    loss = estimate.loss_at_stop if estimate else None
    if estimate and loss is not None and loss > estimate.margin_required > 0:
        yield OrderWarning(
            WarningCode.LOSS_EXCEEDS_MARGIN,
            f"At its stop the trade loses {loss}, more than the margin that it blocks, "
            f"which is {estimate.margin_required}.",
        )
    yield from _arrival_warnings(order, market)


def _arrival_warnings(order: Order, market: Market) -> Iterator[OrderWarning]:
    quote = market.quote
    if market.in_auction:
        yield OrderWarning(
            WarningCode.QUEUED,
            "The closing auction has begun: LIMIT and MARKET orders wait for its price, stops for "
            "the next session.",
        )
    elif market.queued_for is not None:
        yield OrderWarning(
            WarningCode.QUEUED,
            "The market is closed: the order waits for the session of "
            f"{market.queued_for.day} {market.queued_for:%B %Y}.",
        )
    elif quote is None or order.order_type is not OrderType.LIMIT:
        return
    elif fills_at_once(order, quote):
        yield OrderWarning(
            WarningCode.FILLS_AT_ONCE,
            f"The price, {quote.price}, has reached the limit: the order is filled at once.",
        )
    elif ends_unfilled(order, market):
        yield OrderWarning(
            WarningCode.ENDS_UNFILLED,
            f"The price, {quote.price}, has not reached the limit: an IOC order is cancelled "
            "at once.",
        )


def touch_fill_pct(order: Order, market: Market, profile: FillProfile) -> int | None:
    """Return the chance in per cent that a limit of an order fills which the price only touches.

    None if the profile leaves it to no chance, or if neither its entry nor its exit is a limit that
    waits.
    """
    odds = ODDS.get(profile)
    waits = order.limit_price is not None and not (
        fills_at_once(order, market.quote, is_queued=market.is_queueing)
        or ends_unfilled(order, market)
    )
    return odds.touched if odds and (waits or order.target_price is not None) else None


def touch_warnings(touch_pct: int | None, profile: FillProfile) -> Iterator[OrderWarning]:
    """Yield that a limit may wait on at its price, with the chance of `touch_fill_pct`."""
    if touch_pct is not None:
        yield OrderWarning(
            WarningCode.TOUCH_MAY_NOT_FILL,
            f"With the fill profile {profile}, a limit or target that the price only touches is "
            f"filled with a chance of {touch_pct} % in each minute of it.",
        )


def price_warnings(
    quote: Quote, *, stale: bool, unconfirmed: Quote | None
) -> Iterator[OrderWarning]:
    """Yield why the price of an order may differ from the exchange's."""
    if stale:
        yield OrderWarning(WarningCode.PRICE_STALE, f"The price, {quote.price}, is out of date.")
    if quote.source.is_delayed:
        yield OrderWarning(
            WarningCode.PRICE_DELAYED, "The price may be minutes behind the exchange."
        )
    if unconfirmed is not None:
        yield OrderWarning(
            WarningCode.PRICE_UNCONFIRMED,
            f"A newer price, {unconfirmed.price}, needs confirmation before it counts.",
        )


def _least_positive(amounts: Iterable[Decimal]) -> Decimal | None:
    return min((amount for amount in amounts if amount > 0), default=None)
