"""Which symbols the monitor polls."""

from __future__ import annotations

from app.market_data.polled_symbols import MAX_FOLLOWED, PolledSymbols

INDICES = {"^NSEI", "^BSESN"}


def test_the_indices_are_always_polled() -> None:
    assert PolledSymbols().symbols() == INDICES


def test_a_symbol_is_polled_for_as_long_as_a_socket_follows_it() -> None:
    polled = PolledSymbols()
    for _ in range(2):
        assert polled.try_follow(["TCS.NS"], budget=1)
    polled.unfollow("TCS.NS")
    assert polled.symbols() == {*INDICES, "TCS.NS"}

    polled.unfollow("TCS.NS")
    assert polled.symbols() == INDICES


def test_symbols_that_are_only_followed_take_turns() -> None:
    polled = PolledSymbols()
    polled.refresh(traded={"TCS.NS"}, alerted={"INFY.NS"}, followed=set())
    followed = {f"S{number}.NS" for number in range(3 * MAX_FOLLOWED + 7)}
    assert polled.try_follow([*followed, "TCS.NS"], budget=len(followed) + 1)

    rounds = [polled.symbols() for _ in range(4)]

    for symbols in rounds:
        assert symbols > {*INDICES, "TCS.NS", "INFY.NS"}
        assert len(symbols & followed) == MAX_FOLLOWED
    assert set().union(*rounds) > followed


def test_symbols_followed_in_other_processes_count_as_well() -> None:
    polled = PolledSymbols()
    polled.refresh(set(), set(), {f"S{number}.NS" for number in range(10_000)})

    assert len(polled.symbols()) == MAX_FOLLOWED + len(INDICES)


def test_a_process_that_does_not_poll_asks_for_what_most_sockets_follow() -> None:
    polled = PolledSymbols()
    symbols = [f"S{number}.NS" for number in range(MAX_FOLLOWED + 100)]
    assert polled.try_follow(symbols, budget=len(symbols))
    for _ in range(2):
        assert polled.try_follow(["TCS.NS"], budget=len(symbols) + 1)

    assert len(polled.followed_here) == MAX_FOLLOWED
    assert polled.followed_here[0] == "TCS.NS"
