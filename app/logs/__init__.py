"""The log: `output` decides where lines go, `format` how they look."""

from __future__ import annotations

import logging

logger = logging.getLogger("paper_trading")
