"""Corporate actions that the simulated market makes of its own, announced days ahead.

They are stored like those that an operator loads, and take effect the same way. Several processes
announce the same, and each action is stored once.
"""

from __future__ import annotations

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
    for action in new:
        if StoredAction.add(action, SIMULATED, now()):
            logger.info("%s: the simulated market announces a %s", action.id, action.name)
    # Even if another process has added them: it may have ended before it counted.
    StoredAction.count_load()
