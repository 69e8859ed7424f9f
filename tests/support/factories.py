"""Users and trades created through models and services, and a check of their balances."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from math import inf

from bson import ObjectId

from app.clock import SystemClock
from app.database.transactions import run_transaction
from app.domain.checks import Market
from app.domain.money import ZERO, to_paisa
from app.domain.order import Order, OrderType, TimeInForce
from app.domain.placement import place
from app.domain.position import Position
from app.domain.side import TradeType
from app.domain.trade import TradeStatus
from app.models import EventDraft, Inbox, Notification, Portfolio, Trade, User
from app.models.open_trades import find_open
from app.models.widening import Widening
from tests.support.own_client import collection
from tests.support.quotes import quote

MARGIN = Decimal(100_000_000)
# Of trades that are inserted alone.
PORTFOLIO_ID = ObjectId()
DAWN = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def create_users(*client_ids: str, margin: Decimal = MARGIN) -> None:
    """Create users with these ids, each with a portfolio."""
    for number, client_id in enumerate(client_ids):
        create_user(client_id, phone=f"+9198765{number:05}")
        open_portfolio(client_id, margin)


def open_portfolio(client_id: str, margin: Decimal = MARGIN, name: str = "default") -> Portfolio:
    return run_transaction(lambda: Portfolio.create(client_id, margin, DAWN, name))


def create_user(client_id: str, *, email: str | None = None, phone: str = "+919876500000") -> User:
    Inbox.create(client_id)
    return User.create(
        client_id=client_id,
        name=client_id.capitalize(),
        email=email or f"{client_id}@example.com",
        phone=phone,
        password_hash="unused",
        created_at=DAWN,
    )


def order(
    symbol: str = "^NSEI",
    trade_type: TradeType = TradeType.BUY,
    quantity: int = 1,
    *,
    stop_loss: Decimal | int | None = None,
    target_price: Decimal | int | None = None,
) -> Order:
    return Order(
        symbol=symbol,
        trade_type=trade_type,
        quantity=quantity,
        stop_loss=_rupees(stop_loss),
        target_price=_rupees(target_price),
    )


def limit_order(
    limit_price: Decimal | int,
    *,
    order_type: OrderType = OrderType.LIMIT,
    stop_price: Decimal | int | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    quantity: int = 1,
) -> Order:
    """Return an order to buy NIFTY at a limit, above its `stop_price` if it has one."""
    return replace(
        order(quantity=quantity),
        order_type=order_type,
        limit_price=_rupees(limit_price),
        stop_price=_rupees(stop_price),
        time_in_force=time_in_force,
    )


def _rupees(amount: Decimal | int | None) -> Decimal | None:
    return None if amount is None else to_paisa(Decimal(amount))


def portfolio_of(client_id: str, name: str = "default") -> Portfolio:
    portfolio = Portfolio.find_by_user_id(client_id, name)
    assert portfolio is not None
    return portfolio


def trades_of(client_id: str) -> list[Trade]:
    """Return all trades of the user, oldest first."""
    found = collection("trades").find({"user_id": client_id}).sort("number", 1)
    return [Trade.from_document(each) for each in found]


def active_trades(client_id: str) -> list[Trade]:
    """Return the active trades of the user's default portfolio, oldest first."""
    trades = find_open(client_id, portfolio_of(client_id).id)
    return [trade for trade in trades if trade.status is TradeStatus.ACTIVE]


def assert_portfolio_balances(client_id: str) -> None:
    """Check that each portfolio equals the sums over its trades of the season."""
    trades = trades_of(client_id)
    for portfolio in Portfolio.find_all(client_id):
        own = [trade for trade in trades if trade.portfolio_id == portfolio.id]
        _assert_balances(portfolio, own)


def _assert_balances(portfolio: Portfolio, trades: list[Trade]) -> None:
    held = [trade for trade in trades if trade.status is TradeStatus.ACTIVE]
    open_trades = [trade for trade in trades if trade.status.is_open]
    season = [trade for trade in trades if trade.number > portfolio.season_start]
    pnls = [trade.pnl or ZERO for trade in season if trade.exit]
    parts = [exit.pnl for trade in held for exit, _ in trade.partial_exits]
    exposure: dict[str, Position] = {}
    for each in held:
        exposure[each.symbol] = exposure.get(each.symbol, Position()) + Position.of(each.entered)

    assert portfolio.utilized_margin == sum((each.margin_blocked for each in open_trades), ZERO)
    assert portfolio.total_pnl == sum(pnls + parts, ZERO)
    balance = portfolio.available_margin + portfolio.utilized_margin
    assert balance == portfolio.current_season.balance
    assert portfolio.trade_count == len(trades)
    assert portfolio.closed_count == len(pnls)
    assert portfolio.winner_count == sum(pnl > 0 for pnl in pnls)
    assert {s: each for s, each in portfolio.exposure.items() if each.trades} == exposure


def insert_trade(number: int = 1, user_id: str = "alice") -> Trade:
    """Insert a trade without updating a portfolio, for which no bounds are widened."""
    bought = order(quantity=2, stop_loss=90, target_price=120)
    return run_transaction(
        lambda: Trade.create(
            id=ObjectId(),
            user_id=user_id,
            portfolio_id=PORTFOLIO_ID,
            portfolio="default",
            number=number,
            symbol="^NSEI",
            order=bought,
            placement=place(bought, Market(quote("100.05")), Decimal("0.2"), None),
            created_at=DAWN,
            widening=Widening(SystemClock(), inf),
        )
    )


def copy_trade(client_id: str, count: int) -> list[ObjectId]:
    """Make the only trade of the database's only portfolio `count` trades; return their ids."""
    trade = collection("trades").find_one({"user_id": client_id})
    assert trade is not None
    copies = [{**trade, "_id": ObjectId(), "number": number} for number in range(2, count + 1)]
    collection("trades").insert_many(copies)
    collection("portfolios").update_one({}, {"$set": {"trade_count": count}})
    return [each["_id"] for each in (trade, *copies)]


def draft(user_id: str = "alice", message: str = "Hello.") -> EventDraft:
    return EventDraft(user_id=user_id, type="greeting", message=message, data={})


def notify(*drafts: EventDraft) -> list[Notification]:
    return run_transaction(lambda: Notification.create(drafts, DAWN))
