"""Corporate actions that the simulated market makes of its own, announced days ahead.

They are stored like those that an operator loads, and take effect the same way. Several processes
announce the same, and each action is stored once.
"""

from __future__ import annotations

from app.domain.corporate_actions import CorporateAction
from app.domain.money import format_rupees
from app.logs import logger
from app.market_data.feeds.simulated import SimulatedFeed
from app.models.stored_action import SIMULATED, StoredAction
from app.services import Services, now


def announce_own_actions(parts: Services) -> None:
    """Store what the simulated market announces now. Raises PyMongoError.

    What another feed finds announced is removed: its prices will not follow it.
    """
    if not parts.settings.simulates_market:
        if StoredAction.remove_simulated(now()):
            StoredAction.count_load()
        return
    if not isinstance(parts.feed, SimulatedFeed) or not (new := parts.feed.new_actions()):
        return
    added = [action for action in new if StoredAction.add(action, SIMULATED, now())]
    if added:
        # Once for the listings of a share.
        logger.info(
            "the simulated market has made up corporate actions, as real companies have them, and "
            "adjusts trades to them by itself: %s",
            ", ".join(dict.fromkeys(map(_described, added))),
        )
    # Even if another process has added them: it may have ended before it counted.
    StoredAction.count_load()


def _described(action: CorporateAction) -> str:
    amount = f" of {format_rupees(action.amount)}" if action.amount is not None else ""
    ticker = action.symbol.rpartition(".")[0]
    return f"{ticker} {action.name}{amount} on {action.ex_date}"
