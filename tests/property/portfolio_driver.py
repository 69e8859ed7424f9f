"""The server under the state machine: sends requests, makes ticks, restarts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app.domain.quote import Source
from app.events import events_committed
from app.models import Inbox, Notification, User
from app.monitor import Monitor
from app.services import services
from app.web.auth import issue_token
from tests.property.portfolio_database import paise
from tests.property.portfolio_model import (
    Lot,
    Market,
    Order,
    PortfolioModel,
    Refused,
    user_of,
)
from tests.support.market import ManualClock, ScriptedFeed

# An eighth, so that margins often end in half a paisa, which has to be rounded.
MARGIN_RATE = Fraction(1, 8)
# Odd amounts, a symbol with a dot, and a price so low that a paisa is a large share of it.
PRICES = {"^NSEI": 10_007, "^BSESN": 250_013, "WIPRO.NS": 703}
# The accounts and their money: the second portfolio of a user has the user's name before it.
ACCOUNTS = {"asha": 1_000_000, "binod": 50_000_003, "asha/swing": 700_001}
STATUSES = {
    "insufficient_margin": 400,
    "insufficient_funds": 400,
    "wrong_side_of_price": 400,
    "trade_not_found": 404,
    "trade_not_active": 409,
    "idempotency_key_reused": 409,
    "client_order_id_reused": 409,
    "market_data_unavailable": 503,
}


@dataclass(frozen=True)
class Request:
    """One request about an account. A trade is named by account and number.

    `moves` is a deposit, or a withdrawal if it is negative. `resets` is the money of the next
    season, 0 for that of the last one.
    """

    user: str
    order: Order | None = None
    exits: tuple[str, int] | None = None
    key: str | None = None
    moves: int | None = None
    resets: int | None = None


class PortfolioDriver:
    """The real server, and a model that gets the same requests."""

    def __init__(
        self, make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
    ) -> None:
        self.make_app = make_app
        self.feed = feed
        self.clock = clock

    def open_accounts(self) -> None:
        """Begin with an empty database, the initial prices and a portfolio for each user."""
        self.feed.source = Source.MOCK
        for symbol, price in PRICES.items():
            self.feed.set(symbol, rupees(price))
        self.model = PortfolioModel(Market(dict(PRICES), self.clock.monotonic), MARGIN_RATE)
        self.trade_ids: dict[tuple[str, int], str] = {}
        self.requests: list[Request] = []
        self.first_answers: dict[tuple[str, str], bytes] = {}
        self.published: list[Notification] = []
        self.tokens: dict[str, str] = {}
        self.start()
        for account, margin in ACCOUNTS.items():
            if user_of(account) not in self.tokens:
                self._register(account)
            body = {"initial_margin": margin / 100, "name": portfolio_of(account)}
            opened = self.post(account, "/portfolio/create", body)
            assert opened.status_code == 201
            self.model.open_account(account, margin)

    def start(self) -> None:
        """Start or restart the server: its state is in the database only."""
        self.app = self.make_app(MARGIN_RATE=float(MARGIN_RATE))
        # So small that a few trades are closed in several transactions.
        self.app.config["WRITE_BATCH_SIZE"] = 2
        self.monitor = Monitor(self.app)
        events_committed.connect(self._record, sender=self.app)
        with self.app.app_context():
            # As if a socket had subscribed: the symbols are polled with or without trades.
            services().polled_symbols.try_follow(PRICES, budget=len(PRICES))

    def _record(self, _: Flask, events: Sequence[Notification]) -> None:
        self.published += events

    def _register(self, user: str) -> None:
        with self.app.app_context():
            Inbox.create(user)
            User.create(
                client_id=user,
                name=user.title(),
                email=f"{user}@example.com",
                phone="+919876500000",
                # The users do not sign in: hashing would take most of the time of this test.
                password_hash="none",
                created_at=self.clock.now(),
            )
            self.tokens[user] = issue_token(user)

    def pass_time(self, path: list[tuple[str, int]]) -> None:
        """Tick every symbol, if not in `path` at its last price, and run a pass of the monitor."""
        self.clock.advance(1)
        moving = {symbol for symbol, _ in path}
        still = [each for each in self.model.market.prices.items() if each[0] not in moving]
        for symbol, price in [*still, *path]:
            self.feed.tick(symbol, rupees(price))
        expected = sum(self.model.tick(symbol, price) for symbol, price in [*still, *path])
        assert self.monitor.run_once().closed == expected

    def levels(self) -> Iterator[tuple[str, int]]:
        for lot in self.model.lots():
            for level in (lot.order.stop, lot.order.target):
                if lot.status == "ACTIVE" and level is not None:
                    yield lot.order.symbol, level

    def open_trade_of(
        self,
        user: str,
        symbol: str,
        side: int,
        quantity: int,
        stop: int | None,
        goal: int | None,
        key: str | None = None,
        client_order_id: str | None = None,
    ) -> None:
        """Create a trade; `stop` and `goal` are distances from the price in 1/10,000 of it."""
        price = self.model.market.prices[symbol]
        order = Order(
            symbol,
            side,
            quantity,
            stop=None if stop is None else level_at(price, -side, stop),
            target=None if goal is None else level_at(price, side, goal),
            client_order_id=client_order_id,
        )
        self.request(Request(user, order=order, key=key))

    def named_orders(self) -> list[Request]:
        return [
            request for request in self.requests if request.order and request.order.client_order_id
        ]

    def request(self, request: Request) -> None:
        self.compare(request, self.send(request))

    def send(self, request: Request) -> TestResponse:
        account, own = request.user, {"portfolio": portfolio_of(request.user)}
        user = user_of(account)
        if request.order is not None:
            body = body_of(request.order) | own
            return self.post(account, "/trades/create", body, request.key)
        if request.exits is not None:
            path = f"/trades/exit/{self.trade_ids[request.exits]}"
            return self.post(account, path, {}, request.key)
        if request.moves is not None:
            path = f"/portfolio/{user}/{'deposit' if request.moves > 0 else 'withdraw'}"
            body = {"amount": abs(request.moves) / 100, **own}
            return self.post(account, path, body, request.key)
        if request.resets is not None:
            margin = {"initial_margin": request.resets / 100} if request.resets else {}
            return self.post(account, f"/portfolio/{user}/reset", {**margin, **own}, request.key)
        return self.post(account, f"/trades/exit-all/{user}", own, request.key)

    def compare(self, request: Request, response: TestResponse) -> None:
        self.requests.append(request)
        answer = response.get_json()
        refused: Refused | None = None
        try:
            self._expect(request, response.status_code, answer)
        except Refused as refusal:
            refused = refusal
        if refused is not None:
            actual = (response.status_code, answer.get("code"))
            assert actual == (STATUSES[refused.code], refused.code), answer
            for name, value in refused.details.items():
                detail = answer["details"][name]
                assert (detail if isinstance(value, str) else paise(detail)) == value
        elif request.key:
            of_user = user_of(request.user), request.key
            first = self.first_answers.setdefault(of_user, response.data)
            assert response.data == first

    def _expect(self, request: Request, status: int, answer: dict[str, Any]) -> None:
        user, key = request.user, request.key
        if request.order is not None:
            lot = self.model.open(user, request.order, key)
            assert status == 201, answer
            self.trade_ids.setdefault((lot.owner, lot.number), answer["trade_id"])
            self.assert_shows(answer, replace(lot, status="ACTIVE", exit_price=None, pnl=None))
            return
        if request.exits is not None:
            lot = self.model.exit(user, *request.exits, key)
            assert status == 200, answer
            assert (paise(answer["pnl"]), paise(answer["exit_price"])) == (lot.pnl, lot.exit_price)
            return
        if request.moves is not None:
            available = self.model.move_funds(user, request.moves, key)
            assert status == 200, answer
            moved = paise(answer["amount"]), paise(answer["available_margin"])
            assert moved == (request.moves, available)
            return
        if request.resets is not None:
            ended = self.model.reset(user, request.resets or None, key)
            assert status == 200, answer
            shown = answer["season"], answer["ended"]["number"], paise(answer["ended"]["total_pnl"])
            assert shown == (ended.number + 1, ended.number, ended.total_pnl)
            return
        batch = self.model.exit_all(user, key)
        assert status == 200, answer
        assert (answer["count"], paise(answer["total_pnl"])) == (batch.count, batch.pnl)
        assert [each["trade_id"] for each in answer["not_exited"]] == [
            self.trade_ids[lot.owner, lot.number] for lot in batch.left or []
        ]

    def assert_shows(self, shown: dict[str, Any], lot: Lot) -> None:
        assert shown["trade_id"] == self.trade_ids[lot.owner, lot.number]
        assert (shown["user_id"], shown["portfolio"]) == (
            user_of(lot.owner),
            portfolio_of(lot.owner),
        )
        assert shown["status"] == lot.status
        assert shown["client_order_id"] == lot.order.client_order_id
        assert {
            name: paise(shown[name])
            for name in ("entry_price", "stop_loss", "target_price", "margin_used")
        } == {
            "entry_price": lot.entry,
            "stop_loss": lot.order.stop,
            "target_price": lot.order.target,
            "margin_used": lot.margin,
        }
        assert (paise(shown["exit_price"]), paise(shown["pnl"])) == (lot.exit_price, lot.pnl)

    def post(
        self, user: str, path: str, body: dict[str, Any], key: str | None = None
    ) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.tokens[user_of(user)]}"}
        if key:
            headers["Idempotency-Key"] = key
        return self.app.test_client().post(path, json=body, headers=headers)

    def get(self, user: str, path: str, query: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[user_of(user)]}"}
        response = self.app.test_client().get(path, query_string=query, headers=headers)
        assert response.status_code == 200, response.text
        return response.get_json()


def portfolio_of(account: str) -> str:
    return account.partition("/")[2] or "default"


def rupees(paise: int) -> Decimal:
    return Decimal(paise) / 100


def moved(price: int, by: int) -> int:
    """Return the price after a move of `by` ten-thousandths."""
    return max(price + price * by // 10_000, 1)


def believable(last: int, price: int) -> int:
    """Return the price if the tick filter admits it, otherwise the last price."""
    return price if 5 * abs(price - last) <= last else last


def level_at(price: int, direction: int, distance: int) -> int:
    """Return a level at least one paisa from the price, and at least one paisa."""
    return max(price + direction * max(price * distance // 10_000, 1), 1)


def body_of(order: Order) -> dict[str, Any]:
    body = {
        "symbol": order.symbol,
        "trade_type": "BUY" if order.side == 1 else "SELL",
        "quantity": order.quantity,
        "stop_loss": None if order.stop is None else order.stop / 100,
        "target_price": None if order.target is None else order.target / 100,
        "client_order_id": order.client_order_id,
    }
    return {name: value for name, value in body.items() if value is not None}
