"""The normal forms of email addresses, client_ids and phone numbers."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import email_validator
import idna
import phonenumbers

# Domains such as .test and .local do not exist on the internet, but people use them on their own
# networks. No feature depends on mail reaching them.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

MAX_EMAIL_LENGTH = 254
INDIA = 91
INDIAN_NUMBER_LENGTH = 10
# Digits of any script and their usual separators. phonenumbers would ignore other text.
_PHONE = re.compile(r"(?:tel:)?\s*\+?[\d\s().\-/\u2010-\u2015]+", re.IGNORECASE)
_MIXED_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")


def normalize_email(text: str) -> str:
    """Return the address as it is stored: in NFKC, lower case, its domain in Unicode.

    Raises ValueError if the text is not an email address.
    """
    try:
        checked = email_validator.validate_email(
            unicodedata.normalize("NFKC", text).strip(), check_deliverability=False
        )
    except email_validator.EmailNotValidError as error:
        raise ValueError(f"is not an email address: {error}") from None
    return unicodedata.normalize("NFKC", checked.normalized.lower())


@lru_cache(10_000)
def identity_key(text: str) -> str:
    """Return the key of an email address or client_id: equal for all spellings of one user.

    The domain is in punycode, the rest case-folded. Any other text has a key as well.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).strip().casefold())
    if "@" not in folded or len(folded) > 2 * MAX_EMAIL_LENGTH:
        return folded
    local, _, domain = folded.rpartition("@")
    # Taken before case folding, which would turn the letter ß into ss.
    domain_as_written = unicodedata.normalize("NFKC", text).strip().rpartition("@")[2]
    try:
        return f"{local}@{ascii_domain(domain_as_written)}"
    except ValueError:
        return f"{local}@{domain}"


def is_same_identity(one: str, other: str) -> bool:
    """Return whether two spellings of an email address or client_id mean one user."""
    return one == other or identity_key(one) == identity_key(other)


def ascii_domain(domain: str) -> str:
    """Return a domain in punycode, lower case; raise ValueError if it is invalid."""
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        # Decoded first: punycode of a name that is not normalized gets the same form.
        return idna.encode(idna.decode(domain, uts46=True), uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(f"is not a domain name: {error}") from None


def looks_forged(email: str) -> bool:
    """Return whether a part of the address mixes scripts with similar letters.

    A Cyrillic letter among Latin ones imitates another address.
    """
    for part in re.split(r"[@.+_\-]", email):
        names = {unicodedata.name(c, "").partition(" ")[0] for c in part if c.isalpha()}
        if len(names.intersection(_MIXED_SCRIPTS)) > 1:
            return True
    return False


def parse_phone(text: str) -> phonenumbers.PhoneNumber:
    """Return the number, Indian unless it has another prefix; raise ValueError if invalid.

    An Indian number has ten digits after the prefix, any other a length its country uses.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if not _PHONE.fullmatch(plain):
        raise ValueError("is not a phone number")
    try:
        number = phonenumbers.parse(plain, "IN")
    except phonenumbers.NumberParseException:
        raise ValueError("is not a phone number") from None
    length = len(phonenumbers.national_significant_number(number))
    if number.country_code == INDIA:
        if length != INDIAN_NUMBER_LENGTH:
            raise ValueError(f"must have ten digits after the prefix +91, and has {length}")
    elif (
        phonenumbers.is_possible_number_with_reason(number)
        != phonenumbers.ValidationResult.IS_POSSIBLE
    ):
        raise ValueError("is not a possible phone number")
    return number


def format_phone(number: phonenumbers.PhoneNumber) -> str:
    """Return the number as it is stored: E.164."""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_mobile_in(phone: str, countries: tuple[str, ...]) -> bool:
    """Return whether a stored number is a valid mobile number of one of the countries."""
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return False
    mobile = (
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
    return (
        phonenumbers.number_type(number) in mobile
        and phonenumbers.region_code_for_number(number) in countries
    )
