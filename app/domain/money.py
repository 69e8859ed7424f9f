"""Money: rupees as Decimal, in whole paise.

A price is quantized once, on entry. A price times a whole quantity is then exact, so only margins,
which are multiplied by a rate, are rounded.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

PAISA = Decimal("0.01")
ZERO = Decimal("0.00")


def to_paisa(amount: Decimal) -> Decimal:
    """Round an amount of rupees to whole paise, half a paisa away from zero."""
    return amount.quantize(PAISA, rounding=ROUND_HALF_UP)


# Rupees. No instrument traded in India costs more.
MAX_PRICE = Decimal(10_000_000)


def is_price(amount: Decimal) -> bool:
    """Return whether an amount of rupees can be a price: finite, positive, at most MAX_PRICE."""
    return amount.is_finite() and ZERO < amount <= MAX_PRICE


def parse_price(value: object) -> Decimal | None:
    """Return a value from a source as a price in whole paise, None if it is not a price."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        # The shortest text of a float is what the source sent.
        amount = Decimal(str(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    if not is_price(amount):
        return None
    price = to_paisa(amount)
    return price if is_price(price) else None


def is_whole_paise(amount: Decimal) -> bool:
    """Return whether an amount of rupees is a whole number of paise."""
    return amount == to_paisa(amount)


def required_margin(price: Decimal, quantity: int, rate: Decimal) -> Decimal:
    """Return the rupees blocked to open `quantity` at `price`; `rate` is a fraction."""
    return to_paisa(price * quantity * rate)


def format_rupees(amount: Decimal, sign: str = "₹") -> str:
    """Return an amount with Indian digit grouping: three digits, then pairs; ₹1,23,456.50.

    The minus of a negative amount precedes `sign`.
    """
    amount = to_paisa(amount)
    rupees, paise = f"{abs(amount):f}".split(".")
    head, tail = rupees[:-3], rupees[-3:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
    minus = "-" if amount < 0 else ""
    return f"{minus}{sign}{','.join([*reversed(pairs), tail])}.{paise}"
