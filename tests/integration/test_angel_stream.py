"""The client of Angel One's stream with a server of its protocol."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.domain.quote import Quote, QuoteDetails, Source
from app.market_data.providers.angel_one.connection import Timing
from app.market_data.providers.angel_one.snap_quote import SNAP_QUOTE_MODE
from tests.fakes.angel_stream import (
    BSE,
    MAX_TOKENS,
    NSE,
    AngelStreamServer,
    snap_quote_tail,
    tick_frame,
)
from tests.support.live import eventually
from tests.support.stream import (
    FAST_HEARTBEAT,
    NIFTY,
    RELIANCE,
    SENSEX,
    Session,
    StreamFactory,
    key_of,
    live_symbols,
    shares,
    warnings,
)

NIFTY_TOKEN, SENSEX_TOKEN, RELIANCE_TOKEN = (
    instrument.angel_token for instrument in (NIFTY, SENSEX, RELIANCE)
)
MORNING = datetime(2026, 11, 23, 4, 0, 0, 123_000, tzinfo=UTC)
MORNING_MS = 1_795_406_400_123


def test_the_handshake_carries_the_credentials(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream_server.answered)

    ((status, headers),) = stream_server.handshakes
    assert status == 101
    assert headers["authorization"] == "Bearer jwt-kept-dark"
    assert headers["x-api-key"] == "key-kept-dark"
    assert headers["x-client-code"] == "code-kept-dark"
    assert headers["x-feed-token"] == "feed-kept-dark"


def test_the_stream_connects_with_the_first_instrument(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream, _ = streams.follow(stream_server.url, stream_session)
    assert (stream_server.connections, stream_session.requests) == (0, 0)

    stream.follow([NIFTY])

    eventually(lambda: stream_server.answered)
    assert stream_server.connections == 1


def test_a_tick_becomes_a_quote_in_exact_rupees(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    _, listener = streams.follow(stream_server.url, stream_session, [NIFTY, RELIANCE])
    eventually(lambda: len(stream_server.subscribed) == 2)

    stream_server.tick(RELIANCE_TOKEN, 140_005, milliseconds=MORNING_MS)

    listener.wait_for(lambda: listener.quotes)
    (quote,) = listener.quotes
    assert quote == Quote("RELIANCE.NS", Decimal("1400.05"), Source.ANGEL_ONE, MORNING)
    assert str(quote.price) == "1400.05"
    assert quote.timestamp.tzinfo is UTC


def test_a_snap_quote_has_the_order_book_the_bands_and_the_figures_of_the_day(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    _, listener = streams.follow(
        stream_server.url, stream_session, [RELIANCE, NIFTY], mode=SNAP_QUOTE_MODE
    )
    eventually(lambda: len(stream_server.subscribed) == 2)
    assert [request["params"]["mode"] for request in stream_server.requests] == [3]

    tail = snap_quote_tail(
        bids=(140_000, 139_995),
        asks=(140_010, 140_015),
        volume=1_234_567,
        day=(139_000, 141_000, 138_505, 138_800),
        bands=(124_920, 152_680),
    )
    stream_server.tick(RELIANCE_TOKEN, 140_005, mode=3, tail=tail)
    # An index has no orders, no volume and no bands, but zeros in their place.
    figures = (2_500_000, 2_510_000, 2_490_000, 2_495_000)
    stream_server.tick(NIFTY_TOKEN, 2_500_500, mode=3, tail=snap_quote_tail(day=figures))

    listener.wait_for(lambda: len(listener.quotes) == 2)
    share, index = (quote.details for quote in listener.quotes)
    assert share == QuoteDetails(
        bid=Decimal("1400.00"),
        ask=Decimal("1400.10"),
        previous_close=Decimal("1388.00"),
        open=Decimal("1390.00"),
        high=Decimal("1410.00"),
        low=Decimal("1385.05"),
        volume=1_234_567,
        lower_band=Decimal("1249.20"),
        upper_band=Decimal("1526.80"),
    )
    assert index.previous_close == 24_950
    assert (index.bid, index.ask, index.volume, index.upper_band) == (None,) * 4


def test_only_the_difference_is_requested(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream, _ = streams.follow(stream_server.url, stream_session, [NIFTY, SENSEX])
    eventually(lambda: len(stream_server.requests) == 1)
    stream.follow([SENSEX, NIFTY])
    stream.follow([SENSEX, RELIANCE])
    eventually(lambda: stream_server.subscribed == {(BSE, SENSEX_TOKEN), (NSE, RELIANCE_TOKEN)})

    listed = [
        (request["action"], request["params"]["tokenList"]) for request in stream_server.requests
    ]
    assert listed == [
        (
            1,
            [
                {"exchangeType": NSE, "tokens": [NIFTY_TOKEN]},
                {"exchangeType": BSE, "tokens": [SENSEX_TOKEN]},
            ],
        ),
        (0, [{"exchangeType": NSE, "tokens": [NIFTY_TOKEN]}]),
        (1, [{"exchangeType": NSE, "tokens": [RELIANCE_TOKEN]}]),
    ]
    assert stream_server.connections == 1


def test_a_subscription_does_not_wait_for_the_next_heartbeat(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream, _ = streams.follow(stream_server.url, stream_session, [NIFTY], Timing())
    eventually(lambda: stream_server.answered)

    stream.follow([NIFTY, RELIANCE])

    eventually(lambda: (NSE, RELIANCE_TOKEN) in stream_server.subscribed, timeout=2)


def test_a_symbol_is_live_from_its_first_price_until_it_is_not_followed(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.last_prices[NSE, NIFTY_TOKEN] = 2_500_000
    stream, listener = streams.follow(stream_server.url, stream_session, [NIFTY, RELIANCE])
    listener.wait_for(lambda: listener.prices("^NSEI") == ["25000.00"])
    eventually(lambda: stream.is_live("^NSEI"))
    assert not stream.is_live("RELIANCE.NS")
    assert not stream.is_live("TCS.NS")

    stream_server.tick(RELIANCE_TOKEN, 140_000)
    listener.wait_for(lambda: listener.prices("RELIANCE.NS"))
    assert live_symbols(stream, [NIFTY, RELIANCE]) == ["^NSEI", "RELIANCE.NS"]
    assert stream_server.connections == 1

    stream.follow([RELIANCE])
    assert live_symbols(stream, [NIFTY, RELIANCE]) == ["RELIANCE.NS"]


def test_a_symbol_followed_again_is_live_with_its_next_price(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream, listener = streams.follow(stream_server.url, stream_session, [NIFTY, RELIANCE])
    eventually(lambda: len(stream_server.subscribed) == 2)
    last = stream_server.tick(RELIANCE_TOKEN, 140_000)
    eventually(lambda: stream.is_live("RELIANCE.NS"))
    stream.follow([NIFTY])
    eventually(lambda: len(stream_server.subscribed) == 1)
    # A tick that was sent before the server read the request.
    stream_server.send(tick_frame(NSE, RELIANCE_TOKEN, 2, MORNING_MS, 140_005))
    stream_server.tick(NIFTY_TOKEN, 2_500_000)
    listener.wait_for(lambda: listener.prices("^NSEI"))
    assert listener.prices("RELIANCE.NS") == ["1400.00"]

    stream.follow([NIFTY, RELIANCE])
    eventually(lambda: len(stream_server.subscribed) == 2)
    assert not stream.is_live("RELIANCE.NS")

    # The server repeats the last tick if there was no trade in between.
    stream_server.send(last)
    listener.wait_for(lambda: len(listener.prices("RELIANCE.NS")) == 2)
    assert stream.is_live("RELIANCE.NS")


def test_ticks_of_one_packet_are_delivered_together_and_in_order(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    _, listener = streams.follow(stream_server.url, stream_session, [NIFTY, RELIANCE])
    eventually(lambda: len(stream_server.subscribed) == 2)
    tokens = [NIFTY_TOKEN, RELIANCE_TOKEN] * 100

    stream_server.send(
        *(tick_frame(NSE, token, n, MORNING_MS, n) for n, token in enumerate(tokens, start=1))
    )

    listener.wait_for(lambda: len(listener.quotes) == 200)
    assert [quote.price * 100 for quote in listener.quotes] == list(range(1, 201))
    # One packet, or two if the kernel splits it.
    assert len(listener.batches) <= 2


def test_three_connections_share_3000_instruments_and_the_rest_is_not_streamed(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    instruments = shares(3_100)
    stream, _ = streams.follow(stream_server.url, stream_session, instruments)
    eventually(lambda: len(stream_server.subscribed) == 3_000)
    assert [len(client.subscribed) for client in stream_server.clients] == [MAX_TOKENS] * 3
    eventually(lambda: stream_server.answered == 3)

    def tick_all() -> None:
        for instrument in instruments:
            exchange_type, token = key_of(instrument)
            stream_server.tick(token, 10_000, exchange_type=exchange_type)

    tick_all()
    eventually(lambda: len(live_symbols(stream, instruments)) == 3_000)
    assert all(stream.is_live(instrument.symbol) for instrument in instruments[:3_000])
    assert not any(stream.is_live(instrument.symbol) for instrument in instruments[3_000:])

    # Free room goes to instruments without a connection; no other one is moved.
    stream.follow(instruments[200:])
    eventually(lambda: len(stream_server.subscribed) == 2_900)
    tick_all()
    eventually(lambda: len(live_symbols(stream, instruments)) == 2_900)
    assert stream_server.connections == 3
    assert (
        sum(len(_tokens(request)) for request in stream_server.requests if request["action"] == 1)
        == 3_100
    )


def test_a_connection_without_instruments_is_closed_until_it_is_needed(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream, _ = streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream_server.answered)

    stream.follow([])
    eventually(lambda: not stream_server.clients)

    stream.follow([NIFTY])
    eventually(lambda: stream_server.answered)
    assert stream_server.connections == 2


def test_instruments_unknown_to_the_stream_are_skipped(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    elsewhere = replace(RELIANCE, symbol="GOLD", exchange="MCX")
    unnamed = replace(RELIANCE, symbol="NAMELESS.NS", angel_token="")
    stream, _ = streams.follow(stream_server.url, stream_session, [elsewhere, unnamed, NIFTY])
    eventually(lambda: stream_server.subscribed == {(NSE, NIFTY_TOKEN)})

    assert not stream.is_live("GOLD")


def test_pongs_are_not_ticks(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, listener = streams.follow(stream_server.url, stream_session, [NIFTY], FAST_HEARTBEAT)
    eventually(lambda: stream_server.clients and stream_server.clients[0].pings >= 3)

    assert stream_server.connections == 1
    assert listener.batches == []
    assert warnings(caplog) == []


def test_a_closed_stream_ends_its_tasks_and_delivers_nothing(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    before = threading.active_count()
    stream, listener = streams.follow(stream_server.url, stream_session, shares(1_500), Timing())
    eventually(lambda: stream_server.answered == 2)
    serving = len(stream_server.clients)

    stream.close()
    eventually(lambda: not stream_server.clients)
    eventually(lambda: threading.active_count() <= before)
    stream.follow(shares(2_500))
    stream.close()

    assert (serving, stream_server.connections) == (2, 2)
    assert listener.batches == []
    assert live_symbols(stream, shares(2_500)) == []


def _tokens(request: dict[str, dict[str, list[dict[str, list[str]]]]]) -> list[str]:
    return [token for listed in request["params"]["tokenList"] for token in listed["tokens"]]
