"""Money: rupees as Decimal, whole paise.

A price is quantized once, where it enters. A price times a whole quantity is then exact, so
only a margin, which is multiplied by a rate, is ever rounded.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

PAISA = Decimal("0.01")
ZERO = Decimal("0.00")


def to_paisa(amount: Decimal) -> Decimal:
    """Round an amount of rupees to whole paise, half a paisa away from zero."""
    return amount.quantize(PAISA, rounding=ROUND_HALF_UP)


# Nothing that is traded in India costs more rupees.
MAX_PRICE = Decimal(10_000_000)


def is_price(amount: Decimal) -> bool:
    """Return whether an amount of rupees can be a price: a number, above zero, not absurd."""
    return amount.is_finite() and ZERO < amount <= MAX_PRICE


def parse_price(value: object) -> Decimal | None:
    """Return what a source sent as a price, in whole paise; None for what is no price."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        # A float by its shortest text, which is what was sent.
        amount = Decimal(str(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    if not is_price(amount):
        return None
    price = to_paisa(amount)
    return price if is_price(price) else None


def is_whole_paise(amount: Decimal) -> bool:
    """Tell whether an amount of rupees has no part smaller than a paisa."""
    return amount == to_paisa(amount)


def required_margin(price: Decimal, quantity: int, rate: Decimal) -> Decimal:
    """Return the rupees blocked to open `quantity` at `price`; `rate` is a share of 1."""
    return to_paisa(price * quantity * rate)


def format_rupees(amount: Decimal, sign: str = "₹") -> str:
    """Return an amount as India writes it: the last three digits, then pairs; ₹1,23,456.50.

    A negative one has its minus before `sign`.
    """
    amount = to_paisa(amount)
    rupees, paise = f"{abs(amount):f}".split(".")
    head, tail = rupees[:-3], rupees[-3:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
    minus = "-" if amount < 0 else ""
    return f"{minus}{sign}{','.join([*reversed(pairs), tail])}.{paise}"
