"""The closing auction: LIMIT and MARKET are filled at its price, stops do not fire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.entry import Entered, EntryOrder
from app.domain.fill import Exit, ExitReason, FillRule, QueuedExit
from app.domain.instrument import Instrument
from app.domain.order import OrderType
from app.domain.quote import Quote, Source
from app.domain.side import TradeType
from app.domain.trade import TradeStatus, Transition, on_candle, on_quote
from app.domain.trailing import TrailingTerms, Unit
from app.market_data.auctions import ClosingAuctions
from app.market_data.calendar import TradingCalendar
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.session_prices import SessionPrices, mark_candles
from tests.support.exchange_time import ist
from tests.support.quotes import NOON, bracket, entry_order, quote
from tests.unit.test_trade_life import Trade

BUY, SELL = TradeType
Settle = Callable[[Trade, int], Transition | None]


def by_tick(trade: Trade, price: int) -> Transition | None:
    return on_quote(trade, replace(quote(price, timestamp=NOON + MINUTE), in_auction=True))


def by_candle(trade: Trade, price: int) -> Transition | None:
    """Settle from a candle whose other prices are those that sources repeat before the auction."""
    candle = Candle.of([quote(each, timestamp=NOON + MINUTE) for each in (100, price)])
    return on_candle(trade, replace(candle, in_auction=True))


MINUTE = timedelta(minutes=1)
settled = pytest.mark.parametrize("settle", [by_tick, by_candle])


def active(held: Bracket) -> Trade:
    return Trade(TradeStatus.ACTIVE, held)


def pending(order: EntryOrder) -> Trade:
    # Only the order counts while it waits.
    return Trade(TradeStatus.PENDING, bracket(), order)


def entered(transition: Transition | None) -> tuple[object, ...]:
    assert transition is not None
    assert isinstance(transition.change, Entered)
    return transition.change.bracket.entry_price, transition.change.bracket.entry_rule


def exited(transition: Transition | None) -> tuple[object, ...]:
    assert transition is not None
    assert isinstance(transition.change, Exit)
    return transition.change.reason, transition.change.price, transition.change.rule


@settled
@pytest.mark.parametrize(("side", "stop", "price"), [(BUY, 95, 90), (SELL, 105, 110)])
def test_a_stop_loss_does_not_fire(settle: Settle, side: TradeType, stop: int, price: int) -> None:
    assert settle(active(bracket(side, stop_loss=stop)), price) is None


@settled
@pytest.mark.parametrize(("side", "price"), [(BUY, 90), (SELL, 110)])
def test_a_trailing_stop_does_not_fire(settle: Settle, side: TradeType, price: int) -> None:
    terms = TrailingTerms(Unit.RUPEES, Decimal(5), Decimal(1), Decimal(1))

    assert settle(active(replace(bracket(side), trailing=terms)), price) is None


@settled
@pytest.mark.parametrize(("side", "target", "price"), [(BUY, 105, 108), (SELL, 95, 92)])
def test_a_target_exits_at_the_price_of_the_auction(
    settle: Settle, side: TradeType, target: int, price: int
) -> None:
    trade = active(bracket(side, target_price=target))

    assert exited(settle(trade, price)) == (ExitReason.TARGET, price, FillRule.AUCTION)
    assert settle(trade, 100) is None


@settled
@pytest.mark.parametrize(("side", "limit", "price"), [(BUY, 95, 92), (SELL, 105, 108)])
def test_a_limit_is_filled_at_the_price_of_the_auction(
    settle: Settle, side: TradeType, limit: int, price: int
) -> None:
    trade = pending(entry_order(OrderType.LIMIT, side, limit_price=limit))

    assert entered(settle(trade, price)) == (price, FillRule.AUCTION)
    assert settle(trade, 100) is None


@settled
@pytest.mark.parametrize("side", TradeType)
def test_a_market_order_is_filled_at_the_price_of_the_auction(
    settle: Settle, side: TradeType
) -> None:
    trade = pending(entry_order(OrderType.MARKET, side))

    assert entered(settle(trade, 103)) == (103, FillRule.AUCTION)


@settled
@pytest.mark.parametrize(("side", "stop", "price"), [(BUY, 105, 110), (SELL, 95, 90)])
def test_a_stop_entry_is_not_triggered(
    settle: Settle, side: TradeType, stop: int, price: int
) -> None:
    stop_order = entry_order(OrderType.STOP, side, stop_price=stop)
    stop_limit = entry_order(OrderType.STOP_LIMIT, side, stop_price=stop, limit_price=stop)

    assert settle(pending(stop_order), price) is None
    assert settle(pending(stop_limit), price) is None


@settled
def test_a_stop_limit_that_was_triggered_before_is_a_limit(settle: Settle) -> None:
    order = entry_order(OrderType.STOP_LIMIT, stop_price=105, limit_price=102)
    trade = pending(replace(order, triggered_at=NOON))

    assert entered(settle(trade, 101)) == (101, FillRule.AUCTION)


@settled
def test_an_exit_that_waits_for_the_auction_is_at_its_price(settle: Settle) -> None:
    queued = QueuedExit(1, date(2026, 11, 23), quote(100))
    trade = active(replace(bracket(stop_loss=95), exit_queued=queued))

    assert exited(settle(trade, 90)) == (ExitReason.USER, 90, FillRule.AUCTION)


@settled
def test_what_waits_for_the_next_session_is_not_filled_by_the_auction_of_this_one(
    settle: Settle,
) -> None:
    tomorrow = date(2026, 11, 25)
    order = replace(entry_order(OrderType.MARKET), queued_for=tomorrow)
    exit_queued = QueuedExit(1, tomorrow, quote(100))

    assert settle(pending(order), 103) is None
    assert settle(active(replace(bracket(), exit_queued=exit_queued)), 103) is None


def share(symbol: str, *, has_derivatives: bool | None) -> Instrument:
    return Instrument(
        symbol, symbol, "NSE", Decimal("0.05"), 1, "1", has_derivatives=has_derivatives
    )


CALENDAR = TradingCalendar(enforced=True)
SHARES = [share("WITH.NS", has_derivatives=True), share("WITHOUT.NS", has_derivatives=False)]
AUCTIONS = ClosingAuctions(CALENDAR, Instruments([*SHARES, *load_instruments()]))


def marks(symbol: str, day: str = "2026-11-23") -> list[str]:
    """Return what the prices of a day are, by ticks; check that candles are marked alike."""
    ticks = [
        quote(100, timestamp=ist(f"{day} {time}"), symbol=symbol)
        for time in ("09:14", "09:15", "15:14", "15:15", "15:29", "15:30", "15:34", "15:35")
    ]
    began = ist(f"{day} 09:00")
    prices = SessionPrices(CALENDAR, AUCTIONS, began)
    marked = [
        each
        for tick in ticks
        for each in prices.mark([tick], now=tick.timestamp, reached=tick.timestamp)
    ]
    candles = mark_candles([Candle.of([tick]) for tick in ticks], began, CALENDAR, AUCTIONS)
    assert [mark_of(each.opening) for each in candles] == list(map(mark_of, marked))
    return list(map(mark_of, marked))


def mark_of(tick: Quote) -> str:
    mark = "auction" if tick.in_auction else "opens" if tick.opens_session else "traded"
    return f"{tick.timestamp.astimezone(CALENDAR.timezone):%H:%M} {mark}"


@pytest.mark.parametrize("symbol", ["WITH.NS", "RELIANCE.NS", "RELIANCE.BO", "^NSEI", "^BSESN"])
def test_shares_with_derivatives_and_indices_are_auctioned(symbol: str) -> None:
    assert marks(symbol) == ["09:15 opens", "15:14 traded", "15:30 auction", "15:34 auction"]


@pytest.mark.parametrize("symbol", ["WITHOUT.NS", "UNKNOWN.NS"])
def test_other_shares_are_traded_until_the_close(symbol: str) -> None:
    assert marks(symbol) == ["09:15 opens", "15:14 traded", "15:15 traded", "15:29 traded"]


def test_before_3_august_2026_nothing_is_auctioned() -> None:
    before = marks("RELIANCE.NS", "2026-07-31")

    assert before == ["09:15 opens", "15:14 traded", "15:15 traded", "15:29 traded"]
    assert marks("RELIANCE.NS", "2026-08-03")[-1] == "15:34 auction"


def test_without_enforced_hours_every_price_counts() -> None:
    calendar = TradingCalendar(enforced=False)
    auctions = ClosingAuctions(calendar, load_instruments())
    tick = quote(100, timestamp=ist("2026-11-23 15:20"))

    prices = SessionPrices(calendar, auctions, tick.timestamp)

    assert prices.mark([tick], tick.timestamp, tick.timestamp) == [tick]
    assert auctions.closed(tick.symbol, tick.timestamp) is None


def test_a_price_that_a_real_source_repeats_is_that_of_the_auction_only_at_its_end() -> None:
    prices = SessionPrices(CALENDAR, AUCTIONS, ist("2026-11-23 15:00"))
    times = ["15:14", "15:20", "15:30", "15:34:30"]
    ticks = [quote(100, Source.ANGEL_ONE, ist(f"2026-11-23 {time}"), "WITH.NS") for time in times]
    counting = [tick for each in ticks for tick in prices.mark([each], *[each.timestamp] * 2)]

    assert list(map(mark_of, counting)) == ["15:14 traded", "15:34 auction"]
    changed = quote(101, Source.ANGEL_ONE, ist("2026-11-23 15:31"), "WITH.NS")
    assert len(prices.mark([changed], changed.timestamp, changed.timestamp)) == 1


def test_the_price_of_an_auction_does_not_count_in_the_next_session() -> None:
    prices = SessionPrices(CALENDAR, AUCTIONS, ist("2026-11-23 15:00"))
    tick = quote(101, timestamp=ist("2026-11-23 15:31"), symbol="WITH.NS")

    assert len(prices.mark([tick], *[ist("2026-11-23 15:54")] * 2)) == 1
    assert prices.mark([tick], *[ist("2026-11-25 09:16")] * 2) == []
