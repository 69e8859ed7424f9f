"""Corporate actions that the sources of prices report: of one traded share at a time.

No user's request waits for them. What an operator has loaded for the same day stays as it is, and
a bonus is reported as a split.
"""

from __future__ import annotations

from datetime import timedelta

from app.domain.corporate_actions import ActionKind, CorporateAction
from app.logs import logger
from app.market_data.feeds.live import LiveFeed
from app.market_data.providers.base import ReportedAction
from app.models.stored_action import StoredAction, find_settled_early
from app.services import Services, now

# How far back actions are asked for, and how often those of one share.
SPAN = timedelta(days=30)
INTERVAL = timedelta(hours=3)


class ReportedActions:
    def __init__(self, parts: Services) -> None:
        self._parts = parts
        # By symbol, in the order in which they were asked for.
        self._asked: dict[str, float] = {}

    def step(self) -> None:
        """Ask for the actions of one share, and store those that are new. Raises PyMongoError."""
        feed = self._parts.feed
        if not isinstance(feed, LiveFeed) or (symbol := self._next()) is None:
            return
        self._asked[symbol] = self._parts.clock.monotonic()
        actions = [self._dated(symbol, each) for each in feed.actions(symbol, now() - SPAN)]
        new = [action for action in actions if self._is_unknown(action)]
        stored = [action for action in new if StoredAction.add(action, "yahoo", now())]
        if not stored:
            return
        StoredAction.count_load()
        for action in stored:
            logger.info("%s: reported by a source of prices", action.id)
            _warn_of_settled(action)

    def _next(self) -> str | None:
        """Return the traded share that was not asked for the longest, None if none is due."""
        due = self._parts.clock.monotonic() - INTERVAL.total_seconds()
        shares = (each for each in self._parts.polled_symbols.traded if not each.startswith("^"))
        waiting = {each: self._asked.get(each, due) for each in sorted(shares)}
        oldest = min(waiting, key=lambda symbol: waiting[symbol], default=None)
        return oldest if oldest is not None and waiting[oldest] <= due else None

    def _dated(self, symbol: str, reported: ReportedAction) -> CorporateAction:
        session = self._parts.calendar.ordinary_session(reported.ex_date)
        return CorporateAction(
            symbol=symbol,
            ex_date=reported.ex_date,
            kind=ActionKind.SPLIT if reported.ratio else ActionKind.DIVIDEND,
            pre_open=session.pre_open,
            opens_at=session.open,
            ratio=reported.ratio,
            amount=reported.amount,
        )

    def _is_unknown(self, action: CorporateAction) -> bool:
        return not any(
            known.action.ex_date == action.ex_date
            and known.action.kind.changes_units == action.kind.changes_units
            for known in StoredAction.find_all(action.symbol)
        )


def _warn_of_settled(action: CorporateAction) -> None:
    """Name the trades that a price after an action filled or closed before it was known."""
    if action.kind.changes_units and action.opens_at <= now():
        for trade in find_settled_early(action):
            logger.warning(
                "%s: trade %s was settled by a price after it, and stays as it is",
                action.id,
                trade.id,
            )
