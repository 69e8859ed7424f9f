"""The events and trades of a user as the API shows them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.audit import rules
from tests.support.audit.lives import ENDING
from tests.support.server import Server

ENDS = ("trade_exited", "trade_auto_closed", *ENDING)


def rest_differences(server: Server, user_id: str, token: str) -> list[str]:
    """Return the problems in a user's events and trades as the API shows them."""
    problems = []
    events = _pages(server, token, "/notifications", "notifications")
    seqs = [event["seq"] for event in events]
    if seqs != list(range(len(seqs), 0, -1)):
        problems.append(f"the events of {user_id} are {seqs}")
    opened, ended = (_trades_in(events, *types) for types in (("trade_created",), ENDS))
    season = server.request("GET", f"/portfolio/{user_id}", token).json()["season"]
    trades = [
        trade
        for number in range(1, season + 1)
        for trade in _pages(server, token, f"/trades/{user_id}?season={number}", "trades")
    ]
    for trade in trades:
        name = trade["trade_id"]
        # An order that may not wait was never open.
        first = 0 if trade["end_reason"] == "ioc" else 1
        # A trade that ended after the events were read has no event of it here yet.
        last = 0 if trade["status"] in rules.OPEN else 1
        if opened[name] != first or ended[name] > last:
            problems.append(
                f"{name}: {opened[name]} events of its beginning, {ended[name]} of its end"
            )
    if unknown := opened.keys() - {trade["trade_id"] for trade in trades}:
        problems.append(f"{user_id} has events of trades that it has not: {unknown}")
    return problems


def _trades_in(events: list[dict[str, Any]], *types: str) -> Counter[str]:
    return Counter(event["data"]["trade_id"] for event in events if event["type"] in types)


def _pages(server: Server, token: str, path: str, name: str) -> list[dict[str, Any]]:
    """Read a list to its end, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    separator = "&" if "?" in path else "?"
    while True:
        answer = server.request("GET", f"{path}{separator}limit=200{cursor}", token)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[name]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
