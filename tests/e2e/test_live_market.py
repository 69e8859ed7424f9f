"""A server with real prices, against fakes that speak the vendors' protocols."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.conftest import ASYNC_MODES
from tests.fakes import yahoo as yahoo_fake
from tests.fakes.angel_one import (
    API_KEY,
    CLIENT_CODE,
    NIFTY,
    PIN,
    SENSEX,
    TOTP_SECRET,
    FakeAngelOne,
)
from tests.fakes.angel_stream import AngelStreamServer
from tests.fakes.failures import Failure
from tests.fakes.yahoo import FakeYahoo
from tests.support.live import Listener, LiveTrader, eventually
from tests.support.server import ServerProcess, servers_in

pytestmark = pytest.mark.timeout(180)

HANGING = yahoo_fake.Failure(delay=60)


@dataclass
class Vendors:
    """Angel One and Yahoo, and what a server needs to find them."""

    angel: FakeAngelOne
    yahoo: FakeYahoo
    variables: dict[str, Any]

    def fail(self) -> None:
        self.angel.fail("quote", Failure.SERVER_ERROR)
        self.yahoo.failures["*"] = yahoo_fake.Failure(status=500, body="down")

    def recover(self) -> None:
        self.angel.recover()
        self.yahoo.failures.clear()


@contextmanager
def open_vendors() -> Iterator[Vendors]:
    angel = FakeAngelOne()
    with angel.serve() as root, FakeYahoo(datetime.now(UTC)) as yahoo:
        yahoo.set_price("^NSEI", 24_990.0)
        yahoo.set_price("^BSESN", 80_990.0)
        yahoo.set_price("RELIANCE.NS", 1_399.0)
        yield Vendors(
            angel,
            yahoo,
            {
                "MARKET_DATA": "auto",
                "MARKET_HOURS": "ignore",
                "MONITOR_INTERVAL_SECONDS": "0.5",
                "YAHOO_ROOT_URL": yahoo.url,
                **angel.variables(root),
            },
        )


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with open_vendors() as vendors:
        yield vendors


@pytest.fixture(scope="module", params=ASYNC_MODES)
def priced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Vendors]]:
    """A server in each async mode and its vendors, which the last test breaks."""
    with open_vendors() as vendors, servers_in(tmp_path_factory.mktemp("priced")) as make_server:
        yield make_server(SOCKETIO_ASYNC_MODE=request.param, **vendors.variables).start(), vendors


def market_health(server: ServerProcess) -> dict[str, Any]:
    health: dict[str, Any] = server.request("GET", "/health/ready").json()["checks"]["market_data"]
    return health


def source_of(server: ServerProcess, symbol: str = "^NSEI") -> str:
    return str(server.request("GET", f"/market/live/{symbol}").json().get("source"))


def test_each_symbol_is_priced_by_the_best_source_that_has_it(
    priced: tuple[ServerProcess, Vendors],
) -> None:
    server, _ = priced
    nifty = server.request("GET", "/market/live/NIFTY").json()
    assert (nifty["price"], nifty["source"]) == (25_012.35, "angel_one")
    assert 0 <= nifty["age"] < 60
    # Angel One of this test has no RELIANCE.
    eventually(lambda: source_of(server, "RELIANCE.NS") == "yahoo")
    assert source_of(server, "^NSEI") == "angel_one"
    # On a busy machine Angel One may have missed its time once.
    eventually(lambda: market_health(server)["source"] == "angel_one")
    assert market_health(server)["sources"]["angel_one"]["status"] == "closed"
    with Listener(server, None) as listener:
        price = listener.wait_for_price(lambda update: update["symbol"] == "^NSEI")
    assert price["source"] == "angel_one"
    for secret in (API_KEY, CLIENT_CODE, PIN, TOTP_SECRET):
        assert secret not in server.output()


def test_a_trade_on_a_real_price_outlives_an_outage_and_closes_on_the_next_real_price(
    vendors: Vendors, make_server: Callable[..., ServerProcess]
) -> None:
    server = make_server(**vendors.variables).start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    # So near that the simulated market reaches one of the two within a few steps.
    trade = trader.create_trade(stop_loss=25_012.3, target_price=25_012.4)

    vendors.fail()
    eventually(lambda: source_of(server) == "mock", timeout=60)
    mock = trader.create_trade()
    assert abs(mock["entry_price"] - 25_012.35) < 300
    eventually(lambda: trader.price() not in (25_012.35, mock["entry_price"]), timeout=30)
    assert trader.trade(trade["trade_id"])["status"] == "ACTIVE"
    assert trader.post(f"/trades/exit/{trade['trade_id']}").status_code == 503

    vendors.angel.prices[NIFTY] = 24_000.0
    vendors.yahoo.set_price("^NSEI", 24_000.0)
    vendors.recover()
    eventually(lambda: source_of(server) == "angel_one", timeout=60)
    closed = eventually(
        lambda: (now := trader.trade(trade["trade_id"]))["status"] == "STOP_LOSS_HIT" and now
    )
    assert closed["exit_price"] == 24_000.0


def test_a_source_that_hangs_delays_no_request_and_no_symbol_of_another(
    priced: tuple[ServerProcess, Vendors],
) -> None:
    server, vendors = priced
    eventually(lambda: source_of(server, "RELIANCE.NS") == "yahoo")
    trader = LiveTrader(server)
    trader.open_portfolio()
    trader.create_trade(stop_loss=25_000)
    vendors.yahoo.failures["*"] = HANGING

    slowest = 0.0
    with Listener(server, trader.token) as listener:
        listener.call("join", user_id=trader.client_id)
        listener.call("subscribe", symbols=["RELIANCE.NS", "TCS.NS"])
        for _ in range(20):
            began = time.monotonic()
            assert server.request("GET", "/market/symbols?q=NIFTY").status_code == 200
            assert source_of(server) == "angel_one"
            slowest = max(slowest, time.monotonic() - began)
        vendors.angel.prices[NIFTY] = 24_900.0
        closed = listener.wait_for_update(lambda each: each["event"] == "trade_auto_closed")

    assert closed["data"]["exit_price"] == 24_900.0
    # Yahoo would have held each of these for a minute.
    assert slowest < 5


@pytest.fixture
def stream(vendors: Vendors) -> Iterator[AngelStreamServer]:
    with AngelStreamServer().open() as stream:
        vendors.variables |= {
            "MARKET_STREAM": "true",
            "ANGEL_STREAM_URL": stream.url,
            # No poll closes a trade while this test lasts.
            "MONITOR_INTERVAL_SECONDS": "60",
        }
        yield stream


def test_a_tick_of_the_stream_closes_a_trade_at_once(
    vendors: Vendors,
    stream: AngelStreamServer,
    make_server: Callable[..., ServerProcess],
    async_mode: str,
) -> None:
    stream.refuse_wrong_credentials_with = 101
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode, **vendors.variables).start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    eventually(lambda: (1, NIFTY[1]) in stream.subscribed and (3, SENSEX[1]) in stream.subscribed)
    trader.create_trade(stop_loss=25_000)

    with Listener(server, trader.token) as listener:
        listener.call("join", user_id=trader.client_id)
        stream.tick(NIFTY[1], 25_000_05)
        stream.tick(NIFTY[1], 24_999_95)
        closed = listener.wait_for_update(
            lambda each: each["event"] == "trade_auto_closed", timeout=20
        )
        listener.wait_for_price(lambda each: each["price"] == 24_999.95)

    assert closed["data"]["exit_price"] == 24_999.95
    assert closed["data"]["quote"]["source"] == "angel_one"


def test_while_the_stream_is_down_prices_are_polled(
    vendors: Vendors, stream: AngelStreamServer, make_server: Callable[..., ServerProcess]
) -> None:
    vendors.variables["MONITOR_INTERVAL_SECONDS"] = "0.5"
    stream.refuse_wrong_credentials_with = 101
    server = make_server(**vendors.variables).start()
    eventually(lambda: (1, NIFTY[1]) in stream.subscribed)
    stream.tick(NIFTY[1], 25_100_00)
    eventually(lambda: server.request("GET", "/market/live/NIFTY").json()["price"] == 25_100.0)

    stream.refuse_with = 503
    stream.hang_up()
    eventually(lambda: server.request("GET", "/market/live/NIFTY").json()["price"] == 25_012.35)

    stream.refuse_with = None
    eventually(lambda: (1, NIFTY[1]) in stream.subscribed, timeout=60)
    stream.tick(NIFTY[1], 25_200_00)
    eventually(lambda: server.request("GET", "/market/live/NIFTY").json()["price"] == 25_200.0)
