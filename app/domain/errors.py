"""What can be wrong with a request, in the terms of trading.

PaperTradingError
├── InvalidRequest                  the request cannot be carried out as it is
│   ├── InvalidFields               some of its fields are invalid
│   ├── QuantityOffLot
│   ├── FreezeQuantity              more than the exchange takes in one order (order_errors.py)
│   ├── PriceOffTick
│   ├── PriceOutsideBand            outside the day's band (order_errors.py)
│   ├── WouldTriggerImmediately     a stop price that the last price has reached (order_errors.py)
│   ├── WrongSideOfPrice            a stop-loss or target on the wrong side of the price
│   ├── InsufficientMargin
│   ├── InsufficientFunds           less can be withdrawn
│   ├── BalanceTooLarge             a deposit over what a portfolio can hold
│   └── AlreadyCrossed              an alert that would fire immediately
├── Unauthenticated                 the caller is unknown
│   └── AccountGone                 the token is valid, its user is deleted
├── Forbidden                       the caller may not do this
│   └── InsufficientScope           the caller's API key may not do this
├── NotFound
├── Conflict                        the current state does not allow the request
│   ├── TradeNotActive              it cannot be exited (trade_errors.py, like the next)
│   ├── TradeConflict               the trade has changed
│   │   ├── NotPending              its entry does not wait
│   │   ├── TradeEnded
│   │   ├── QuantityNotHeld         it holds less than is to be exited
│   │   └── ChangedMeanwhile
│   ├── ResetMeanwhile              another request reset the portfolio first
│   ├── ClientOrderIdReused         the id belongs to another order (order_errors.py)
│   ├── IdempotencyKeyReused        the key belongs to another request
│   ├── PriceTooOld                 the last traded price is too old for an order
│   ├── LastPriceTooEarly           a newer price may still come
│   ├── MarketClosed                outside the exchange's hours
│   │   └── InClosingAuction        nothing is filled before the auction has a price
│   └── TooManyPending              too many trades wait for their entry (order_errors.py)
├── RateLimited                     too many requests; the same one may succeed later
└── Unavailable                     the same request may succeed later
    ├── MarketDataUnavailable
    ├── DatabaseUnavailable
    │   └── ResultUnconfirmed       an earlier try may still be undone
    ├── DiskFull
    └── ServerBusy                  the server is at its limit of concurrent work

Each has a sentence for a person, a code that never changes, and details for a program.
`app.web.errors` maps them to HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any


class PaperTradingError(Exception):
    code = "error"

    def __init__(
        self, message: str, *, code: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.details = dict(details or {})


class InvalidRequest(PaperTradingError):
    code = "validation_error"


class InvalidFields(InvalidRequest):
    def __init__(self, faults: Mapping[str, str]) -> None:
        """Name the fault of each field."""
        super().__init__("Validation failed; see details.", details=faults)


class QuantityOffLot(InvalidRequest):
    code = "quantity_off_lot"

    def __init__(
        self, quantity: int, lot_size: int, *, below: int | None, above: int | None
    ) -> None:
        """Name the nearest legal quantities, None for one that does not exist."""
        super().__init__(
            f"Quantity {quantity} is not a multiple of the lot size, which is {lot_size}"
            f"{nearest_values(below, above)}.",
            details={"param": "quantity", "given": quantity, "lot_size": lot_size}
            | present(below=below, above=above),
        )


class PriceOffTick(InvalidRequest):
    code = "price_off_tick"

    def __init__(
        self,
        field: str,
        price: Decimal,
        symbol: str,
        tick_size: Decimal,
        *,
        below: Decimal | None,
        above: Decimal | None,
    ) -> None:
        """Name the nearest legal prices, None for one that does not exist."""
        super().__init__(
            f"{title_of(field)} {price} is not a multiple of the tick size of {symbol}, which is "
            f"{tick_size}{nearest_values(below, above)}.",
            details={"param": field, "given": price, "tick_size": tick_size}
            | present(below=below, above=above),
        )


class InsufficientFunds(InvalidRequest):
    code = "insufficient_funds"

    def __init__(self, amount: Decimal, withdrawable: Decimal, available: Decimal) -> None:
        """Name what can be withdrawn, which is less than what is available after open losses."""
        super().__init__(
            f"{amount} cannot be withdrawn, only up to {withdrawable}.",
            details={
                "amount": amount,
                "withdrawable": withdrawable,
                "available_margin": available,
            },
        )


class BalanceTooLarge(InvalidRequest):
    code = "balance_too_large"

    def __init__(self, limit: Decimal, available: Decimal) -> None:
        super().__init__(
            f"A portfolio can hold up to {limit}, and {available} is available already.",
            details={"limit": limit, "available_margin": available},
        )


class WrongSideOfPrice(InvalidRequest):
    code = "wrong_side_of_price"

    def __init__(
        self,
        field: str,
        level: Decimal,
        rule: str,
        price: Decimal,
        *,
        price_name: str = "price",
        nearest: Decimal | None = None,
    ) -> None:
        """`rule` is below or above, and `nearest` the nearest legal level there, if any."""
        details = {"price": price, "param": field, "given": level}
        super().__init__(
            f"{title_of(field)} {level} must be {rule} the {price_name}, which is {price}.",
            details={field: f"must be {rule} {price}"} | details | present(**{rule: nearest}),
        )


class InsufficientMargin(InvalidRequest):
    code = "insufficient_margin"

    def __init__(
        self,
        required: Decimal,
        available: Decimal,
        quantity: int,
        *,
        equity: Decimal | None = None,
        below: int | None = None,
    ) -> None:
        """Name the `equity` if it is used up, else the largest quantity that has enough margin."""
        details = {
            "required_margin": required,
            "available_margin": available,
            "param": "quantity",
            "given": quantity,
        }
        if equity is None:
            reason = f"and {available} is available"
        else:
            reason = f"but open trades have used up the equity, which is {equity}"
        super().__init__(
            f"This trade needs a margin of {required}, {reason}.",
            details=details | present(equity=equity, below=below),
        )


class AlreadyCrossed(InvalidRequest):
    code = "already_crossed"

    def __init__(self, direction: str, level: Decimal, price: Decimal) -> None:
        super().__init__(
            f"The price is {price} already, so an alert {direction} {level} would fire now.",
            details={direction: f"must be {direction} {price}", "price": price},
        )


class Unauthenticated(PaperTradingError):
    code = "unauthorized"


class AccountGone(Unauthenticated):
    code = "account_gone"

    def __init__(self) -> None:
        super().__init__("This account no longer exists.")


class Forbidden(PaperTradingError):
    code = "forbidden"


class InsufficientScope(Forbidden):
    code = "insufficient_scope"

    def __init__(self, required: str, granted: Iterable[str]) -> None:
        """Name the scope that is missing; no API key can have `account`."""
        if required == "account":
            reason = "This needs a sign-in: no API key may change accounts."
        else:
            reason = f"This API key lacks the scope {required}."
        super().__init__(reason, details={"required": required, "granted": sorted(granted)})


class NotFound(PaperTradingError):
    code = "not_found"


class Conflict(PaperTradingError):
    code = "conflict"


class ResetMeanwhile(Conflict):
    code = "reset_meanwhile"

    def __init__(self, portfolio: str, season: int) -> None:
        """Name the season that the other request began."""
        super().__init__(
            f"Another request has reset this portfolio meanwhile: season {season} has begun.",
            details={"portfolio": portfolio, "season": season},
        )


class IdempotencyKeyReused(Conflict):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request. Use a new one.")


class PriceTooOld(Conflict):
    code = "price_too_old"

    def __init__(
        self, symbol: str, price: Decimal, made_at: datetime, age: timedelta, limit: timedelta
    ) -> None:
        """Name the age of the price and its limit, both in trading time."""
        seconds, maximum = _seconds(age), _seconds(limit)
        super().__init__(
            f"{symbol} was last traded {seconds:,} seconds of trading ago, at {price}. No order is "
            f"taken at a price older than {maximum:,} seconds.",
            details={
                "symbol": symbol,
                "price": price,
                "price_time": made_at,
                "age_seconds": seconds,
                "limit_seconds": maximum,
            },
        )


class LastPriceTooEarly(Conflict):
    code = "last_price_too_early"

    def __init__(self, symbol: str, price: Decimal, seen_at: datetime) -> None:
        """Name the last price, and when a source last had it."""
        super().__init__(
            f"A newer price of {symbol} may still come. Exit at the last one, {price}, once no "
            "source has had a price for a trading day.",
            details={"symbol": symbol, "last_price": price, "last_seen": seen_at},
        )


class MarketClosed(Conflict):
    code = "market_closed"

    def __init__(self, next_open: datetime, symbol: str | None = None) -> None:
        """Name the next opening, given in Indian Standard Time, and the symbol of an order."""
        day = f"{next_open:%A}, {next_open.day} {next_open:%B %Y}"
        super().__init__(
            f"The market is closed. It opens on {day} at {next_open:%H:%M} IST.",
            details={"next_open": next_open}
            | ({} if symbol is None else {"param": "symbol", "given": symbol}),
        )


class InClosingAuction(MarketClosed):
    def __init__(self, symbol: str, ends: datetime, next_open: datetime) -> None:
        """Name the end of the auction and the next opening, given in Indian Standard Time."""
        super().__init__(next_open, symbol)
        self.message = (
            f"{symbol} is in its closing auction until {ends:%H:%M} IST: nothing is filled at the "
            "last price."
        )


class RateLimited(PaperTradingError):
    code = "rate_limited"

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: int,
        amount: int = 1,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Name the limit in `message`; `amount` is how many requests it allows."""
        seconds = {"retry_after_seconds": retry_after_seconds}
        super().__init__(message, code=code, details={**(details or {}), **seconds})
        self.retry_after_seconds = retry_after_seconds
        self.amount = amount


class Unavailable(PaperTradingError):
    code = "unavailable"
    retry_after_seconds = 5


class MarketDataUnavailable(Unavailable):
    code = "market_data_unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class ResultUnconfirmed(DatabaseUnavailable):
    """An earlier try of the request has a result that a majority of the database lacks so far."""

    def __init__(self) -> None:
        super().__init__("An earlier try of this request is not confirmed yet. Try again shortly.")


class DiskFull(Unavailable):
    code = "disk_full"
    retry_after_seconds = 30


class ServerBusy(Unavailable):
    code = "server_busy"
    retry_after_seconds = 2


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())


def title_of(field: str) -> str:
    """Return the name of a field as the subject of a sentence."""
    return field.replace("_", " ").capitalize()


def nearest_values(below: object, above: object) -> str:
    """Return the end of a sentence that names the nearest legal values."""
    values = [str(value) for value in (below, above) if value is not None]
    return f"; nearest: {' and '.join(values)}" if values else ""


def present(**details: Any) -> dict[str, Any]:
    """Return the details that exist."""
    return {name: value for name, value in details.items() if value is not None}
