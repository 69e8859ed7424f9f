"""The books: portfolios and inboxes must add up from trades, movements and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from tests.support.audit import rules
from tests.support.audit.snapshot import Document


def book_problems(
    portfolio: Document, trades: Sequence[Document], movements: Sequence[Document]
) -> Iterator[str]:
    """Yield what is wrong with a portfolio, given all its trades and movements."""
    name = portfolio["user_id"]
    season = [trade for trade in trades if trade["number"] > portfolio["season_start"]]
    own = [each for each in movements if each["season"] == portfolio["season"]]
    utilized = rules.sum_of(map(rules.blocked, trades))
    total_pnl = rules.sum_of(map(rules.realized, season))
    deposits, withdrawals = (_moved(own, kind) for kind in ("deposit", "withdrawal"))
    balance = portfolio["initial_margin"] + deposits - withdrawals + total_pnl
    expected = {
        "utilized_margin": utilized,
        "total_pnl": total_pnl,
        "deposits": deposits,
        "withdrawals": withdrawals,
        "available_margin": balance - utilized,
        "trade_count": len(trades),
        **_results(season),
    }
    yield from _differences(portfolio, expected, name)
    yield from _differences({"exposure": _recorded_exposure(portfolio)}, _exposure(trades), name)
    numbers = sorted(trade["number"] for trade in trades)
    yield from _differences({"numbers": numbers}, {"numbers": [*range(1, len(trades) + 1)]}, name)
    begun = [each["season"] for each in movements if each["kind"] in ("opening", "reset")]
    seasons = {"seasons": [*range(1, portfolio["season"] + 1)]}
    yield from _differences({"seasons": sorted(begun)}, seasons, name)
    for past in portfolio["seasons"]:
        yield from _past_problems(past, trades, movements, f"{name} season {past['number']}")


def _past_problems(
    past: Document, trades: Sequence[Document], movements: Sequence[Document], name: str
) -> Iterator[str]:
    numbers = range(past["first_number"], past["last_number"] + 1)
    season = [trade for trade in trades if trade["number"] in numbers]
    own = [each for each in movements if each["season"] == past["number"]]
    expected: Document = {
        "total_pnl": rules.sum_of(map(rules.realized, season)),
        "deposits": _moved(own, "deposit"),
        "withdrawals": _moved(own, "withdrawal"),
        **_results(season),
    }
    yield from _differences(past, expected, name)
    deposited = expected["deposits"] - expected["withdrawals"]
    balance = past["initial_margin"] + deposited + expected["total_pnl"]
    (reset,) = (
        each
        for each in movements
        if each["kind"] == "reset" and each["season"] == past["number"] + 1
    )
    # The reset replaced what was available after everything was closed.
    replaced = {"balance": reset["balance_after"] - reset["amount"]}
    yield from _differences(replaced, {"balance": balance}, name)
    outlived = [trade["_id"] for trade in season if trade["status"] in rules.OPEN]
    yield from _differences({"open trades": outlived}, {"open trades": []}, name)


def inbox_problems(inbox: Document, events: Sequence[Document]) -> Iterator[str]:
    """Yield what is wrong with the numbers of a user's events, which are in order."""
    seqs = {"seqs": [event["seq"] for event in events]}
    yield from _differences(seqs, {"seqs": [*range(1, len(events) + 1)]}, inbox["_id"])
    unread = sum(not event["is_read"] for event in events)
    expected = {"event_seq": len(events), "unread_count": unread}
    yield from _differences(inbox, expected, inbox["_id"])


def _results(trades: Sequence[Document]) -> dict[str, int]:
    closed = [trade for trade in trades if trade["status"] in rules.CLOSED]
    return {
        "closed_count": len(closed),
        "winner_count": sum(trade["pnl"] > 0 for trade in closed),
    }


def _exposure(trades: Sequence[Document]) -> dict[str, Any]:
    """Return the trades, the signed quantity and its cost by symbol."""
    exposure: dict[str, list[Any]] = {}
    for trade in trades:
        if trade["status"] == "ACTIVE":
            signed = rules.held(trade) * rules.sign_of(trade)
            symbol = trade["symbol"].replace(".", ":")
            sums = exposure.setdefault(symbol, [0, 0, Decimal(0)])
            sums[:] = [sums[0] + 1, sums[1] + signed, sums[2] + trade["entry_price"] * signed]
    return {"exposure": exposure}


def _recorded_exposure(portfolio: Document) -> dict[str, list[Any]]:
    recorded = {
        symbol: [sums["trades"], sums["quantity"], sums["cost"]]
        for symbol, sums in portfolio["exposure"].items()
    }
    return {symbol: sums for symbol, sums in recorded.items() if any(sums)}


def _moved(movements: Sequence[Document], kind: str) -> Decimal:
    return abs(rules.sum_of(each["amount"] for each in movements if each["kind"] == kind))


def _differences(actual: Document, expected: Document, name: str) -> Iterator[str]:
    for field, value in expected.items():
        if actual[field] != value:
            yield f"{name} {field}: {actual[field]!r}, not {value!r}"
