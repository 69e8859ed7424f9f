"""Which tests run in the same worker of pytest-xdist, because they share servers."""

from __future__ import annotations

import re

from xdist.scheduler import LoadFileScheduling

SHARED_BY_MODE = re.compile(r"tests/security/[^\[]+\[(eventlet|gevent|threading)\b")


class ByServer(LoadFileScheduling):
    """Gives whole files to a worker, and of tests/security all tests of an async mode."""

    def _split_scope(self, nodeid: str) -> str:
        mode = SHARED_BY_MODE.match(nodeid)
        return mode[1] if mode else super()._split_scope(nodeid)
