"""Creating, changing, ordering and deleting watchlists."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.database import collection
from app.domain.watchlist import MAX_LISTS, MAX_SYMBOLS
from tests.support.concurrency import run_concurrently
from tests.support.market import ManualClock
from tests.support.responses import assert_error, assert_shape, object_id, text, time
from tests.support.users import Trader

WATCHLIST = {
    "watchlist_id": object_id,
    "name": text,
    "symbols": lambda value: all(map(text, value)),
    "created_at": time,
    "updated_at": time,
}
UNKNOWN = "0" * 24


def create(trader: Trader, name: str = "Mine", *symbols: str) -> dict[str, Any]:
    answer = trader.post("/watchlists", {"name": name, "symbols": list(symbols)})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.get_json()
    assert_shape(body, WATCHLIST)
    return body


def listed(trader: Trader) -> list[dict[str, Any]]:
    lists: list[dict[str, Any]] = trader.get("/watchlists").get_json()["watchlists"]
    return lists


def names(trader: Trader) -> list[str]:
    return [each["name"] for each in listed(trader)]


def address(watchlist: dict[str, Any], *rest: str) -> str:
    return "/".join(["/watchlists", watchlist["watchlist_id"], *rest])


def delete(trader: Trader, path: str) -> TestResponse:
    return trader.client.delete(path, headers=trader.headers)


def test_a_list_is_created_with_canonical_symbols_each_once(carol: Trader) -> None:
    created = create(carol, "  Indices ", "nifty", "RELIANCE", "^NSEI", "banknifty")

    assert created["name"] == "Indices"
    assert created["symbols"] == ["^NSEI", "RELIANCE.NS", "^NSEBANK"]
    assert carol.get(address(created)).get_json() == created
    assert listed(carol) == [created]


def test_a_new_user_has_no_lists_and_a_list_needs_no_symbols(carol: Trader) -> None:
    assert listed(carol) == []
    assert create(carol, "Empty")["symbols"] == []


def test_lists_keep_the_order_the_user_gives_them(carol: Trader) -> None:
    for name in ("One", "Two", "Three"):
        create(carol, name)
    two = listed(carol)[1]

    assert carol.patch(address(two), {"position": 1}).get_json() == two
    assert names(carol) == ["Two", "One", "Three"]
    carol.patch(address(two), {"position": MAX_LISTS})
    assert names(carol) == ["One", "Three", "Two"]


def test_a_list_is_renamed_and_its_symbols_are_put_in_order(
    carol: Trader, clock: ManualClock
) -> None:
    created = create(carol, "Old", "^NSEI", "^BSESN")
    clock.advance(60)

    changed = carol.patch(address(created), {"name": "New", "symbols": ["sensex", "SBIN"]})

    body = changed.get_json()
    assert (body["name"], body["symbols"]) == ("New", ["^BSESN", "SBIN.NS"])
    assert body["created_at"] == created["created_at"] < body["updated_at"]
    assert listed(carol) == [body]
    assert carol.patch(address(created), {}).get_json() == body


def test_a_symbol_is_added_moved_and_removed(carol: Trader) -> None:
    created = create(carol, "Mine", "^NSEI", "^BSESN")
    add = partial(carol.post, address(created, "symbols"))

    for body, symbols in (
        ({"symbol": "sbin"}, ["^NSEI", "^BSESN", "SBIN.NS"]),
        ({"symbol": "SBIN.NS"}, ["^NSEI", "^BSESN", "SBIN.NS"]),
        ({"symbol": "SBIN.NS", "position": 2}, ["^NSEI", "SBIN.NS", "^BSESN"]),
        ({"symbol": "^NSEI", "position": 3}, ["SBIN.NS", "^BSESN", "^NSEI"]),
    ):
        answer = add(body)
        assert (answer.status_code, answer.get_json()["symbols"]) == (200, symbols)
    for _ in range(2):
        answer = delete(carol, address(created, "symbols", "SENSEX"))
        assert answer.get_json()["symbols"] == ["SBIN.NS", "^NSEI"]
    assert listed(carol)[0]["symbols"] == ["SBIN.NS", "^NSEI"]


def test_a_list_is_deleted_once(carol: Trader) -> None:
    created, other = create(carol, "One"), create(carol, "Two")

    assert delete(carol, address(created)).get_json() == {"message": "Watchlist deleted"}

    assert_error(delete(carol, address(created)), 404, "watchlist_not_found")
    assert listed(carol) == [other]


def test_two_lists_have_different_names(carol: Trader) -> None:
    first, second = create(carol, "Banks"), create(carol, "Energy")

    for refused in (
        carol.post("/watchlists", {"name": "BANKS"}),
        carol.patch(address(second), {"name": "banks"}),
    ):
        details = assert_error(refused, 409, "watchlist_name_taken")
        assert details == {"watchlist_id": first["watchlist_id"]}
    assert carol.patch(address(first), {"name": "BANKS"}).status_code == 200


def test_the_number_of_lists_has_a_limit(carol: Trader) -> None:
    for number in range(MAX_LISTS):
        create(carol, f"List {number}")

    details = assert_error(carol.post("/watchlists", {"name": "More"}), 409, "too_many_watchlists")
    assert details == {"limit": MAX_LISTS}


def test_the_number_of_symbols_has_a_limit(app: Flask, carol: Trader) -> None:
    full = create(carol)
    with app.app_context():
        # The tests have fewer instruments.
        many = [f"S{number}.NS" for number in range(MAX_SYMBOLS)]
        filled = {"$set": {"lists.0.symbols": many}}
        collection("watchlists").update_one({"_id": carol.client_id}, filled)

    refused = carol.post(address(full, "symbols"), {"symbol": "^NSEI"})
    assert assert_error(refused, 409, "watchlist_full") == {"limit": MAX_SYMBOLS}
    too_long = carol.patch(address(full), {"symbols": ["^NSEI"] * (MAX_SYMBOLS + 1)})
    assert "symbols" in assert_error(too_long, 400, "validation_error")


def test_an_unknown_symbol_is_refused(carol: Trader) -> None:
    created = create(carol)

    for refused in (
        carol.post("/watchlists", {"name": "Other", "symbols": ["^NSEI", "NOSUCH"]}),
        carol.patch(address(created), {"symbols": ["NOSUCH"]}),
        carol.post(address(created, "symbols"), {"symbol": "NOSUCH"}),
    ):
        assert_error(refused, 400, "unknown_symbol")
    assert_error(delete(carol, address(created, "symbols", "NOSUCH")), 404, "unknown_symbol")
    assert listed(carol) == [created]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"name": "A", "symbols": "NIFTY"}, "symbols"),
        ({"name": "A", "position": 1}, "position"),
    ],
)
def test_an_invalid_list_is_refused_by_field(
    carol: Trader, body: dict[str, Any], field: str
) -> None:
    details = assert_error(carol.post("/watchlists", body), 400, "validation_error")
    assert field in details


def test_the_list_of_another_user_is_unknown(alice: Trader, bob: Trader) -> None:
    hers = create(alice, "Hers", "^NSEI")

    for refused in (
        bob.get(address(hers)),
        bob.patch(address(hers), {"name": "His"}),
        bob.post(address(hers, "symbols"), {"symbol": "^BSESN"}),
        delete(bob, address(hers, "symbols", "NIFTY")),
        delete(bob, address(hers)),
        bob.get(f"/watchlists/{UNKNOWN}"),
    ):
        assert_error(refused, 404, "watchlist_not_found")
    assert listed(bob) == []
    assert listed(alice) == [hers]


def test_a_retry_with_the_same_key_creates_one_list(carol: Trader) -> None:
    headers = {**carol.headers, "Idempotency-Key": "first"}
    post = partial(carol.client.post, "/watchlists", headers=headers)

    first, again = (post(json={"name": "Mine", "symbols": ["NIFTY"]}) for _ in range(2))

    assert first.status_code == again.status_code == 201
    assert first.get_json() == again.get_json()
    assert listed(carol) == [first.get_json()]
    assert_error(post(json={"name": "Other"}), 409, "idempotency_key_reused")


def test_changes_at_the_same_time_all_take_effect(carol: Trader) -> None:
    created = create(carol)
    symbols = ["^NSEI", "^BSESN", "^NSEBANK", "SBIN.NS", "RELIANCE.NS"]

    def add(symbol: str) -> int:
        answer = Trader(carol.client.application.test_client(), carol.client_id, carol.token).post(
            address(created, "symbols"), {"symbol": symbol}
        )
        return answer.status_code

    assert run_concurrently([partial(add, symbol) for symbol in symbols]) == [200] * 5
    assert sorted(listed(carol)[0]["symbols"]) == sorted(symbols)


def test_a_deleted_user_creates_no_list(deleted_user: Trader) -> None:
    assert_error(deleted_user.post("/watchlists", {"name": "Mine"}), 401, "account_gone")
    assert listed(deleted_user) == []
