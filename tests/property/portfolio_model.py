"""A model of the portfolios: whole paise, one trade at a time.

It imports nothing from the application, so that agreement means that both are correct. Amounts and
prices are paise, sides are +1 and -1. An account is one portfolio: that of a user's default has the
user's name, another one is named `user/portfolio`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any


class Refused(Exception):
    """The request changes nothing; the response must have this code and these details."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def user_of(account: str) -> str:
    return account.partition("/")[0]


@dataclass(frozen=True)
class Order:
    symbol: str
    side: int
    quantity: int
    stop: int | None = None
    target: int | None = None
    client_order_id: str | None = None


@dataclass
class Lot:
    """One trade. `real` means that its entry price came from an exchange."""

    owner: str
    number: int
    order: Order
    entry: int
    margin: int
    real: bool
    status: str = "ACTIVE"
    exit_price: int | None = None
    pnl: int | None = None
    closed_at: float | None = None
    from_gap: bool = False

    def worth_at(self, price: int) -> int:
        return self.order.side * self.order.quantity * (price - self.entry)

    def end_at(self, price: int) -> tuple[str, int] | None:
        """Return the status after a tick at `price` and the exit price, or None if it stays.

        A stop exits at the tick, a target at its own price.
        """
        stop, target, side = self.order.stop, self.order.target, self.order.side
        if stop is not None and side * price <= side * stop:
            return "STOP_LOSS_HIT", price
        if target is not None and side * price >= side * target:
            return "TARGET_HIT", target
        return None

    def end_in(self, opened: int, low: int, high: int) -> tuple[str, int] | None:
        """Return the status after a candle and the exit price, or None without an exit."""
        jumped = self.end_at(opened)
        if jumped:
            return jumped
        if self.order.stop is not None and low <= self.order.stop <= high:
            return "STOP_LOSS_HIT", self.order.stop
        if self.order.target is not None and low <= self.order.target <= high:
            return "TARGET_HIT", self.order.target
        return None


# When money came (positive) or went, and how much.
Flow = tuple[float, int]


@dataclass(frozen=True)
class Event:
    """An event about a trade of an account, or about its money if the number is 0."""

    type: str
    account: str
    number: int
    pnl: int | None = None
    exit_price: int | None = None


@dataclass
class Batch:
    """The trades that one exit-all has to close, and the result so far."""

    lots: list[Lot]
    count: int = 0
    pnl: int = 0
    # The trades without a price; None until the request is answered.
    left: list[Lot] | None = None


@dataclass(frozen=True)
class Season:
    """A past season: its money at the end, and its lots from `first` to before `end`."""

    number: int
    initial: int
    deposits: int
    withdrawals: int
    total_pnl: int
    first: int
    end: int
    # The documents have them as movements.
    flows: Sequence[Flow] = field(default=(), compare=False)


@dataclass
class Account:
    initial: int
    lots: list[Lot] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    # The accounts of a user share them.
    answers: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    deposits: int = 0
    withdrawals: int = 0
    # The deposits and withdrawals of the season.
    flows: list[Flow] = field(default_factory=list)
    # The position of the season's first lot.
    first: int = 0
    seasons: list[Season] = field(default_factory=list)
    # The amounts of the season: the opening, results of trades, deposits, and withdrawals.
    ledger: list[int] = field(default_factory=list)

    @property
    def season(self) -> int:
        return len(self.seasons) + 1

    @property
    def active(self) -> list[Lot]:
        return [lot for lot in self.lots if lot.status == "ACTIVE"]

    @property
    def utilized(self) -> int:
        return sum(lot.margin for lot in self.active)

    @property
    def total_pnl(self) -> int:
        return sum(lot.pnl for lot in self.lots[self.first :] if lot.pnl is not None)

    @property
    def available(self) -> int:
        return self.balance - self.utilized

    @property
    def balance(self) -> int:
        return self.initial + self.deposits - self.withdrawals + self.total_pnl

    def remembered(self, key: str | None, request: Any) -> Any:
        """Return the result stored for the key, or None for a new key."""
        if key is None or key not in self.answers:
            return None
        first, answer = self.answers[key]
        if first != request:
            raise Refused("idempotency_key_reused")
        return answer


