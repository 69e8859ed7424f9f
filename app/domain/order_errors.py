"""Errors of orders: what the exchange would refuse, and what the user's other orders rule out."""

from __future__ import annotations

from decimal import Decimal

from app.domain.errors import Conflict, InvalidRequest, nearest_values, present, title_of


class FreezeQuantity(InvalidRequest):
    code = "freeze_quantity"

    def __init__(
        self, quantity: int, symbol: str, freeze_quantity: int, *, below: int | None
    ) -> None:
        """Name the largest legal quantity, None if there is none."""
        super().__init__(
            f"Quantity {quantity} is more than one order of {symbol} may have, which is "
            f"{freeze_quantity}{nearest_values(below, None)}.",
            details={"param": "quantity", "given": quantity, "freeze_quantity": freeze_quantity}
            | present(below=below),
        )


class PriceOutsideBand(InvalidRequest):
    code = "price_outside_band"

    def __init__(
        self,
        field: str,
        price: Decimal,
        symbol: str,
        lower: Decimal | None,
        upper: Decimal | None,
        *,
        below: Decimal | None = None,
        above: Decimal | None = None,
    ) -> None:
        """Name the band, and the nearest legal price: `below` or `above` the given one."""
        limits = [
            *([f"at least {lower}"] if lower is not None else []),
            *([f"at most {upper}"] if upper is not None else []),
        ]
        super().__init__(
            f"{title_of(field)} {price} is outside the band of {symbol} today, which is "
            f"{' and '.join(limits)}{nearest_values(below, above)}.",
            details={"param": field, "given": price}
            | present(lower_band=lower, upper_band=upper, below=below, above=above),
        )


class WouldTriggerImmediately(InvalidRequest):
    code = "would_trigger_immediately"

    def __init__(
        self, stop_price: Decimal, rule: str, price: Decimal, nearest: Decimal | None
    ) -> None:
        """`rule` is below or above, and `nearest` the nearest legal stop price there, if any."""
        super().__init__(
            f"Stop price {stop_price} must be {rule} the price, which is {price}: "
            "the order would be triggered at once.",
            details={"param": "stop_price", "given": stop_price, "price": price}
            | present(**{rule: nearest}),
        )


class ClientOrderIdReused(Conflict):
    code = "client_order_id_reused"

    def __init__(self) -> None:
        super().__init__("This client_order_id was used for another order. Use a new one.")


class TooManyPending(Conflict):
    code = "too_many_pending"

    def __init__(self, order_type: str, limit: int) -> None:
        super().__init__(
            f"{limit} of your trades wait for their entry already. Cancel one first.",
            details={"param": "order_type", "given": order_type, "limit": limit},
        )
