"""Opening trades over HTTP, against the same writes in bare PyMongo."""

from __future__ import annotations

from decimal import Decimal

from app.domain.order import Order
from app.domain.side import TradeType
from app.trades.service import open_trade
from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.bare import Opening, open_trades
from benchmarks.support.books import PRICE, move, seed_users
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.world import World, world

CLIENTS = 16
SECONDS = 1.5
ORDER = Order(
    symbol="^NSEI",
    trade_type=TradeType.BUY,
    quantity=1,
    stop_loss=Decimal(24_000),
    target_price=Decimal(26_000),
)
BODY = {
    "symbol": ORDER.symbol,
    "trade_type": ORDER.trade_type.value,
    "quantity": ORDER.quantity,
    "stop_loss": 24_000,
    "target_price": 26_000,
}


def measure() -> list[Result]:
    """Measure trades opened a second, full stack, as a share of the bare writes."""
    with world() as here, apart() as process:
        # A user a client on both sides: neither waits for a portfolio that another holds.
        users = seed_users(here, CLIENTS)
        opening = _opening(here)
        calls = [Call("POST", "/trades/create", token, BODY) for token in here.tokens(users)]
        with here.server(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="1000000 per hour") as server:

            def ours() -> float:
                return process.submit(drive, server.port, calls, SECONDS).result().require(201).rate

            def bare() -> float:
                return process.submit(open_trades, here.uri, users, opening, SECONDS).result()

            return [
                ratio_of(
                    "trades/create by HTTP, 16 clients",
                    "bare PyMongo transactions, 16 threads",
                    Goal(at_least=0.6),
                    ours=ours,
                    peer=bare,
                    unit="trades/s",
                    rounds=7,
                )
            ]


def _opening(here: World) -> Opening:
    """Have the application open a trade; return what it wrote as the pattern of the bare side."""
    (user_id,) = seed_users(here, 1, prefix="pattern")
    move(here, "^NSEI", PRICE)
    with here.app.app_context():
        trade = open_trade(user_id, ORDER)
    document = here.db.trades.find_one({"_id": trade.id}) or {}
    notification = here.db.notifications.find_one({"user_id": user_id}) or {}
    margin, price = document["margin_used"], document["entry_price"]
    return Opening(
        trade=document,
        notification=notification,
        portfolio_increments={
            "available_margin": -margin,
            "utilized_margin": margin,
            "trade_count": 1,
            "exposure.^NSEI.trades": 1,
            "exposure.^NSEI.quantity": 1,
            "exposure.^NSEI.cost": price,
        },
    )
