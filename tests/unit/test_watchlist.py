"""Which symbols the monitor asks for."""

from __future__ import annotations

from app.market_data.watchlist import MARK_SECONDS, Watchlist

INDICES = {"^NSEI", "^BSESN"}


def test_everyone_gets_the_indices() -> None:
    assert Watchlist().symbols() == INDICES


def test_a_symbol_is_polled_for_as_long_as_a_socket_follows_it() -> None:
    watchlist = Watchlist()
    watchlist.follow("TCS.NS")
    watchlist.follow("TCS.NS")
    watchlist.unfollow("TCS.NS")
    assert watchlist.symbols() == {*INDICES, "TCS.NS"}

    watchlist.unfollow("TCS.NS")
    assert watchlist.symbols() == INDICES


def test_an_alert_set_while_the_database_was_asked_is_not_forgotten() -> None:
    watchlist = Watchlist()
    watchlist.mark_alerted("OLD.NS", 5)
    asked_at = 10.0
    watchlist.mark_alerted("NEW.NS", 11)

    watchlist.set_alerted({"KNOWN.NS"}, asked_at)

    assert watchlist.alerted == {"KNOWN.NS", "NEW.NS"}


def test_a_symbol_traded_lately_stays_whatever_the_database_said() -> None:
    watchlist = Watchlist()
    watchlist.mark_traded("TCS.NS", 0)

    watchlist.set_traded(set(), MARK_SECONDS - 1)
    assert watchlist.traded == {"TCS.NS"}

    watchlist.set_traded(set(), MARK_SECONDS)
    assert watchlist.traded == set()
