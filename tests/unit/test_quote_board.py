"""The quote board: its own prices while they are fresh, then those of the feed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.errors import MarketDataUnavailable, PriceTooOld
from app.domain.quote import NO_DETAILS, Posting, Quote, SeenQuote, Source
from app.market_data.calendar import TradingCalendar
from app.market_data.quotes import KEPT_TICKS, QuoteBoard
from app.market_data.tick_filter import DELAYS, TickFilter
from tests.support.market import ManualClock, ScriptedFeed, permissive_filter
from tests.support.quotes import DETAILS, NOON, quote


@pytest.fixture
def board(feed: ScriptedFeed, clock: ManualClock) -> QuoteBoard:
    return QuoteBoard(feed, clock, permissive_filter(clock), fresh_seconds=20)


def test_a_price_is_served_while_it_is_fresh(board: QuoteBoard, clock: ManualClock) -> None:
    (posted,) = board.update([quote(24_000)])

    clock.advance(20)

    assert board.latest("^NSEI") is posted


def test_the_last_tick_is_the_latest(board: QuoteBoard) -> None:
    board.update([quote(1), quote(2, symbol="TCS.NS"), quote(3)])

    assert [board.latest(symbol).price for symbol in ("^NSEI", "TCS.NS")] == [3, 2]


def test_a_tick_without_details_keeps_the_figures_of_its_day(board: QuoteBoard) -> None:
    board.update([replace(quote(105), details=DETAILS)])
    later = [quote(107, timestamp=NOON + timedelta(hours=1)), quote(99, timestamp=NOON)]

    highest, lowest = board.update(later)

    # A trade has taken the bid or the ask.
    assert highest.details == replace(DETAILS, bid=None, ask=None, high=Decimal(107))
    assert lowest.details == replace(highest.details, low=Decimal(99))
    assert lowest.change == -1


@pytest.mark.parametrize(
    "tick",
    [
        pytest.param(quote(105, timestamp=NOON + timedelta(hours=7)), id="the next day in India"),
        pytest.param(quote(105, timestamp=NOON - timedelta(hours=18)), id="the day before"),
        pytest.param(quote(105, Source.YAHOO), id="another source"),
    ],
)
def test_the_figures_of_another_day_or_source_are_forgotten(board: QuoteBoard, tick: Quote) -> None:
    board.update([replace(quote(105), details=DETAILS)])

    (posted,) = board.update([tick])

    assert posted.details == NO_DETAILS


def test_newer_bids_and_asks_of_the_same_trade_are_known(
    board: QuoteBoard, feed: ScriptedFeed, clock: ManualClock
) -> None:
    first = board.latest("^NSEI")
    # The same price of the same time.
    feed.set("^NSEI", first.price, DETAILS)
    clock.advance(20.5)

    assert board.latest("^NSEI").details == DETAILS


def test_a_stale_price_is_requested_again(
    board: QuoteBoard, clock: ManualClock, feed: ScriptedFeed
) -> None:
    board.update([quote(24_000)])
    clock.advance(20.5)
    now = feed.set("^NSEI", 25_500)

    assert board.latest("^NSEI") == now


def test_a_requested_price_is_fresh_for_all_callers(board: QuoteBoard, feed: ScriptedFeed) -> None:
    first = board.latest("RELIANCE.NS")
    feed.set("RELIANCE.NS", 1_500)

    assert board.latest("RELIANCE.NS") is first


def test_without_a_price_market_data_is_unavailable(board: QuoteBoard) -> None:
    with pytest.raises(MarketDataUnavailable, match=r"There is no price for TCS\.NS right now"):
        board.latest("TCS.NS")


@pytest.mark.parametrize("price", [0, -5])
def test_an_invalid_price_is_not_served(board: QuoteBoard, feed: ScriptedFeed, price: int) -> None:
    feed.set("TCS.NS", price)

    with pytest.raises(MarketDataUnavailable):
        board.latest("TCS.NS")


def test_the_ticks_after_a_quote_are_kept_in_order(board: QuoteBoard) -> None:
    _, entry, _ = board.update([quote(99), quote(100), quote(101)])
    board.update([quote(7, symbol="TCS.NS"), quote(102)])

    assert [each.price for each in board.ticks_since(entry)] == [101, 102]


def test_there_are_no_ticks_after_the_latest_quote(board: QuoteBoard) -> None:
    board.update([quote(99)])

    assert board.ticks_since(board.latest("^NSEI")) == []


def test_there_are_no_ticks_of_an_unknown_symbol(board: QuoteBoard) -> None:
    assert board.ticks_since(quote(1, symbol="TCS.NS")) == []


def test_ticks_of_a_time_before_a_quote_of_another_board_do_not_count(board: QuoteBoard) -> None:
    board.update([quote(24_000, timestamp=NOON)])
    posted = quote(25_000, timestamp=NOON + timedelta(seconds=5))
    elsewhere = replace(posted, posting=Posting("other", 7))
    (later,) = board.update([quote(24_900, timestamp=NOON + timedelta(seconds=6))])

    assert board.ticks_since(elsewhere) == [later]


def test_a_tick_equal_to_the_entry_is_another_tick(board: QuoteBoard) -> None:
    entry, same = board.update([quote(100), quote(100)])

    assert board.ticks_since(entry) == [same]


def test_ticks_that_a_requested_quote_overtook_do_not_come_after_it(
    board: QuoteBoard, clock: ManualClock, feed: ScriptedFeed
) -> None:
    (earlier,) = board.update([quote(24_900)])
    clock.advance(21)
    for price in (24_500, 25_000):
        feed.tick("^NSEI", price)
    entry = board.latest("^NSEI")
    feed.tick("^NSEI", 25_001)

    overtaken, same, later = board.receive(lambda: feed.poll({"^NSEI"}))

    assert entry.price == 25_000
    assert board.ticks_since(entry) == [later]
    assert board.ticks_since(earlier) == [entry, overtaken, same, later]
    assert board.latest("^NSEI") == later


def test_a_known_quote_that_is_requested_again_does_not_replace_a_newer_one(
    board: QuoteBoard, clock: ManualClock, feed: ScriptedFeed
) -> None:
    known = feed.set("^NSEI", 25_000)
    clock.advance(1)
    _, newer = board.update([known, replace(known, price=Decimal(24_500), timestamp=clock.now())])
    clock.advance(21)

    assert board.latest("^NSEI") == newer


def test_the_number_of_kept_ticks_is_bounded(board: QuoteBoard) -> None:
    entry, *_ = board.update([quote(n) for n in range(1, KEPT_TICKS + 102)])

    later = board.ticks_since(entry)

    assert len(later) == KEPT_TICKS
    assert later[-1].price == KEPT_TICKS + 101


OPEN = datetime(2026, 11, 23, 9, 44, tzinfo=UTC)  # 15:14 in India
ELEVEN = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)


class OneAnswerFeed(ScriptedFeed):
    """A remote feed that answers every request with `answer`, and counts the requests."""

    remote = True

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, Source.YAHOO)
        self.answer: Quote | None = None
        self.requests = 0

    def latest(self, symbol: str) -> Quote | None:
        self.requests += 1
        return self.answer


class ThinMarket:
    """A board over a remote feed that has one share, last traded at 11:00 in India."""

    def __init__(self) -> None:
        self.clock = ManualClock(OPEN)
        self.feed = OneAnswerFeed(self.clock)
        self.stored: dict[str, SeenQuote] = {}
        self.trade = quote(100, Source.YAHOO, ELEVEN, "TCS.NS")
        self.feed.answer = self.trade
        tick_filter = TickFilter(
            self.clock,
            max_age=timedelta(seconds=30),
            max_move=Decimal("0.2"),
            calendar=TradingCalendar(enforced=False),
            delays=DELAYS,
        )
        self.board = QuoteBoard(
            self.feed, self.clock, tick_filter, fresh_seconds=20, stored=lambda _: self.stored
        )


def test_a_share_that_has_not_traded_for_hours_has_its_last_traded_price() -> None:
    market = ThinMarket()

    for _ in range(3):
        assert market.board.latest("TCS.NS") == market.trade
        market.clock.advance(10)

    assert market.board.require("TCS.NS") == market.trade
    with pytest.raises(PriceTooOld) as error:
        market.board.require_recent("TCS.NS")
    age = timedelta(hours=4, minutes=14, seconds=30)
    assert error.value.details["age_seconds"] == age.total_seconds()
    assert error.value.details["limit_seconds"] == timedelta(minutes=20, seconds=30).total_seconds()
    assert market.board.tick_filter.is_pending(market.trade)


def test_the_price_of_a_share_that_stopped_trading_becomes_too_old() -> None:
    market = ThinMarket()
    market.clock.set_back((OPEN - ELEVEN).total_seconds())
    market.board.update([market.trade])
    market.clock.advance(3600)

    assert market.board.require("TCS.NS") == market.trade
    with pytest.raises(PriceTooOld):
        market.board.require_recent("TCS.NS")


def test_without_a_source_the_last_price_is_shown_and_not_traded_at() -> None:
    market = ThinMarket()
    market.feed.answer = None
    market.stored = {"TCS.NS": SeenQuote(market.trade, OPEN)}

    assert market.board.latest("TCS.NS") == market.trade
    with pytest.raises(MarketDataUnavailable):
        market.board.require("TCS.NS")


def test_a_known_price_asks_no_source() -> None:
    market = ThinMarket()
    assert market.board.known(["TCS.NS"]) == {}

    market.stored = {"TCS.NS": SeenQuote(market.trade, OPEN)}

    assert market.board.known(["TCS.NS"])["TCS.NS"].quote == market.trade
    assert market.feed.requests == 0


def test_after_an_unknown_quote_only_newer_ticks_are_returned() -> None:
    market = ThinMarket()
    old = quote(90, Source.YAHOO, ELEVEN - timedelta(hours=1), "TCS.NS")
    market.board.update([replace(old, timestamp=OPEN - timedelta(minutes=1))])
    newer = market.board.ticks_since(market.trade)
    older = market.board.ticks_since(replace(old, timestamp=OPEN))

    assert [each.price for each in newer] == [90]
    assert older == []
