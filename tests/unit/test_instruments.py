"""The instruments, and the names people give them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain.errors import NotFound
from app.market_data.instruments import DEFAULT_INDICES, load_instruments
from app.market_data.watchlist import Watchlist

INSTRUMENTS = load_instruments()


def test_there_are_three_indices_and_fifty_shares_on_two_exchanges() -> None:
    symbols = [each.symbol for each in INSTRUMENTS]

    assert len(INSTRUMENTS) == len(set(symbols)) == 103
    assert [each for each in symbols if each.startswith("^")] == ["^NSEI", "^NSEBANK", "^BSESN"]
    shares = {
        exchange: {s[:-3] for s in symbols if s.endswith(exchange)} for exchange in (".NS", ".BO")
    }
    assert len(shares[".NS"]) == 50
    assert shares[".NS"] == shares[".BO"]


def test_every_instrument_can_be_traded_as_it_stands() -> None:
    for each in INSTRUMENTS:
        assert each.name
        assert each.exchange == (
            "BSE" if each.symbol in ("^BSESN",) or each.symbol.endswith(".BO") else "NSE"
        )
        assert each.tick_size >= Decimal("0.01")
        assert each.lot_size >= 1
        assert each.angel_token.isdigit()
        assert each.base_price > 0


def test_no_two_instruments_of_an_exchange_share_a_token() -> None:
    tokens = [(each.exchange, each.angel_token) for each in INSTRUMENTS]

    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    ("symbol", "token", "base"),
    [
        ("^NSEI", "99926000", 25_000),
        ("^NSEBANK", "99926009", 57_000),
        ("^BSESN", "99919000", 80_000),
    ],
)
def test_the_indices_have_their_tokens_and_bases(symbol: str, token: str, base: int) -> None:
    index = INSTRUMENTS.get(symbol)

    assert (index.angel_token, index.base_price) == (token, base)


@pytest.mark.parametrize(
    ("names", "symbol"),
    [
        (
            (
                "^NSEI",
                "^nsei",
                "%5ENSEI",
                "%5ensei",
                "NIFTY",
                "nifty",
                "Nifty50",
                ".NSEI",
                " NIFTY ",
            ),
            "^NSEI",
        ),
        (("^BSESN", "%5EBSESN", "SENSEX", "sensex", ".bsesn"), "^BSESN"),
        (("^NSEBANK", "%5ensebank", "BANKNIFTY", "BankNifty"), "^NSEBANK"),
        (("RELIANCE", "reliance", "RELIANCE.NS", "reliance.ns", "Reliance.Ns"), "RELIANCE.NS"),
        (("RELIANCE.BO", "reliance.bo"), "RELIANCE.BO"),
        (("M&M", "m&m.ns"), "M&M.NS"),
    ],
)
def test_an_alias_in_any_case_is_the_canonical_symbol(names: tuple[str, ...], symbol: str) -> None:
    assert {INSTRUMENTS.get(name).symbol for name in names} == {symbol}


@pytest.mark.parametrize("name", ["", "AAPL", "^", "RELIANCE.XX", "NIFTY 50", "x" * 5_000])
def test_any_other_name_is_not_found(name: str) -> None:
    assert INSTRUMENTS.find(name) is None
    with pytest.raises(NotFound) as refusal:
        INSTRUMENTS.get(name)

    assert refusal.value.code == "unknown_symbol"
    assert len(refusal.value.message) < 120


def test_searching_for_nothing_finds_everything() -> None:
    assert INSTRUMENTS.search("") == list(INSTRUMENTS)


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("reliance", {"RELIANCE.NS", "RELIANCE.BO"}),
        ("Industries", {"RELIANCE.NS", "RELIANCE.BO"}),
        ("reliance.bo", {"RELIANCE.BO"}),
        ("sensex", {"^BSESN"}),
        ("banknifty", {"^NSEBANK"}),
        ("no such share", set()),
    ],
)
def test_a_search_finds_symbols_names_and_aliases(text: str, symbols: set[str]) -> None:
    assert {each.symbol for each in INSTRUMENTS.search(text)} >= symbols
    assert bool(INSTRUMENTS.search(text)) is bool(symbols)


def test_the_default_indices_are_always_watched() -> None:
    assert Watchlist().symbols() == set(DEFAULT_INDICES) == {"^NSEI", "^BSESN"}


def test_what_was_traded_is_watched() -> None:
    watchlist = Watchlist()
    watchlist.traded.add("TCS.NS")

    assert watchlist.symbols() == {*DEFAULT_INDICES, "TCS.NS"}


def test_a_symbol_is_watched_until_its_last_follower_leaves() -> None:
    watchlist = Watchlist()
    watchlist.follow("TCS.NS")
    watchlist.follow("TCS.NS")

    watchlist.unfollow("TCS.NS")
    assert "TCS.NS" in watchlist.symbols()
    watchlist.unfollow("TCS.NS")
    assert "TCS.NS" not in watchlist.symbols()


def test_a_follower_too_many_gone_does_not_hide_the_next_one() -> None:
    watchlist = Watchlist()
    watchlist.unfollow("TCS.NS")

    watchlist.follow("TCS.NS")

    assert "TCS.NS" in watchlist.symbols()
