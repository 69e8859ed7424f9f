"""The rules of ACCOUNT_RULES=strict for a registration."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.auth.passwords import normalize_password
from app.domain.contact import is_mobile_in
from app.domain.errors import InvalidFields

MIN_PASSWORD_LENGTH = 8
MIN_DIFFERENT_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class Registration:
    """A user to register. Without a `client_id` the email is the user's id."""

    name: str
    email: str
    phone: str
    password: str
    client_id: str | None = None

    @property
    def user_id(self) -> str:
        return self.client_id or self.email


def check_registration(registration: Registration, countries: tuple[str, ...]) -> None:
    """Raise InvalidFields for a guessable password or a number that cannot receive SMS."""
    faults = {}
    phone = registration.phone
    # The last ten digits as well: people leave out the prefix.
    names = (registration.email, registration.name, phone, phone[-10:], registration.user_id)
    if fault := password_fault(registration.password, names):
        faults["password"] = fault
    if not is_mobile_in(phone, countries):
        faults["phone"] = f"must be a mobile number of {' or '.join(countries)}"
    if faults:
        raise InvalidFields(faults)


def password_fault(password: str, names: tuple[str, ...]) -> str | None:
    """Return why a password is guessable for a user with these names, None if it is not."""
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
    """Return only the letters and digits, case-folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"])
