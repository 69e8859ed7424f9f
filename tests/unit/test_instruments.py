"""The instruments, their aliases, and the search."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.domain.errors import InvalidRequest, NotFound
from app.domain.instrument import Instrument
from app.market_data.instruments.registry import (
    DEFAULT_INDICES,
    MISS_SECONDS,
    REFRESH_SECONDS,
    Instruments,
    Listing,
    load_instruments,
)
from app.market_data.polled_symbols import PolledSymbols
from tests.support.concurrency import run_concurrently
from tests.support.market import ManualClock
from tests.support.quotes import NOON

INSTRUMENTS = load_instruments()


def test_there_are_three_indices_and_fifty_shares_on_two_exchanges() -> None:
    symbols = [instrument.symbol for instrument in INSTRUMENTS]

    assert len(INSTRUMENTS) == len(set(symbols)) == 103
    assert [symbol for symbol in symbols if symbol.startswith("^")] == [
        "^NSEI",
        "^NSEBANK",
        "^BSESN",
    ]
    shares = {
        exchange: {s[:-3] for s in symbols if s.endswith(exchange)} for exchange in (".NS", ".BO")
    }
    assert len(shares[".NS"]) == 50
    assert shares[".NS"] == shares[".BO"]


def test_every_shipped_instrument_can_be_traded() -> None:
    for instrument in INSTRUMENTS:
        assert instrument.name
        assert instrument.exchange == (
            "BSE"
            if instrument.symbol in ("^BSESN",) or instrument.symbol.endswith(".BO")
            else "NSE"
        )
        assert instrument.tick_size >= Decimal("0.01")
        assert instrument.lot_size >= 1
        assert instrument.angel_token.isdigit()
        assert instrument.base_price
        assert instrument.base_price > 0


def test_no_two_instruments_of_an_exchange_share_a_token() -> None:
    tokens = [(instrument.exchange, instrument.angel_token) for instrument in INSTRUMENTS]

    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    ("symbol", "token", "base"),
    [
        ("^NSEI", "99926000", 25_000),
        ("^NSEBANK", "99926009", 57_000),
        ("^BSESN", "99919000", 80_000),
    ],
)
def test_the_indices_have_their_tokens_and_start_prices(symbol: str, token: str, base: int) -> None:
    index = INSTRUMENTS.get(symbol)

    assert (index.angel_token, index.base_price) == (token, Decimal(base))


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
def test_an_alias_in_any_case_resolves_to_the_symbol(names: tuple[str, ...], symbol: str) -> None:
    assert {INSTRUMENTS.get(name).symbol for name in names} == {symbol}


@pytest.mark.parametrize("name", ["", "AAPL", "^", "RELIANCE.XX", "NIFTY 500", "x" * 5_000])
def test_any_other_name_is_not_found(name: str) -> None:
    assert INSTRUMENTS.find(name) is None
    with pytest.raises(NotFound) as refusal:
        INSTRUMENTS.get(name)

    assert refusal.value.code == "unknown_symbol"
    assert len(refusal.value.message) < 120


def test_an_empty_search_finds_every_instrument() -> None:
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


def test_the_default_indices_are_always_polled() -> None:
    assert PolledSymbols().symbols() == set(DEFAULT_INDICES) == {"^NSEI", "^BSESN"}


def test_traded_symbols_are_polled() -> None:
    polled = PolledSymbols()
    polled.traded.add("TCS.NS")

    assert polled.symbols() == {*DEFAULT_INDICES, "TCS.NS"}


def test_a_symbol_is_polled_until_its_last_follower_leaves() -> None:
    polled = PolledSymbols()
    for _ in range(2):
        assert polled.try_follow(["TCS.NS"], budget=1)

    polled.unfollow("TCS.NS")
    assert "TCS.NS" in polled.symbols()
    polled.unfollow("TCS.NS")
    assert "TCS.NS" not in polled.symbols()


def test_an_extra_unfollow_does_not_hide_the_next_follower() -> None:
    polled = PolledSymbols()
    polled.unfollow("TCS.NS")

    assert polled.try_follow(["TCS.NS"], budget=1)

    assert "TCS.NS" in polled.symbols()


class Lists:
    """A source of lists that counts its calls."""

    def __init__(self, *instruments: Instrument) -> None:
        self.asked = 0
        self.version = 0
        self.put(*instruments)

    def put(self, *instruments: Instrument) -> None:
        self.version += 1
        self._listing = Listing(self.version, list(instruments))

    def load(self, known: object) -> Listing | None:
        self.asked += 1
        return None if known == self.version else self._listing


def share(ticker: str, exchange: str = "NSE", **changes: Any) -> Instrument:
    suffix = ".NS" if exchange == "NSE" else ".BO"
    fields: dict[str, Any] = {"tick_size": Decimal("0.05"), "lot_size": 1, "angel_token": "1"}
    return Instrument(f"{ticker}{suffix}", ticker, exchange, **{**fields, **changes})


def test_an_unknown_name_checks_for_a_new_list_every_few_seconds() -> None:
    clock, lists = ManualClock(), Lists(share("NEW"))
    known = load_instruments(lists.load, clock)
    assert lists.asked == 1
    for _ in range(50):
        assert known.find("NEW") is not None
        assert known.by_symbol("OLD.NS") is None
        clock.advance(100)
    assert lists.asked == 1

    for _ in range(50):
        assert known.find("OLD") is None
    assert lists.asked == 2
    clock.advance(MISS_SECONDS)
    lists.put(share("OLD"))
    assert known.find("OLD") is not None
    assert known.find("NEW") is None
    assert lists.asked == 3


def test_a_newer_list_is_checked_for_once_a_minute() -> None:
    clock, lists = ManualClock(), Lists()
    known = load_instruments(lists.load, clock)
    known.refresh()
    asked = lists.asked
    for _ in range(3):
        clock.advance(REFRESH_SECONDS - 1)
        known.refresh()
        clock.advance(1)
        known.refresh()
        known.refresh()

    assert lists.asked == asked + 3


def test_concurrent_misses_load_the_list_once() -> None:
    clock, lists = ManualClock(), Lists()
    known = load_instruments(lists.load, clock)
    assert known.find("NEW") is None
    asked = lists.asked
    lists.put(share("NEW"))
    clock.advance(MISS_SECONDS)

    found = run_concurrently([lambda: known.find("NEW")] * 20)

    assert all(found)
    assert lists.asked == asked + 1


def test_a_name_without_an_exchange_is_the_nse_share_or_else_the_bse_share() -> None:
    known = Instruments([share("BOTH", "BSE"), share("BOTH"), share("LOCAL", "BSE")])

    assert known.get("both").symbol == "BOTH.NS"
    assert known.get("local").symbol == known.get("LOCAL.BO").symbol == "LOCAL.BO"
    assert known.find("LOCAL.NS") is None


def test_a_list_corrects_tokens_and_sizes_but_neither_names_nor_indices() -> None:
    index = Instrument("^NSEI", "NIFTY", "NSE", Decimal("0.01"), 9, "42")
    listed = share("RELIANCE", tick_size=Decimal("0.20"), lot_size=3, angel_token="7")
    known = load_instruments(Lists(index, listed).load, ManualClock())

    reliance, nifty = known.get("RELIANCE"), known.get("NIFTY")
    assert (reliance.name, reliance.base_price) == ("Reliance Industries", Decimal(1_400))
    assert (reliance.tick_size, reliance.lot_size, reliance.angel_token) == (
        Decimal("0.20"),
        3,
        "7",
    )
    assert (nifty.name, nifty.tick_size, nifty.lot_size) == ("NIFTY 50", Decimal("0.05"), 1)
    assert nifty.angel_token == "42"


def test_an_unlisted_share_is_known_but_neither_searchable_nor_tradable() -> None:
    known = Instruments([share("GONE", unlisted_at=NOON), share("GOING")])

    assert known.get_ordered("GONE").symbol == "GONE.NS"
    assert [each.symbol for each in known.search("GO")] == ["GOING.NS"]
    assert len(known.search("")) == 1
    with pytest.raises(InvalidRequest) as refusal:
        known.get_tradable("gone")
    assert refusal.value.code == "unlisted_symbol"
    assert known.get_tradable("going").symbol == "GOING.NS"


def test_a_search_returns_the_best_matches_first() -> None:
    shares = ["NATATA", "TATASTEEL", "OTHER", "TATA", "ALSO"]
    names = {"OTHER": "The Tata Company", "ALSO": "Natatan"}
    known = Instruments(
        Instrument(f"{share}.NS", names.get(share, share), "NSE", Decimal("0.05"), 1, "1")
        for share in shares
    )

    found = [each.ticker for each in known.search("tata")]

    assert found == ["TATA", "TATASTEEL", "OTHER", "NATATA", "ALSO"]
    assert [each.ticker for each in known.search("tata", limit=2)] == ["TATA", "TATASTEEL"]


def test_an_alias_is_found_first_and_by_its_beginning() -> None:
    assert next(each.symbol for each in INSTRUMENTS.search("nifty")) == "^NSEI"
    assert [each.symbol for each in INSTRUMENTS.search("bankn")] == ["^NSEBANK"]
    assert [each.symbol for each in INSTRUMENTS.search("reliance")] == [
        "RELIANCE.NS",
        "RELIANCE.BO",
    ]


def test_a_search_ignores_the_suffix_of_the_exchange() -> None:
    known = Instruments([share("TCS"), share("INSIDE")])

    assert [each.ticker for each in known.search("ns")] == ["INSIDE"]
    assert [each.ticker for each in known.search("tcs.n")] == ["TCS"]


def test_a_search_among_ten_thousand_finds_the_exact_ticker_first() -> None:
    known = Instruments(share(f"SHARE{number}") for number in range(10_000))

    assert known.search("share77")[0].ticker == "SHARE77"
    assert all(found.ticker.startswith("SHARE77") for found in known.search("SHARE77"))
    assert known.search("nothing") == []


def test_an_unknown_start_price_is_made_up_and_equal_on_both_exchanges() -> None:
    prices = [share(f"SHARE{number}").start_price for number in range(2_000)]

    assert prices[:3] == [Decimal("822.07"), Decimal("3491.35"), Decimal("1378.89")]
    assert share("SHARE7").start_price == share("SHARE7", "BSE").start_price
    assert min(prices) >= 20
    assert max(prices) <= 5_000
    assert 250 < sorted(prices)[1_000] < 400
    assert len(set(prices)) > 1_900
    assert share("X", base_price=Decimal(7)).start_price == 7


@pytest.mark.parametrize("name", ["NIFTY 50", "Nifty Bank", "S&P BSE SENSEX", "M%26M", "%5ENSEI"])
def test_exchange_names_are_aliases_wherever_a_symbol_is_accepted(name: str) -> None:
    instruments = load_instruments()

    instrument = instruments.get(name)

    assert instruments.get_tradable(name) is instruments.get_ordered(name) is instrument
    assert instruments.search(name)[0] is instrument


def test_a_share_with_a_name_like_an_index_is_not_the_index() -> None:
    like = replace(load_instruments().get("TCS"), symbol="NIFTY-50.NS")

    assert Instruments([*load_instruments(), like]).get("NIFTY-50") is like
    assert Instruments([*load_instruments(), like]).get("NIFTY 50").symbol == "^NSEI"
