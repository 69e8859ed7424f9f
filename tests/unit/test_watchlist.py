"""Which symbols the monitor asks for."""

from __future__ import annotations

from app.market_data.polled_symbols import MARK_SECONDS, MAX_FOLLOWED, PolledSymbols

INDICES = {"^NSEI", "^BSESN"}


def test_everyone_gets_the_indices() -> None:
    assert PolledSymbols().symbols() == INDICES


def test_a_symbol_is_polled_for_as_long_as_a_socket_follows_it() -> None:
    watchlist = PolledSymbols()
    watchlist.follow("TCS.NS")
    watchlist.follow("TCS.NS")
    watchlist.unfollow("TCS.NS")
    assert watchlist.symbols() == {*INDICES, "TCS.NS"}

    watchlist.unfollow("TCS.NS")
    assert watchlist.symbols() == INDICES


def test_an_alert_set_while_the_database_was_asked_is_not_forgotten() -> None:
    watchlist = PolledSymbols()
    watchlist.mark_alerted("OLD.NS", 5)
    asked_at = 10.0
    watchlist.mark_alerted("NEW.NS", 11)

    watchlist.set_alerted({"KNOWN.NS"}, asked_at)

    assert watchlist.alerted == {"KNOWN.NS", "NEW.NS"}


def test_a_symbol_traded_lately_stays_whatever_the_database_said() -> None:
    watchlist = PolledSymbols()
    watchlist.mark_traded("TCS.NS", 0)

    watchlist.set_traded(set(), MARK_SECONDS - 1)
    assert watchlist.traded == {"TCS.NS"}

    watchlist.set_traded(set(), MARK_SECONDS)
    assert watchlist.traded == set()


def test_of_symbols_that_are_only_followed_so_many_are_polled_at_a_time_in_turn() -> None:
    watchlist = PolledSymbols()
    watchlist.mark_traded("TCS.NS", 0)
    watchlist.mark_alerted("INFY.NS", 0)
    followed = {f"S{number}.NS" for number in range(3 * MAX_FOLLOWED + 7)}
    for symbol in (*followed, "TCS.NS"):
        watchlist.follow(symbol)

    rounds = [watchlist.symbols() for _ in range(4)]

    for symbols in rounds:
        assert symbols > {*INDICES, "TCS.NS", "INFY.NS"}
        assert len(symbols & followed) == MAX_FOLLOWED
    assert set().union(*rounds) > followed


def test_symbols_followed_elsewhere_count_as_well() -> None:
    watchlist = PolledSymbols()
    watchlist.followed_elsewhere = {f"S{number}.NS" for number in range(10_000)}

    assert len(watchlist.symbols()) == MAX_FOLLOWED + len(INDICES)


def test_a_process_that_does_not_poll_asks_for_what_most_sockets_follow() -> None:
    watchlist = PolledSymbols()
    for number in range(MAX_FOLLOWED + 100):
        watchlist.follow(f"S{number}.NS")
    watchlist.follow("TCS.NS")
    watchlist.follow("TCS.NS")

    assert len(watchlist.followed_here) == MAX_FOLLOWED
    assert watchlist.followed_here[0] == "TCS.NS"
