"""The client of Angel One's stream with a server that fails."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from app.clock import SystemClock
from app.market_data.providers.angel_one.ticks import TickError, TickReader
from tests.fakes.angel_stream import NSE, AngelStreamServer, tick_frame
from tests.support.live import eventually
from tests.support.stream import (
    FAST_HEARTBEAT,
    NIFTY,
    RELIANCE,
    Session,
    StreamFactory,
    key_of,
    live_symbols,
    shares,
    warnings,
)

NIFTY_TOKEN, RELIANCE_TOKEN = NIFTY.angel_token, RELIANCE.angel_token


def fall_silent(stream_server: AngelStreamServer) -> None:
    for client in stream_server.clients:
        client.is_silent = True


def send_garbage(stream_server: AngelStreamServer) -> None:
    stream_server.send_raw(b"\xff\xff\xff\xff" * 20)


def send_bad_text(stream_server: AngelStreamServer) -> None:
    stream_server.send_raw(b"\x81\x02\xff\xfe")


def send_an_endless_frame(stream_server: AngelStreamServer) -> None:
    stream_server.send_raw(b"\x82\x7f\x7f" + b"\xff" * 7)


@pytest.mark.parametrize(
    "misbehave",
    [
        lambda stream_server: stream_server.close(),
        lambda stream_server: stream_server.hang_up(),
        lambda stream_server: stream_server.hang_up(reset=True),
        fall_silent,
        send_garbage,
        send_bad_text,
        send_an_endless_frame,
    ],
    ids=["close", "hang up", "reset", "silence", "garbage", "bad text", "endless frame"],
)
def test_a_lost_connection_is_reopened_and_resubscribed(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    misbehave: Callable[[AngelStreamServer], None],
) -> None:
    stream_server.last_prices[NSE, NIFTY_TOKEN] = 2_500_000
    stream, listener = streams.follow(
        stream_server.url, stream_session, [NIFTY, RELIANCE], FAST_HEARTBEAT
    )
    eventually(lambda: stream.is_live("^NSEI"))
    subscribed = stream_server.subscribed

    (lost,) = stream_server.clients
    misbehave(stream_server)
    eventually(lambda: lost not in stream_server.clients)

    eventually(lambda: stream_server.connections > 1 and stream_server.answered)
    eventually(lambda: stream_server.subscribed == subscribed)
    eventually(lambda: stream.is_live("^NSEI"))
    assert not stream.is_live("RELIANCE.NS")
    stream_server.tick(RELIANCE_TOKEN, 140_000)
    listener.wait_for(lambda: listener.prices("RELIANCE.NS") == ["1400.00"])


def test_after_two_heartbeats_without_a_pong_no_symbol_is_live(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream_server.last_prices[NSE, NIFTY_TOKEN] = 2_500_000
    stream, _ = streams.follow(stream_server.url, stream_session, [NIFTY], FAST_HEARTBEAT)
    eventually(lambda: stream.is_live("^NSEI"))

    stream_server.silent = True
    began = time.monotonic()
    eventually(lambda: not stream.is_live("^NSEI"))
    took = time.monotonic() - began

    assert FAST_HEARTBEAT.heartbeat <= took < 2 * FAST_HEARTBEAT.heartbeat + 5
    eventually(lambda: "the heartbeat was not answered" in caplog.text)


def test_no_symbol_is_live_while_the_listener_blocks(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.last_prices[NSE, NIFTY_TOKEN] = 2_500_000
    stream, listener = streams.follow(stream_server.url, stream_session, [NIFTY], FAST_HEARTBEAT)
    eventually(lambda: stream.is_live("^NSEI"))

    # The listener's lock blocks the delivery of ticks.
    with listener.changed:
        stream_server.tick(NIFTY_TOKEN, 2_500_005)
        eventually(lambda: not stream.is_live("^NSEI"))

    eventually(lambda: stream.is_live("^NSEI"))
    assert listener.prices("^NSEI")[:2] == ["25000.00", "25000.05"]


def test_the_other_connection_continues_if_one_of_two_is_lost(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    instruments = shares(1_500)
    for instrument in instruments:
        stream_server.last_prices[key_of(instrument)] = 10_000
    stream, _ = streams.follow(stream_server.url, stream_session, instruments)
    eventually(lambda: len(live_symbols(stream, instruments)) == 1_500)

    stream_server.refuse_with = 503
    lost = next(client for client in stream_server.clients if len(client.subscribed) == 500)
    lost.hang_up()

    connected = [instrument.symbol for instrument in instruments[:1_000]]
    eventually(lambda: live_symbols(stream, instruments) == connected)
    stream_server.refuse_with = None
    eventually(lambda: len(live_symbols(stream, instruments)) == 1_500)


def test_ticks_before_a_disconnect_are_not_lost(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    _, listener = streams.follow(stream_server.url, stream_session, [RELIANCE])
    eventually(lambda: stream_server.subscribed)

    for paise in (140_000, 140_005):
        stream_server.tick(RELIANCE_TOKEN, paise)
    stream_server.close()

    listener.wait_for(lambda: listener.prices("RELIANCE.NS") == ["1400.00", "1400.05"])


def test_instruments_of_a_refused_request_are_left_to_be_polled(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream_server.last_prices[NSE, NIFTY_TOKEN] = 2_500_000
    stream, _ = streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream.is_live("^NSEI"))
    stream_server.refuse_requests_with = "E1002"

    stream.follow([NIFTY, RELIANCE])

    eventually(lambda: warnings(caplog))
    assert warnings(caplog) == [
        "Angel One's stream refused a request (E1002), instruments left to be polled: 1"
    ]
    assert live_symbols(stream, [NIFTY, RELIANCE]) == ["^NSEI"]


def invalid_messages(good: bytes, now: int) -> list[str | bytes]:
    """Return messages without a valid tick; `now` is in milliseconds."""
    return [
        good[:-1],
        b"",
        "what is this",
        "[1]",
        tick_frame(NSE, RELIANCE_TOKEN, 8, now, 140_005, mode=4),
        tick_frame(NSE, "1", 8, now, 140_005),
        tick_frame(3, RELIANCE_TOKEN, 8, now, 140_005),
        tick_frame(NSE, RELIANCE_TOKEN, 8, now, 0),
        tick_frame(NSE, RELIANCE_TOKEN, 8, now, -140_005),
        tick_frame(NSE, RELIANCE_TOKEN, 8, now + 3_600_000, 140_005),
        tick_frame(NSE, RELIANCE_TOKEN, 8, 2**62, 140_005),
        tick_frame(NSE, RELIANCE_TOKEN, 8, 0, 140_005),
    ]


def test_the_reasons_of_dropped_ticks_are_counted() -> None:
    now = time.time_ns() // 1_000_000
    reader = TickReader(SystemClock())
    good = tick_frame(NSE, RELIANCE_TOKEN, 7, now, 140_000)
    messages = [message for message in invalid_messages(good, now) if isinstance(message, bytes)]

    reader.read([good, *messages, good], {(NSE, RELIANCE_TOKEN): "RELIANCE.NS"})

    assert reader.dropped == {
        TickError.MALFORMED: 3,
        TickError.UNKNOWN: 2,
        TickError.NOT_A_PRICE: 2,
        TickError.NOT_A_TIME: 3,
        TickError.REPEATED: 1,
    }


def test_invalid_ticks_are_dropped_and_logged(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, listener = streams.follow(stream_server.url, stream_session, [RELIANCE])
    eventually(lambda: stream_server.subscribed)
    now = time.time_ns() // 1_000_000
    good = tick_frame(NSE, RELIANCE_TOKEN, 7, now, 140_000)
    last = tick_frame(NSE, RELIANCE_TOKEN, 9, now, 140_010)

    stream_server.send(
        good,
        *invalid_messages(good, now),
        good,
        tick_frame(NSE, RELIANCE_TOKEN, 6, now - 5, 139_995),
        last + b"a longer mode" * 20,
    )

    listener.wait_for(lambda: len(listener.quotes) == 2)
    assert listener.prices("RELIANCE.NS") == ["1400.00", "1400.10"]
    stream_server.send(*[good[:-1]] * 10)
    stream_server.tick(RELIANCE_TOKEN, 140_015)
    listener.wait_for(lambda: len(listener.quotes) == 3)
    # One line a minute at most.
    assert len(warnings(caplog)) == 1
    assert warnings(caplog)[0].startswith("dropped ticks of Angel One's stream: 5 malformed, ")
    assert stream_server.connections == 1


def test_a_repeated_tick_after_a_reconnect_makes_the_symbol_live(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream, listener = streams.follow(stream_server.url, stream_session, [RELIANCE])
    eventually(lambda: stream_server.subscribed)
    frame = stream_server.tick(RELIANCE_TOKEN, 140_000)
    listener.wait_for(lambda: listener.quotes)

    stream_server.hang_up()
    eventually(lambda: stream_server.connections == 2 and stream_server.answered)
    assert not stream.is_live("RELIANCE.NS")
    stream_server.send(frame)

    eventually(lambda: stream.is_live("RELIANCE.NS"))
    assert listener.prices("RELIANCE.NS") == ["1400.00"]


def test_a_listener_that_fails_gets_the_next_ticks(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, listener = streams.follow(stream_server.url, stream_session, [RELIANCE])
    eventually(lambda: stream_server.subscribed)
    listener.failure = RuntimeError("a listener at fault")
    stream_server.tick(RELIANCE_TOKEN, 140_000)
    eventually(lambda: warnings(caplog))

    stream_server.tick(RELIANCE_TOKEN, 140_005)

    listener.wait_for(lambda: listener.prices("RELIANCE.NS") == ["1400.05"])
    assert warnings(caplog) == ["could not process ticks of Angel One's stream, lost: 1"]
    assert stream_server.connections == 1
