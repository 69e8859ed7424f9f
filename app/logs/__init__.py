"""The log: `output` decides where lines go, `format` how they look."""

from __future__ import annotations

import logging
from contextvars import ContextVar

# The id of the request that is being served: every line that it causes has it.
current_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
logger = logging.getLogger("paper_trading")
