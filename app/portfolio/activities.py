"""Activities: every movement of a portfolio's money, with the balance after each.

The balance is available plus utilized margin. That of the newest activity is the balance of the
season, and each older one follows from the amounts between, so no balance is stored for this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from bson import ObjectId

from app.database.transactions import run_transaction
from app.domain.portfolio import DEFAULT_NAME
from app.models.ledger import LedgerLine, LineKey, Span, read_ledger
from app.portfolio.service import get_portfolio, get_season
from app.services import now

# The clocks of the processes that write differ by less than this.
CLOCK_SKEW = timedelta(hours=1)
LAST_ID = ObjectId("f" * 24)


@dataclass(frozen=True, slots=True)
class ActivityCursor:
    """Where a page ends: the key of its last line, and the balance before that."""

    key: LineKey
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Activity:
    """One movement of money, and the balance after it, in rupees."""

    line: LedgerLine
    balance: Decimal


def list_activities(
    user_id: str,
    *,
    portfolio: str = DEFAULT_NAME,
    season: int | None = None,
    cursor: ActivityCursor | None = None,
    limit: int,
) -> tuple[list[Activity], ActivityCursor | None]:
    """Return a page of a season's activities, newest first, and the cursor of the next page.

    Without `season` it is the current one. Raises NotFound for an unknown portfolio or season.
    """

    def read() -> tuple[list[LedgerLine], Decimal]:
        owner = get_portfolio(user_id, portfolio)
        chosen = get_season(owner, season)
        end = max(chosen.ended_at or now(), owner.last_updated) + CLOCK_SKEW
        before = cursor.key if cursor else (end, LAST_ID, 0)
        span = Span(chosen.started_at - CLOCK_SKEW, before, limit + 1)
        lines = read_ledger(user_id, owner.id, chosen, span)
        return lines, cursor.balance if cursor else chosen.balance

    # In one snapshot: the balance must be that after the newest line.
    lines, balance = run_transaction(read)
    page = []
    for line in lines[:limit]:
        page.append(Activity(line, balance))
        balance -= line.amount
    is_last = len(lines) <= limit
    return page, None if is_last else ActivityCursor(page[-1].line.key, balance)
