"""The models on a real database: what they store, find and refuse."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from flask import Flask
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document, collection
from app.database.transactions import run_transaction
from app.domain.errors import Unauthenticated
from app.domain.position import Position
from app.domain.quote import QuoteDetails, Source
from app.domain.side import TradeType
from app.domain.trade import TradeStatus, exit_by_user, on_quote
from app.models import (
    Inbox,
    Notification,
    Portfolio,
    SymbolState,
    Trade,
    TradeChange,
    User,
    apply_changes,
)
from app.models.open_trades import find_open
from app.portfolio import service
from tests.support.concurrency import run_concurrently, run_in_thread
from tests.support.factories import (
    DAWN,
    PORTFOLIO_ID,
    create_user,
    create_users,
    draft,
    insert_trade,
    notify,
    open_portfolio,
    portfolio_of,
)
from tests.support.quotes import DETAILS, NOON, bracket, quote

pytestmark = pytest.mark.usefixtures("app_context")


def close_trade(trade: Trade) -> int:
    exit = exit_by_user(trade, quote("110.05"))
    return run_transaction(lambda: apply_changes([TradeChange(trade, exit)], NOON))


def test_a_user_is_found_by_client_id_email_and_id() -> None:
    alice = create_user("alice", email="alice@desk.example")
    create_user("bob")

    assert User.find_by_client_id("alice") == alice
    assert User.find_by_name("alice@desk.example") == alice
    assert User.find_by_id(alice.id) == alice
    assert alice.created_at == DAWN


def test_an_unknown_user_is_not_found() -> None:
    assert User.find_by_client_id("unknown") is None
    assert User.find_by_name("unknown@example.com") is None
    assert User.find_by_id(ObjectId()) is None


def test_several_users_are_found_and_unknown_ones_omitted() -> None:
    users = {create_user("alice"), create_user("bob")}
    create_user("carol")

    assert set(User.find_many(["alice", "bob", "unknown"])) == users


@pytest.mark.parametrize("taken", ["client_id", "email"])
def test_no_two_users_share_a_client_id_or_an_email(taken: str) -> None:
    create_user("alice", email="alice@example.com")
    second = {"client_id": "bob", "email": "bob@example.com"}
    second[taken] = {"client_id": "alice", "email": "alice@example.com"}[taken]

    with pytest.raises(DuplicateKeyError):
        create_user(second["client_id"], email=second["email"])

    assert collection("users").count_documents({}) == 1


def test_a_user_created_in_a_transaction_is_invisible_before_the_commit() -> None:
    def write() -> None:
        User.create(
            client_id="alice",
            name="Alice",
            email="alice@example.com",
            phone="+919876500000",
            password_hash="-",
            created_at=DAWN,
        )
        assert User.find_by_client_id("alice") is not None
        assert run_in_thread(lambda: User.find_by_client_id("alice")) is None

    run_transaction(write)

    assert User.find_by_client_id("alice") is not None


def test_a_portfolio_opens_with_its_margin_available() -> None:
    portfolio = open_portfolio("alice", Decimal("100000.50"))

    assert portfolio.available_margin == portfolio.initial_margin == Decimal("100000.50")
    assert portfolio.utilized_margin == portfolio.total_pnl == 0
    assert (portfolio.trade_count, portfolio.closed_count, portfolio.winner_count) == (0, 0, 0)
    assert portfolio.exposure == {}
    assert Portfolio.find_by_user_id("alice") == portfolio
    assert Portfolio.find_by_user_id("bob") is None


def test_creating_a_second_portfolio_returns_the_first() -> None:
    create_user("alice")
    first, is_first = service.open_portfolio("alice", Decimal(5_000))
    second, is_new = service.open_portfolio("alice", Decimal(9_000))

    assert is_first
    assert not is_new
    assert second == first


def test_concurrent_creations_make_one_portfolio(app_context: Flask) -> None:
    create_user("alice")

    def open_one() -> tuple[Portfolio, bool]:
        with app_context.app_context():
            return service.open_portfolio("alice", Decimal(5_000))

    made = run_concurrently([open_one] * 8)

    assert sum(is_new for _, is_new in made) == 1
    assert len({portfolio.id for portfolio, _ in made}) == 1


def test_no_two_portfolios_of_a_user_share_a_name() -> None:
    portfolio = open_portfolio("alice", Decimal(5_000))

    with pytest.raises(DuplicateKeyError):
        collection("portfolios").insert_one({"user_id": "alice", "name": "default"})

    assert portfolio_of("alice") == portfolio


def test_blocking_margin_moves_it_and_returns_the_trade_number() -> None:
    create_users("alice", margin=Decimal(1_000))
    opened = Position.of(bracket(TradeType.SELL, 2, "100.05"))

    portfolio = run_transaction(
        lambda: Portfolio.update_margin("alice", Decimal("40.02"), "RELIANCE.NS", opened, NOON)
    )

    assert portfolio == portfolio_of("alice")
    assert portfolio.available_margin == Decimal("959.98")
    assert portfolio.utilized_margin == Decimal("40.02")
    assert portfolio.trade_count == 1
    assert portfolio.exposure == {"RELIANCE.NS": opened}
    assert (portfolio.created_at, portfolio.last_updated) == (DAWN, NOON)


@pytest.mark.parametrize(("margin", "blocked"), [("1000.00", True), ("1000.01", False)])
def test_margin_can_be_blocked_to_the_last_paisa(margin: str, blocked: bool) -> None:
    create_users("alice", margin=Decimal(1_000))
    before = portfolio_of("alice")

    portfolio = run_transaction(
        lambda: Portfolio.update_margin("alice", Decimal(margin), "^NSEI", Position(), NOON)
    )

    assert (portfolio is not None) is blocked
    assert (portfolio_of("alice") != before) is blocked


def test_a_trade_is_read_as_written() -> None:
    trade = insert_trade()

    assert Trade.find_by_id("alice", trade.id) == trade
    assert Trade.find_by_id("alice", ObjectId()) is None
    assert Trade.find_by_id("bob", trade.id) is None
    assert trade.status is TradeStatus.ACTIVE
    assert trade.bracket == bracket(TradeType.BUY, 2, "100.05", stop_loss=90, target_price=120)
    assert (trade.exit, trade.closed_at) == (None, None)


def test_a_closed_trade_keeps_the_quote_that_closed_it() -> None:
    trade = insert_trade()
    transition = on_quote(trade, quote("89.50", Source.REPLAY, NOON))
    assert transition is not None

    closed = run_transaction(lambda: apply_changes([TradeChange(trade, transition)], NOON))

    after = Trade.find_by_id("alice", trade.id)
    assert closed == 1
    assert after is not None
    assert (after.status, after.closed_at) == (TradeStatus.STOP_LOSS_HIT, NOON)
    assert after.exit == transition.change
    assert after.pnl == Decimal("-21.10")


def test_a_trade_is_closed_once() -> None:
    trade = insert_trade()

    assert [close_trade(trade), close_trade(trade)] == [1, 0]


def test_open_trades_of_a_user_are_found_oldest_first() -> None:
    trades = [insert_trade(number) for number in (3, 1, 2)]
    insert_trade(1, "bob")
    close_trade(trades[2])

    found = find_open("alice", PORTFOLIO_ID)

    assert [each.number for each in found] == [1, 3]


def test_no_two_trades_of_a_user_share_a_number() -> None:
    insert_trade(1)

    with pytest.raises(DuplicateKeyError):
        insert_trade(1)
    insert_trade(1, "bob")


def test_events_of_a_user_are_numbered_without_gaps() -> None:
    create_users("alice", "bob")

    first = notify(draft(), draft("bob"), draft(message="Again."))
    second = notify(draft())

    assert [(each.user_id, each.seq) for each in first] == [("alice", 1), ("bob", 1), ("alice", 2)]
    assert [each.seq for each in second] == [3]
    assert Inbox.find("alice") == Inbox("alice", event_seq=3, unread_count=3)


def test_a_new_notification_is_unread_and_pending_on_both_channels() -> None:
    create_users("alice")

    (event,) = notify(draft())

    assert not event.is_read
    assert event.deliveries == [
        {"channel": "email", "status": "pending", "attempts": 0},
        {"channel": "sms", "status": "pending", "attempts": 0},
    ]
    assert Notification.find_by_user_id("alice", below=10, limit=10) == [event]
    assert Notification.next_due(DAWN) == DAWN


def test_no_events_write_nothing() -> None:
    assert notify() == []
    assert Notification.next_due(DAWN) is None


@pytest.mark.parametrize("users", [("unknown",), ("alice", "unknown")])
def test_an_event_of_a_deleted_user_is_refused_and_takes_no_number(
    users: tuple[str, ...],
) -> None:
    create_users("alice")

    with pytest.raises(Unauthenticated, match="no longer exists"):
        notify(*(draft(user_id) for user_id in users))

    assert Inbox.find("alice") == Inbox("alice")
    assert collection("notifications").count_documents({}) == 0


def test_no_two_notifications_of_a_user_share_a_number() -> None:
    create_users("alice")
    notify(draft())

    with pytest.raises(DuplicateKeyError):
        collection("notifications").insert_one({"user_id": "alice", "seq": 1})


def test_a_notification_is_marked_read_once_and_by_its_owner_only() -> None:
    create_users("alice", "bob")
    (event,) = notify(draft())

    def mark(user_id: str, id: ObjectId = event.id) -> bool | None:
        return run_transaction(lambda: Notification.mark_read(id, user_id))

    assert mark("bob") is None
    assert mark("alice", ObjectId()) is None
    assert [mark("alice"), mark("alice")] == [True, False]


def test_missed_notifications_are_found_in_order() -> None:
    create_users("alice", "bob")
    notify(*(draft() for _ in range(6)), draft("bob"))

    assert [event.seq for event in Notification.find_after("alice", 2, 5)] == [3, 4, 5]
    assert Notification.find_after("alice", 6, 6) == []


def test_the_last_quotes_of_symbols_are_stored() -> None:
    SymbolState.mark_traded("TCS.NS", NOON)
    SymbolState.save_quotes([quote("24000.05"), quote("3000", symbol="INFY.NS")])
    SymbolState.save_quotes([quote("25000.05", Source.YAHOO, NOON)])
    SymbolState.save_quotes([])

    kept = SymbolState.load_quotes()

    assert set(kept) == {"^NSEI", "INFY.NS"}
    assert kept["^NSEI"] == quote("25000.05", Source.YAHOO, NOON)
    assert SymbolState.find_traded() == {"TCS.NS"}


def test_the_details_of_a_quote_are_stored_with_it_and_replaced_by_the_next() -> None:
    full = replace(quote(105), details=DETAILS)
    partial = replace(quote(106), details=QuoteDetails(previous_close=Decimal("100.05")))
    for stored in (full, partial, quote(107)):
        SymbolState.save_quotes([stored], NOON)

        assert SymbolState.load_quotes()["^NSEI"].details == stored.details


def test_money_is_stored_as_decimal128(raw_db: Database[Document]) -> None:
    create_users("alice")
    trade = insert_trade()
    close_trade(trade)
    SymbolState.save_quotes([quote("25000.05")])
    opened = Position.of(trade.entered)
    run_transaction(
        lambda: Portfolio.update_margin("alice", trade.margin_used, "^NSEI", opened, NOON)
    )

    portfolio = raw_db.portfolios.find_one({"user_id": "alice"})
    stored = raw_db.trades.find_one({"_id": trade.id})
    symbol = raw_db.symbols.find_one({"_id": "^NSEI"})

    assert portfolio is not None
    assert stored is not None
    assert symbol is not None
    money = {name: stored[name] for name in ("entry_price", "margin_used", "exit_price", "pnl")}
    levels = {name: stored[name] for name in ("stop_loss", "target_price", "trigger_below")}
    margins = {name: portfolio[name] for name in portfolio if name.endswith(("_margin", "_pnl"))}
    cost = portfolio["exposure"]["^NSEI"]["cost"]
    amounts = [*money.values(), *levels.values(), *margins.values(), cost, symbol["price"]]
    assert len(margins) == 4
    assert {type(amount) for amount in amounts} == {Decimal128}
    assert money["entry_price"] == Decimal128("100.05")
    assert money["pnl"].to_decimal() == Decimal("20.00")