@dataclass
class Market:
    """The price of each symbol, whether the prices come from an exchange, and the time."""

    prices: dict[str, int]
    time: Callable[[], float]
    real: bool = False


class PortfolioModel:
    """The accounts of all users. Each method is one request, or one event of the market."""

    def __init__(self, market: Market, margin_rate: Fraction) -> None:
        self.market = market
        self.margin_rate = margin_rate
        self.accounts: dict[str, Account] = {}

    def open_account(self, account: str, initial: int) -> None:
        opened = Account(initial, ledger=[initial])
        for other in self._accounts_of(account):
            opened.answers = other.answers
        self.accounts[account] = opened

    def _accounts_of(self, account: str) -> list[Account]:
        """Return the accounts of the same user."""
        user = user_of(account)
        return [found for name, found in self.accounts.items() if user_of(name) == user]

    def most_affordable(self, user: str, symbol: str) -> int:
        """Return the largest quantity for which the user has enough margin, possibly 0."""
        available = self.accounts[user].available
        most = (available + Fraction(1, 2)) / (self.market.prices[symbol] * self.margin_rate)
        return max(ceil(most) - 1, 0)

    def lots(self) -> Iterable[Lot]:
        """Return every trade, for each user the oldest first."""
        return (lot for account in self.accounts.values() for lot in account.lots)

    def margin_of(self, order: Order) -> int:
        exact = self.market.prices[order.symbol] * order.quantity * self.margin_rate
        return int(exact + Fraction(1, 2))

    def open(self, user: str, order: Order, key: str | None = None) -> Lot:
        account = self.accounts[user]
        request = (user, order)
        earlier: Lot | None = account.remembered(key, request)
        name = order.client_order_id
        if earlier is None and name is not None:
            lots = (lot for each in self._accounts_of(user) for lot in each.lots)
            earlier = next((lot for lot in lots if lot.order.client_order_id == name), None)
            if earlier and (earlier.owner, earlier.order) != request:
                raise Refused("client_order_id_reused")
        lot = earlier or self._open(user, order)
        if key:
            account.answers[key] = (request, lot)
        return lot

    def exit(self, user: str, owner: str, number: int, key: str | None = None) -> Lot:
        account = self.accounts[user]
        request = ("exit", owner, number)
        earlier: Lot | None = account.remembered(key, request)
        if earlier:
            return earlier
        if user_of(owner) != user_of(user):
            raise Refused("trade_not_found")
        lot = self.accounts[owner].lots[number - 1]
        if lot.status != "ACTIVE":
            raise Refused("trade_not_active", status=lot.status, pnl=lot.pnl)
        if not self._has_price(lot):
            raise Refused("market_data_unavailable")
        self._close(lot, "CLOSED", self.market.prices[lot.order.symbol])
        if key:
            account.answers[key] = (request, lot)
        return lot

    def exit_all(self, user: str, key: str | None = None) -> Batch:
        """Close the trades whose symbol has a price; a retry returns the same result."""
        account = self.accounts[user]
        request = ("exit-all", user)
        batch: Batch | None = account.remembered(key, request)
        if batch is None:
            batch = Batch(account.active)
            if key:
                # Stored before the first exit: a retry closes the same trades.
                account.answers[key] = (request, batch)
        if batch.left is not None:
            return batch
        remaining = [lot for lot in batch.lots if lot.status == "ACTIVE"]
        batch.left = [lot for lot in remaining if not self._has_price(lot)]
        for lot in remaining:
            if lot not in batch.left:
                self._close(lot, "CLOSED", self.market.prices[lot.order.symbol])
                batch.count += 1
                batch.pnl += lot.pnl or 0
        return batch

    def move_funds(self, user: str, amount: int, key: str | None = None) -> int:
        """Deposit, or withdraw a negative amount; return what is available then."""
        account, request = self.accounts[user], ("move", user, amount)
        earlier: int | None = account.remembered(key, request)
        if earlier is not None:
            return earlier
        withdrawable = max(account.available + min(self.unrealized(user), 0), 0)
        if amount < 0 and -amount > withdrawable:
            raise Refused(
                "insufficient_funds",
                amount=-amount,
                withdrawable=withdrawable,
                available_margin=account.available,
            )
        account.deposits += max(amount, 0)
        account.withdrawals += max(-amount, 0)
        account.ledger.append(amount)
        account.flows.append((self.market.time(), amount))
        kind = "funds_deposited" if amount > 0 else "funds_withdrawn"
        account.events.append(Event(kind, user, 0, amount, account.available))
        if key:
            account.answers[key] = (request, account.available)
        return account.available

    def reset(self, user: str, initial: int | None, key: str | None = None) -> Season:
        """Close every trade and begin the next season; return the one that ended."""
        account, request = self.accounts[user], ("reset", user, initial)
        earlier: Season | None = account.remembered(key, request)
        if earlier is not None:
            return earlier
        if not all(map(self._has_price, account.active)):
            raise Refused("market_data_unavailable")
        for lot in account.active:
            self._close(lot, "CLOSED", self.market.prices[lot.order.symbol])
        ended = Season(
            account.season,
            account.initial,
            account.deposits,
            account.withdrawals,
            account.total_pnl,
            account.first,
            len(account.lots),
            account.flows,
        )
        balance = account.balance
        account.seasons.append(ended)
        account.initial = initial or account.initial
        account.deposits = account.withdrawals = 0
        account.flows = []
        account.first = len(account.lots)
        account.ledger = [account.initial - balance]
        account.events.append(Event("portfolio_reset", user, 0, balance, account.initial))
        if key:
            account.answers[key] = (request, ended)
        return ended

    def tick(self, symbol: str, price: int) -> int:
        """Set a price; return the number of trades that it closed."""
        self.market.prices[symbol] = price
        closed = 0
        for lot in list(self.lots()):
            ended = lot.end_at(price) if self._may_close(lot, symbol) else None
            if ended:
                self._close(lot, *ended)
                closed += 1
        return closed

    def gap(self, candles: Sequence[tuple[str, list[int]]]) -> int:
        """Settle a gap, one candle per symbol; return the number of trades that closed."""
        closed = 0
        for symbol, prices in candles:
            for lot in list(self.lots()):
                if self._may_close(lot, symbol):
                    ended = lot.end_in(prices[0], min(prices), max(prices))
                    if ended:
                        lot.from_gap = True
                        self._close(lot, *ended)
                        closed += 1
            self.market.prices[symbol] = prices[-1]
        return closed

    def unrealized(self, user: str) -> int:
        account = self.accounts[user]
        return sum(lot.worth_at(self.market.prices[lot.order.symbol]) for lot in account.active)

    def equity(self, user: str) -> int:
        account = self.accounts[user]
        return account.available + account.utilized + self.unrealized(user)

    def _open(self, user: str, order: Order) -> Lot:
        account = self.accounts[user]
        price, side = self.market.prices[order.symbol], order.side
        if order.stop is not None and not side * order.stop < side * price:
            raise Refused("wrong_side_of_price", price=price)
        if order.target is not None and not side * order.target > side * price:
            raise Refused("wrong_side_of_price", price=price)
        margin = self.margin_of(order)
        if margin > account.available or self.equity(user) <= 0:
            raise Refused(
                "insufficient_margin", required_margin=margin, available_margin=account.available
            )
        lot = Lot(user, len(account.lots) + 1, order, price, margin, self.market.real)
        account.lots.append(lot)
        account.events.append(Event("trade_created", user, lot.number))
        return lot

    def _may_close(self, lot: Lot, symbol: str) -> bool:
        trusted = self.market.real or not lot.real
        return lot.status == "ACTIVE" and lot.order.symbol == symbol and trusted

    def _has_price(self, lot: Lot) -> bool:
        return self.market.real or not lot.real

    def _close(self, lot: Lot, status: str, price: int) -> None:
        lot.status, lot.exit_price, lot.pnl = status, price, lot.worth_at(price)
        lot.closed_at = self.market.time()
        kind = "trade_exited" if status == "CLOSED" else "trade_auto_closed"
        account = self.accounts[lot.owner]
        account.ledger.append(lot.pnl)
        account.events.append(Event(kind, lot.owner, lot.number, lot.pnl, price))
