"""The ticks of Angel One's stream, for any bytes."""

from __future__ import annotations

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import is_price, is_whole_paise
from app.domain.quote import Source
from app.market_data.providers.angel_one.ticks import Tick, TickReader, decode_tick
from tests.fakes.angel_stream import BSE, NSE, tick_frame
from tests.support.market import ManualClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW_MS = int((ManualClock().now() - EPOCH) / timedelta(milliseconds=1))
SYMBOLS = {(NSE, "2885"): "RELIANCE.NS", (BSE, "99919000"): "^BSESN"}

int64 = st.integers(-(2**63), 2**63 - 1)
paise = st.integers(1, 2**63 - 1)
times = st.integers(1, NOW_MS)
tokens = st.text("0123456789", min_size=1, max_size=25)


@given(st.integers(1, 3), st.sampled_from([NSE, BSE]), tokens, int64, int64, int64, st.binary())
def test_a_tick_of_every_priced_mode_is_read_correctly(
    mode: int, exchange_type: int, token: str, sequence: int, time: int, price: int, tail: bytes
) -> None:
    frame = tick_frame(exchange_type, token, sequence, time, price, mode=mode)

    assert decode_tick(frame + tail) == Tick(exchange_type, token, sequence, time, price)


@given(st.binary(max_size=120))
def test_any_bytes_are_accepted_without_an_error(frame: bytes) -> None:
    tick = decode_tick(frame)
    reader = TickReader(ManualClock())
    symbols = {tick.key: "X.NS"} if tick else {}

    quotes = reader.read([frame], symbols)

    assert len(quotes) + reader.dropped.total() == 1


@given(st.binary(min_size=328, max_size=400))
def test_any_tail_of_a_snap_quote_leaves_possible_details_or_none(tail: bytes) -> None:
    reader = TickReader(ManualClock())

    (quote,) = reader.read([tick_frame(NSE, "2885", 1, NOW_MS, 100, mode=3) + tail], SYMBOLS)

    details = quote.details
    amounts = [each for each in astuple(details) if isinstance(each, Decimal)]
    assert all(is_price(amount) and is_whole_paise(amount) for amount in amounts)
    assert details.volume is None or details.volume >= 0
    assert details.low is None or details.high is None or details.low <= details.high


@given(st.binary(max_size=50))
def test_a_message_shorter_than_a_tick_is_not_a_tick(frame: bytes) -> None:
    assert decode_tick(frame) is None


@given(paise, times)
def test_a_price_is_exact_to_the_paisa_and_a_time_to_the_millisecond(price: int, time: int) -> None:
    reader = TickReader(ManualClock())

    (quote,) = reader.read([tick_frame(NSE, "2885", 1, time, price)], SYMBOLS)

    assert isinstance(quote.price, Decimal)
    assert int(quote.price * 100) == price
    assert is_whole_paise(quote.price)
    assert quote.price.as_tuple().exponent == -2
    assert (quote.timestamp - EPOCH) / timedelta(milliseconds=1) == time
    assert (quote.symbol, quote.source) == ("RELIANCE.NS", Source.ANGEL_ONE)


small_ticks = st.lists(
    st.tuples(
        st.sampled_from(sorted(SYMBOLS)),
        st.integers(0, 5),
        st.integers(NOW_MS - 5, NOW_MS),
        st.integers(1, 3),
    ),
    max_size=30,
)


@given(small_ticks, st.data())
def test_each_tick_is_a_quote_or_counted_however_they_are_batched(
    ticks: list[tuple[tuple[int, str], int, int, int]], data: st.DataObject
) -> None:
    frames = [tick_frame(*key, sequence, time, price) for key, sequence, time, price in ticks]
    cut = data.draw(st.integers(0, len(frames)))
    unsplit, halves = TickReader(ManualClock()), TickReader(ManualClock())

    quotes = unsplit.read(frames, SYMBOLS)

    assert halves.read(frames[:cut], SYMBOLS) + halves.read(frames[cut:], SYMBOLS) == quotes
    assert len(quotes) + unsplit.dropped.total() == len(frames)


@given(small_ticks)
def test_a_tick_sent_twice_is_one_quote(
    ticks: list[tuple[tuple[int, str], int, int, int]],
) -> None:
    frames = [tick_frame(*key, sequence, time, price) for key, sequence, time, price in ticks]
    once, twice = TickReader(ManualClock()), TickReader(ManualClock())

    doubled = [frame for frame in frames for _ in range(2)]

    assert twice.read(doubled, SYMBOLS) == once.read(frames, SYMBOLS)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(NOW_MS - 9, NOW_MS)), max_size=30))
def test_no_quote_is_older_than_the_one_before_in_both_number_and_time(
    ticks: list[tuple[int, int]],
) -> None:
    reader = TickReader(ManualClock())
    taken = [
        (sequence, time)
        for price, (sequence, time) in enumerate(ticks, start=1)
        if reader.read([tick_frame(NSE, "2885", sequence, time, price)], SYMBOLS)
    ]

    for before, after in pairwise(taken):
        assert after[0] > before[0] or after[1] > before[1]


@given(st.lists(paise, min_size=1, max_size=20))
def test_an_unnumbered_tick_with_a_new_price_is_new(prices: list[int]) -> None:
    reader = TickReader(ManualClock())
    frames = [tick_frame(NSE, "2885", 0, NOW_MS, price) for price in prices]

    quotes = reader.read(frames, SYMBOLS)

    changes = [p for before, p in zip([0, *prices], prices, strict=False) if p != before]
    assert [int(quote.price * 100) for quote in quotes] == changes


@given(st.integers(1, 2**62))
def test_a_time_may_be_five_minutes_ahead(ahead: int) -> None:
    reader = TickReader(ManualClock())

    quotes = reader.read([tick_frame(NSE, "2885", 1, NOW_MS + ahead, 100)], SYMBOLS)

    assert bool(quotes) == (ahead <= 300_000)
