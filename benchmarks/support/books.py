"""Many users and trades at once, in books that balance.

What is written are copies of what the application itself wrote once, so that no document here
differs from one of its own but by owner, number and levels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from app.domain.money import ZERO
from app.domain.order import Order
from app.domain.position import Position
from app.domain.side import TradeType
from app.models import Inbox, Trade, User
from app.portfolio.reconciliation import find_differences
from app.portfolio.service import open_portfolio
from app.services import services
from app.trades.exits import exit_trade
from app.trades.service import open_trade
from benchmarks.support.world import World

BATCH = 2_000
MARGIN = Decimal(1_000_000_000)
PRICE = Decimal(25_000)
SAMPLE = "sample"

Document = dict[str, Any]
# Stop-loss and target, in rupees.
BothLevels = tuple[Decimal | None, Decimal | None]
# Those of the trade of each number, counted over all users from 0.
Levels = Callable[[int], BothLevels]


def far_apart(number: int) -> tuple[Decimal, Decimal]:
    """Return levels 10 to 30 % off PRICE, ten thousand different ones on each side."""
    step = Decimal(number % 10_000) / 2
    return PRICE * Decimal("0.9") - step, PRICE * Decimal("1.1") + step


def same_levels(stop_loss: Decimal | None, target_price: Decimal | None) -> Levels:
    """Return levels that are the same for every trade."""
    return lambda _: (stop_loss, target_price)


def seed_users(
    here: World, count: int, *, prefix: str = "user", initial_margin: Decimal = MARGIN
) -> list[str]:
    """Add users, each with an open portfolio and no trades; return their client_ids."""
    user_ids = [f"{prefix}{number}" for number in range(count)]
    _write_sample_user(here, initial_margin)
    user = here.db.users.find_one({"client_id": SAMPLE}) or {}
    inbox = here.db.inboxes.find_one({"_id": SAMPLE}) or {}
    portfolio = here.db.portfolios.find_one({"user_id": SAMPLE}) or {}
    _insert(
        here,
        "users",
        (
            {**user, "_id": ObjectId(), "client_id": each, "email": f"{each}@example.com"}
            for each in user_ids
        ),
    )
    _insert(here, "inboxes", ({**inbox, "_id": each} for each in user_ids))
    _insert(
        here,
        "portfolios",
        ({**portfolio, "_id": ObjectId(), "user_id": each} for each in user_ids),
    )
    _remove_sample(here)
    return user_ids


def seed_trades(
    here: World,
    user_ids: Sequence[str],
    each: int,
    *,
    symbol: str = "^NSEI",
    levels: Levels = far_apart,
    closed: bool = False,
) -> None:
    """Add `each` trades to every user: BUY 1 at PRICE, active, or `closed` at PRICE + 10.

    Raises RuntimeError where a user's books would not balance after it.
    """
    pattern = sample_trade(here, symbol, closed=closed)
    write_trades(
        here,
        (
            (pattern, user_ids[position % len(user_ids)], levels(position))
            for position in range(each * len(user_ids))
        ),
    )


def write_trades(here: World, copies: Iterable[tuple[Pattern, str, BothLevels]]) -> None:
    """Add a copy of each pattern for a user, with levels of its own, and what it books.

    Raises RuntimeError where a user's books would not balance after it.
    """
    found = list(here.db.portfolios.find({}, {"user_id": 1, "trade_count": 1}))
    numbers = {portfolio["user_id"]: portfolio["trade_count"] for portfolio in found}
    ids = {portfolio["user_id"]: portfolio["_id"] for portfolio in found}
    booked: dict[str, Counter[str]] = defaultdict(Counter)

    def documents() -> Iterator[Document]:
        for pattern, user_id, levels in copies:
            numbers[user_id] += 1
            booked[user_id].update(pattern.increments)
            own = {"portfolio_id": ids[user_id], "number": numbers[user_id]}
            yield {**pattern.copy(user_id, levels), **own}

    _insert(here, "trades", documents())
    here.db.portfolios.bulk_write(
        [
            UpdateOne({"user_id": user_id, "name": "default"}, {"$inc": sums})
            for user_id, sums in booked.items()
        ],
        ordered=False,
    )
    with here.app.app_context():
        if differences := find_differences(next(reversed(booked))):
            raise RuntimeError(f"the seeded books do not balance: {differences}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A trade that the application wrote, and what it adds to its owner's portfolio."""

    document: Document
    trade: Trade
    increments: Document

    @classmethod
    def of(cls, document: Document) -> Pattern:
        trade = Trade.from_document(document)
        return cls(document, trade, _increments(trade))

    def of_symbol(self, symbol: str) -> Pattern:
        """Return the same trade in another symbol."""
        return Pattern.of({**self.document, "symbol": symbol})

    def copy(self, user_id: str, levels: BothLevels) -> Document:
        """Return the document of a trade like this one, of an owner and levels."""
        bracket = replace(self.trade.entered, stop_loss=levels[0], target_price=levels[1])
        return {
            **self.document,
            "_id": ObjectId(),
            "user_id": user_id,
            "stop_loss": bracket.stop_loss,
            "target_price": bracket.target_price,
            "trigger_below": bracket.trigger_below,
            "trigger_above": bracket.trigger_above,
        }


