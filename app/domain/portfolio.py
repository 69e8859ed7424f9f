"""The names of portfolios, and how much they can hold."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

# The portfolio that a request means if it names none.
DEFAULT_NAME = "default"
MAX_NAME = 40
# Rupees. A JSON number holds this much to the paisa.
MAX_BALANCE = Decimal(10**12)


def portfolio_name(text: str) -> str:
    """Return the one spelling of a name: lower case, with single spaces between its words.

    Raises ValueError for a name that is too long, or has other characters than letters and digits
    of any script, spaces, hyphens and underscores. Names are in emails: a dot could make a link.
    """
    name = unicodedata.normalize("NFC", " ".join(text.split()).lower())
    if not 1 <= len(name) <= MAX_NAME or not name[0].isalnum() or not all(map(_is_allowed, name)):
        raise ValueError(
            f"must be 1 to {MAX_NAME} letters, digits, spaces, hyphens or underscores, and begin "
            "with a letter or digit"
        )
    return name


def _is_allowed(character: str) -> bool:
    # Vowel signs of Indian scripts are marks, not letters.
    is_mark = unicodedata.category(character).startswith("M")
    return is_mark or character.isalnum() or character in " -_"
