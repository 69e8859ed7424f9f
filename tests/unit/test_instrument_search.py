"""The search of instruments by what people call them, and the order of what it finds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain.company import Company
from app.domain.instrument import Instrument
from app.market_data.instruments.companies import companies
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.instruments.search import MAX_TYPO

INSTRUMENTS = load_instruments()


def found(text: str, among: Instruments = INSTRUMENTS) -> list[str]:
    return [each.symbol for each in among.search(text)]


def first(text: str) -> str | None:
    return next(iter(found(text)), None)


def share(ticker: str, name: str = "", *short_names: str) -> Instrument:
    company = Company("", "", short_names, {}) if short_names else None
    tick = Decimal("0.05")
    return Instrument(f"{ticker}.NS", name or ticker, "NSE", tick, 1, "1", company=company)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("RIL", "RELIANCE.NS"),
        ("sbi", "SBIN.NS"),
        ("HUL", "HINDUNILVR.NS"),
        ("M&M", "M&M.NS"),
        ("m & m", "M&M.NS"),
        ("m and m", "M&M.NS"),
        ("mm", "M&M.NS"),
        ("Mahindra & Mahindra Ltd.", "M&M.NS"),
        ("mahindra and mahindra", "M&M.NS"),
        ("LT", "LT.NS"),
        ("L&T", "LT.NS"),
        ("l & t", "LT.NS"),
        ("larsen and toubro ltd", "LT.NS"),
        ("Infy", "INFY.NS"),
        ("airtel", "BHARTIARTL.NS"),
        ("Zomato", "ETERNAL.NS"),
        ("tata motors", "TMPV.NS"),
        ("bajaj auto", "BAJAJ-AUTO.NS"),
        ("bajajauto", "BAJAJ-AUTO.NS"),
        ("dr reddys", "DRREDDY.NS"),
        ("Dr. Reddy\N{RIGHT SINGLE QUOTATION MARK}s", "DRREDDY.NS"),
        ("bank nifty", "^NSEBANK"),
        ("BankNifty", "^NSEBANK"),
        ("nifty", "^NSEI"),
        ("sensex", "^BSESN"),
        ("^", "^NSEI"),
    ],
)
def test_a_share_is_found_by_what_people_call_it(text: str, symbol: str) -> None:
    assert first(text) == symbol


@pytest.mark.parametrize("text", ["INE002A01018", "ine002a01018", "INE002A"])
def test_an_isin_finds_the_share_on_both_exchanges(text: str) -> None:
    assert found(text) == ["RELIANCE.NS", "RELIANCE.BO"]


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("bank kotak", "KOTAKBANK.NS"),
        ("suzuki maruti", "MARUTI.NS"),
        ("india state", "SBIN.NS"),
        ("gas oil corp", "ONGC.NS"),
        ("unilvr", "HINDUNILVR.NS"),
        ("inserv", "BAJAJFINSV.NS"),
        ("ank otak", "KOTAKBANK.NS"),
        ("tcs.b", "TCS.BO"),
    ],
)
def test_words_are_found_in_any_order_and_parts_anywhere(text: str, symbol: str) -> None:
    assert first(text) == symbol


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("relaince", "RELIANCE.NS"),
        ("releance", "RELIANCE.NS"),
        ("relance", "RELIANCE.NS"),
        ("relliance", "RELIANCE.NS"),
        ("wipor", "WIPRO.NS"),
        ("ifny", "INFY.NS"),
        ("infosis", "INFY.NS"),
        ("bharti aitel", "BHARTIARTL.NS"),
        ("bnak nifty", "^NSEBANK"),
        ("relainc", "RELIANCE.NS"),
        ("mehindra and mahindra", "M&M.NS"),
        ("relianceindustires", "RELIANCE.NS"),
    ],
)
def test_one_typo_in_a_word_is_tolerated(text: str, symbol: str) -> None:
    assert first(text) == symbol


@pytest.mark.parametrize(
    "text", ["tsc", "rleaicne", "ine002a01019", "r" * (MAX_TYPO + 1), "no such share", "&", "????"]
)
def test_short_words_numbers_and_two_typos_are_not_guessed(text: str) -> None:
    assert found(text) == []


def test_better_matches_come_first() -> None:
    shares = [
        share("MALPHA"),
        share("ONE", "The Alphas"),
        share("TWO", "Other", "Alpha Two"),
        share("THREE", "Alphas"),
        share("ALPHABET"),
        share("ALPHA"),
        share("ALHPA"),
    ]
    known = Instruments(shares)

    names = ["ALPHA", "ALPHABET", "TWO", "THREE", "ONE", "MALPHA"]
    assert found("alpha", known) == [f"{name}.NS" for name in names]
    assert [each.ticker for each in known.search("alpha", 2)] == names[:2]


def test_a_typo_is_guessed_only_if_nothing_begins_with_the_text() -> None:
    known = Instruments([share("DISCIPLE"), share("CIPLA"), share("CIPLES")])

    assert found("cipla", known) == ["CIPLA.NS"]
    assert found("iple", known) == ["DISCIPLE.NS", "CIPLES.NS"]
    assert found("cipal", known) == ["CIPLA.NS"]


def test_each_share_is_found_once() -> None:
    for text in ("bank", "tata", "a", "hdfc bank", "india"):
        symbols = found(text)
        assert len(symbols) == len(set(symbols)) > 0


def test_every_share_is_found_by_its_symbol_name_and_isin() -> None:
    for each in INSTRUMENTS:
        assert first(each.symbol) == each.symbol
        assert each.symbol in found(each.name)
        if each.company:
            assert each.symbol in found(each.company.isin)


def isin_is_valid(isin: str) -> bool:
    """Return whether the last digit fits: Luhn's sum of the digits, A being 10 (ISO 6166)."""
    digits = [int(digit) for letter in isin for digit in str(int(letter, 36))]
    doubled = [digit * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return len(isin) == 12 and sum(sum(divmod(each, 10)) for each in doubled) % 10 == 0


def test_every_share_has_a_valid_isin_of_its_own_and_a_sector() -> None:
    known = [each.company for each in INSTRUMENTS if not each.is_index]
    isins = {each.isin for each in known if each and isin_is_valid(each.isin) and each.sector}

    assert len(isins) == len(companies()) == 50
    assert len(known) == 100
    assert all(isin.startswith("INE") for isin in isins)
    assert not isin_is_valid("INE002A01019")


@pytest.mark.parametrize(("index", "shares"), [("^NSEI", 50), ("^BSESN", 30), ("^NSEBANK", 5)])
def test_the_weights_of_an_index_add_up_to_it(index: str, shares: int) -> None:
    issuers = companies().values()
    weights = [float(each.weights[index]) for each in issuers if index in each.weights]

    assert len(weights) == shares
    assert min(weights) > 0
    assert abs(sum(weights) - 100) <= 1
