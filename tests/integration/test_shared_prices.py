"""A process that does not poll serves the prices of the one that does, and trades at them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from flask import Flask

from app import create_app
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import QuoteDetails
from app.domain.trade import TradeStatus
from app.extensions import mongo
from app.models import Followers, SymbolState
from app.monitor import Monitor
from app.monitor.following import Following
from app.services import services
from app.trades import service
from app.trades.service import open_trade
from config import Settings
from tests.support.factories import create_users, order, trades_of
from tests.support.market import ManualClock, ScriptedFeed

INDEX, SHARE = "^NSEI", "RELIANCE.NS"


@pytest.fixture
def leader(app: Flask) -> Monitor:
    """The monitor of the process that polls."""
    return Monitor(app)


@pytest.fixture
def web(
    app: Flask, make_settings: Callable[..., Settings], mongo_uri: str, clock: ManualClock
) -> Iterator[Flask]:
    """A process that polls nothing; it has announced itself. Its own feed has other prices."""
    other = ScriptedFeed(clock)
    other.set(INDEX, 1)
    follower = create_app(
        make_settings(), mongo_uri=mongo_uri, feed=other, clock=clock, polls=False
    )
    Following(follower).run_once()
    yield follower
    if mongo.cx is not None:
        mongo.cx.close()


@pytest.fixture
def traders(app: Flask) -> None:
    with app.app_context():
        create_users("alice", "bob")


def price_at(app: Flask, symbol: str) -> Decimal:
    with app.app_context():
        return services().quotes.latest(symbol).price


def test_every_process_serves_the_price_of_the_one_that_polls(
    app: Flask, web: Flask, leader: Monitor, feed: ScriptedFeed, clock: ManualClock
) -> None:
    for price in (25_000, 25_100, 24_900):
        feed.tick(INDEX, price)
        clock.advance(10)
        leader.run_if_leased()

        assert price_at(web, INDEX) == price_at(app, INDEX) == price
        with web.app_context():
            known = services().quotes.known([INDEX])[INDEX]
            assert known.quote.price == price
            assert not known.stale
            assert services().quotes.sample().price == price


def test_a_price_that_stands_without_ticks_stays_fresh(
    web: Flask, leader: Monitor, clock: ManualClock
) -> None:
    for _ in range(10):
        clock.advance(10)
        leader.run_if_leased()

    with web.app_context():
        assert services().quotes.require(INDEX).price == 25_000


def test_an_order_has_its_place_in_the_order_of_the_leaders_ticks(
    web: Flask, leader: Monitor, feed: ScriptedFeed, traders: None
) -> None:
    feed.tick(INDEX, 24_500)
    feed.tick(INDEX, 24_800)
    leader.run_if_leased()

    with web.app_context():
        earlier, last = SymbolState.find_ticks([INDEX])[INDEX]
        entry = open_trade("alice", order(stop_loss=24_700)).entered

        assert entry.entry_price == 24_800
        assert entry.entry_posting == last.posting
        assert earlier.posting is not None
        assert entry.entry_posting is not None
        assert earlier.posting.number < entry.entry_posting.number
    leader.run_if_leased()
    with web.app_context():
        assert [trade.status for trade in trades_of("alice")] == [TradeStatus.ACTIVE]


def test_a_tick_during_an_order_closes_the_trade_though_the_leader_did_not_find_it(
    web: Flask,
    leader: Monitor,
    feed: ScriptedFeed,
    traders: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader.run_if_leased()
    write = service._write_trade

    def interrupted(*arguments: object) -> object:
        result = write(*arguments)  # type: ignore[arg-type]
        feed.tick(INDEX, 24_500)
        feed.tick(INDEX, 25_000)
        # In another thread: its reads join no transaction.
        thread = threading.Thread(target=leader.run_if_leased)
        thread.start()
        thread.join()
        return result

    monkeypatch.setattr(service, "_write_trade", interrupted)
    with web.app_context():
        open_trade("alice", order(stop_loss=24_900))

        (trade,) = trades_of("alice")
        assert trade.status is TradeStatus.STOP_LOSS_HIT
        assert trade.exit is not None
        assert trade.exit.price == 24_500


def pass_during_an_order(
    monkeypatch: pytest.MonkeyPatch, leader: Monitor, feed: ScriptedFeed, *, then_polls: bool
) -> None:
    """Have the leader make a pass between the write of the next order and its commit.

    Two ticks arrive, of which the first is far below. `then_polls` is whether the process that
    writes the order polls the symbol from then on.
    """
    write = service._write_trade

    def interrupted(*arguments: object) -> object:
        result = write(*arguments)  # type: ignore[arg-type]
        for price in (24_500, 25_000):
            feed.tick(INDEX, price)
        thread = threading.Thread(target=leader.run_if_leased)
        thread.start()
        thread.join()
        services().quotes.is_polled = lambda _symbol: then_polls
        return result

    monkeypatch.setattr(service, "_write_trade", interrupted)


def test_a_process_that_takes_over_during_its_own_order_has_the_ticks_of_the_one_before(
    app: Flask,
    web: Flask,
    leader: Monitor,
    feed: ScriptedFeed,
    traders: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader.run_if_leased()
    pass_during_an_order(monkeypatch, leader, feed, then_polls=True)
    with web.app_context():
        open_trade("alice", order(stop_loss=24_900))

        (trade,) = trades_of("alice")
        assert trade.status is TradeStatus.STOP_LOSS_HIT


def test_a_process_that_is_relieved_during_its_own_order_has_its_own_ticks(
    app: Flask,
    web: Flask,
    leader: Monitor,
    feed: ScriptedFeed,
    traders: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No process follows, so the ticks are on the board of this process only.
    Following(web).stop()
    leader.run_if_leased()
    pass_during_an_order(monkeypatch, leader, feed, then_polls=False)
    with app.app_context():
        open_trade("alice", order(stop_loss=24_900))

        (trade,) = trades_of("alice")
        assert trade.status is TradeStatus.STOP_LOSS_HIT


def test_ticks_before_the_leader_knows_of_a_traded_symbol_are_settled(
    web: Flask, leader: Monitor, feed: ScriptedFeed, traders: None
) -> None:
    with web.app_context():
        services().polled_symbols.want([SHARE])
    Following(web).run_once()
    leader.run_if_leased()
    with web.app_context():
        open_trade("alice", order(SHARE, stop_loss=1_390))

    feed.push(SHARE, 1_380)
    leader.run_arrived()
    feed.push(SHARE, 1_400)
    leader.run_if_leased()

    with web.app_context():
        assert [trade.status for trade in trades_of("alice")] == [TradeStatus.STOP_LOSS_HIT]


def test_every_process_knows_the_movers_of_what_any_process_watches(
    app: Flask, web: Flask, leader: Monitor, feed: ScriptedFeed, traders: None
) -> None:
    with app.app_context():
        open_trade("alice", order(SHARE, stop_loss=1_300))
    Following(web).run_once()
    feed.tick(SHARE, 1_470, QuoteDetails(previous_close=Decimal(1_400), volume=10))
    leader.run_if_leased()

    for process in (app, web):
        with process.app_context():
            movers = services().movers.latest()
            assert {each.symbol: each.price for each in movers.gainers} == {SHARE: Decimal(1_470)}
            assert movers.by_volume == movers.gainers


def test_a_symbol_nobody_polls_is_asked_for_and_then_has_a_price(
    web: Flask, leader: Monitor
) -> None:
    leader.run_if_leased()
    with web.app_context():
        with pytest.raises(MarketDataUnavailable):
            services().quotes.require(SHARE)
        assert SHARE in Followers.find().symbols

    leader.run_if_leased()

    assert price_at(web, SHARE) == 1_400


def test_a_quote_that_was_stored_for_a_restart_only_is_no_price_for_an_order(
    web: Flask, feed: ScriptedFeed, clock: ManualClock
) -> None:
    with web.app_context():
        SymbolState.save_quotes([feed.set(INDEX, 25_000)], clock.now())

        with pytest.raises(MarketDataUnavailable):
            services().quotes.require(INDEX)
        assert services().quotes.latest(INDEX).price == 25_000


def test_without_other_processes_ticks_are_not_shared(
    app: Flask, leader: Monitor, feed: ScriptedFeed
) -> None:
    feed.tick(INDEX, 25_000)
    leader.run_if_leased()

    with app.app_context():
        assert SymbolState.find_ticks([INDEX]) == {}
        assert SymbolState.load_quotes()[INDEX].price == 25_000


def test_a_process_that_ends_wants_nothing_any_more(web: Flask) -> None:
    following = Following(web)
    following.run_once()
    with web.app_context():
        assert Followers.find().count == 1

    following.stop()

    with web.app_context():
        assert Followers.find() == Followers(0, set())


def test_a_simulated_market_goes_on_when_another_process_takes_over(
    make_settings: Callable[..., Settings],
    make_app: Callable[..., Flask],
    mongo_uri: str,
    clock: ManualClock,
) -> None:
    settings = make_settings(MARKET_DATA="simulated")
    # `make_app`, which clears up, is not asked for an application.
    first = create_app(settings, mongo_uri=mongo_uri, clock=clock)
    leader = Monitor(first)
    leader.run_if_leased()
    clock.advance(25)
    second = create_app(settings, mongo_uri=mongo_uri, clock=clock)
    standby = Monitor(second)
    for _ in range(3):
        clock.advance(10)
        for monitor in (leader, standby):
            monitor.run_if_leased()
        assert price_at(second, INDEX) == price_at(first, INDEX)
    before = price_at(first, INDEX)

    leader.stop()
    standby.run_if_leased()

    assert standby.is_standing_by is False
    assert price_at(second, INDEX) == before
