"""Errors of orders that the exchange would refuse on this day."""

from __future__ import annotations

from decimal import Decimal

from app.domain.errors import InvalidRequest, nearest_values, present, title_of


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
