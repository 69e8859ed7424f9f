"""What strict account rules ask of a registration beyond its form."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.auth.passwords import normalize_password
from app.auth.schemas import RegisterRequest
from app.domain.contact import is_mobile_in
from app.domain.errors import InvalidFields

MIN_PASSWORD_LENGTH = 8
MIN_DIFFERENT_CHARACTERS = 4


def check_registration(request: RegisterRequest, countries: tuple[str, ...]) -> None:
    """Raise InvalidFields for a guessable password or a number that takes no SMS."""
    faults = {}
    if fault := password_fault(
        request.password,
        # The last ten digits: people leave out the prefix.
        (request.email, request.name, request.phone, request.phone[-10:], request.client_id or ""),
    ):
        faults["password"] = fault
    if not is_mobile_in(request.phone, countries):
        faults["phone"] = f"must be a mobile number of {' or '.join(countries)}"
    if faults:
        raise InvalidFields(faults)


def password_fault(password: str, names: tuple[str, ...]) -> str | None:
    """Return what makes a password guessable for a user with these names, None if nothing."""
    text = normalize_password(password).strip()
    folded = text.casefold()
    letters = _letters(folded)
    if len(text) < MIN_PASSWORD_LENGTH:
        return f"should have at least {MIN_PASSWORD_LENGTH} characters"
    own = {_letters(part) for name in names for part in (name, *re.split(r"[\s@._+-]+", name))}
    own |= {_letters(name.partition("@")[0]) for name in names}
    if letters and {letters, letters.strip("0123456789")} & (own - {""}):
        return "must not be your name, email address or phone number"
    if not {folded, letters}.isdisjoint(_common_passwords()):
        return "is one of the most common passwords"
    if len(set(folded)) < MIN_DIFFERENT_CHARACTERS:
        return f"must have at least {MIN_DIFFERENT_CHARACTERS} different characters"
    return None


def _letters(text: str) -> str:
    """Return the letters and digits alone, in one case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"])
