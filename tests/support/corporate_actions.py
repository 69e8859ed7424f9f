"""A corporate action of one share, and the trades in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from app.cli import verify
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.models import Trade
from app.models.stored_action import StoredAction
from app.portfolio.reconciliation import find_differences
from app.services import now, services
from tests.support.database_state import documents
from tests.support.users import Trader

SHARE = "RELIANCE.NS"
EX_DATE = date(2026, 11, 25)
OPEN = "2026-11-25 09:15"
SKIPS_REFRESH = 6

At = Callable[[str, Any], None]


def announce(
    kind: ActionKind = ActionKind.BONUS,
    ratio: tuple[int, int] | None = (1, 1),
    amount: int | None = None,
) -> CorporateAction:
    """Store an action with the ex-date EX_DATE; by default a bonus of one unit for each."""
    session = services().calendar.ordinary_session(EX_DATE)
    action = CorporateAction(
        SHARE,
        EX_DATE,
        kind,
        session.pre_open,
        session.open,
        Ratio(*ratio) if ratio else None,
        None if amount is None else Decimal(amount),
    )
    assert StoredAction.add(action, "file", now())
    StoredAction.count_load()
    return action


def show(trader: Trader, trade: dict[str, Any]) -> dict[str, Any]:
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    shown: dict[str, Any] = trader.get(path).get_json()
    return shown


def bought(trader: Trader, **order: Any) -> dict[str, Any]:
    """Return a trade of 100 at 1,400, by default a BUY."""
    answer = trader.create_trade(**{"symbol": SHARE, "quantity": 100, **order})
    assert answer.status_code == 201, answer.text
    trade: dict[str, Any] = answer.get_json()
    return trade


def assert_exact(trader: Trader, *trades: dict[str, Any]) -> None:
    """Assert that the books agree, and that each trade follows from its evidence."""
    assert find_differences(trader.client_id) == []
    shown = trader.portfolio()
    balance = Decimal(str(shown["available_margin"])) + Decimal(str(shown["utilized_margin"]))
    assert balance == 100_000 + Decimal(str(shown["total_pnl"]))
    for trade in trades:
        (stored,) = [Trade.from_document(each) for each in documents("trades", number=1)][:1]
        assert str(stored.id) == trade["trade_id"]
        assert [step for step in verify._derive(stored) if not step.agrees] == []
    activities = trader.get(f"/portfolio/{trader.client_id}/activities").get_json()["activities"]
    assert Decimal(str(activities[-1]["balance"])) == 100_000
