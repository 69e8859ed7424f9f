"""Which symbols the monitor polls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.market_data.polled_symbols import MARK_REUSE, MAX_FOLLOWED, PolledSymbols

INDICES = {"^NSEI", "^BSESN"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


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


def test_a_symbol_marked_while_the_database_is_read_stays() -> None:
    polled = PolledSymbols()
    polled.mark_traded("OLD.NS", NOON)
    polled.mark_alerted("OLD.NS")
    polled.begin_refresh()
    polled.mark_traded("NEW.NS", NOON)
    polled.mark_alerted("NEW.NS")

    polled.refresh(traded={"KNOWN.NS"}, alerted={"KNOWN.NS"}, followed=set())
    assert polled.traded == polled.alerted == {"KNOWN.NS", "NEW.NS"}

    polled.begin_refresh()
    polled.refresh(traded={"KNOWN.NS"}, alerted={"KNOWN.NS"}, followed=set())
    assert polled.traded == polled.alerted == {"KNOWN.NS"}


def test_a_process_relies_on_its_mark_for_ten_minutes() -> None:
    polled = PolledSymbols()
    assert not polled.has_mark("TCS.NS", NOON)

    polled.mark_traded("TCS.NS", NOON)

    assert polled.has_mark("TCS.NS", NOON)
    assert polled.has_mark("TCS.NS", NOON + MARK_REUSE - SECOND)
    assert not polled.has_mark("TCS.NS", NOON + MARK_REUSE)
    assert not polled.has_mark("INFY.NS", NOON)


def test_a_process_does_not_rely_on_a_mark_from_before_the_clock_was_set_back() -> None:
    polled = PolledSymbols()
    polled.mark_traded("TCS.NS", NOON)

    assert not polled.has_mark("TCS.NS", NOON - SECOND)


def test_symbols_that_are_only_followed_take_turns() -> None:
    polled = PolledSymbols()
    polled.mark_traded("TCS.NS", NOON)
    polled.mark_alerted("INFY.NS")
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