def _increments(trade: Trade) -> Document:
    if trade.exit is not None:
        pnl = trade.exit.pnl
        return {
            "available_margin": pnl,
            "total_pnl": pnl,
            "trade_count": 1,
            "closed_count": 1,
            "winner_count": 1 if pnl > ZERO else 0,
        }
    key = trade.symbol.replace(".", ":")
    exposure = asdict(Position.of(trade.entered))
    return {
        "available_margin": -trade.margin_used,
        "utilized_margin": trade.margin_used,
        "trade_count": 1,
        **{f"exposure.{key}.{name}": value for name, value in exposure.items()},
    }


def _write_sample_user(here: World, initial_margin: Decimal) -> None:
    now = here.clock.now()
    with here.app.app_context():
        Inbox.create(SAMPLE)
        User.create(
            client_id=SAMPLE,
            name="A Trader",
            email="sample@example.com",
            phone="+919876500000",
            password_hash="nobody signs in",
            created_at=now,
        )
        open_portfolio(SAMPLE, initial_margin)


def sample_trade(here: World, symbol: str, *, closed: bool = False) -> Pattern:
    """Have the application open a trade, and exit it if it is to be `closed`."""
    _write_sample_user(here, MARGIN)
    order = Order(symbol=symbol, trade_type=TradeType.BUY, quantity=1)
    with here.app.app_context():
        move(here, symbol, PRICE)
        trade = open_trade(SAMPLE, order)
        if closed:
            move(here, symbol, PRICE + 10)
            exit_trade(SAMPLE, str(trade.id))
            move(here, symbol, PRICE)
    document = here.db.trades.find_one({"_id": trade.id}) or {}
    _remove_sample(here)
    return Pattern.of(document)


def move(here: World, symbol: str, price: Decimal) -> None:
    """Have the market of the world's own application be at a price."""
    with here.app.app_context():
        services().quotes.update([here.feed.set(symbol, price)])


def _remove_sample(here: World) -> None:
    for name, field in (
        ("users", "client_id"),
        ("identities", "client_id"),
        ("inboxes", "_id"),
        ("portfolios", "user_id"),
        ("movements", "user_id"),
        ("trades", "user_id"),
        ("notifications", "user_id"),
    ):
        here.db[name].delete_many({field: SAMPLE})


def _insert(here: World, name: str, documents: Iterable[Document]) -> None:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            here.db[name].insert_many(batch, ordered=False)
            batch = []
    if batch:
        here.db[name].insert_many(batch, ordered=False)
