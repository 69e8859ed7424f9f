"""Price alerts on sockets: an event of the user like any other."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from tests.support.execution import fire_crossed
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.sockets import Socket
from tests.support.users import Trader


def test_an_alert_reaches_its_users_room_with_the_next_seq(
    app: Flask,
    connect: Callable[..., Socket],
    alice: Trader,
    bob: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    hers, his = connect(alice.token), connect(bob.token)
    for socket, trader in ((hers, alice), (his, bob)):
        assert socket.call("join", {"user_id": trader.client_id})["ok"] is True
    body = {"symbol": "^NSEI", "above": 25_100, "below": 24_900}
    alert = alice.post("/market/alerts", body).get_json()
    alice.create_trade()
    clock.advance(7.25)
    with app.app_context():
        assert fire_crossed([feed.set("^NSEI", "24899.95")]) == 1
    alice.create_trade()

    created, fired, after = hers.rest("trade_update")
    assert [created["seq"], after["seq"]] == [1, 3]
    assert fired == {
        "event": "price_alert",
        "seq": 2,
        "data": {
            "alert_id": alert["alert_id"],
            "symbol": "^NSEI",
            "above": 25_100.0,
            "below": 24_900.0,
            "direction": "below",
            "price": 24_899.95,
            "source": "mock",
            "timestamp": "2026-11-23T04:00:07.250Z",
        },
    }
    assert his.rest("trade_update") == []
