"""The queue of a client, bounded in bytes because the client may not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAX_WAITING_BYTES = 512 * 1024
# Memory of a packet besides its text.
PACKET_OVERHEAD = 200


def _size_of(item: Any) -> int:
    data = getattr(item, "data", None)
    return PACKET_OVERHEAD + (len(data) if isinstance(data, (str, bytes)) else 0)


def bounded(queue_class: Any) -> type[Any]:
    """Return a subclass of the async mode's queue that refuses items beyond its bound."""

    # The base class depends on the async mode, which is known at run time only.
    class BoundedQueue(queue_class):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.waiting_bytes = 0
            self.has_overflowed = False
            self.on_overflow: Callable[[], None] = lambda: None

        def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
            if item is not None and not self._has_room(_size_of(item)):
                return
            super().put(item, *args, **kwargs)

        def get(self, *args: Any, **kwargs: Any) -> Any:
            item = super().get(*args, **kwargs)
            # Two threads may have miscounted, so an empty queue resets the sum.
            left = self.waiting_bytes - (_size_of(item) if item is not None else 0)
            self.waiting_bytes = 0 if self.empty() else max(left, 0)
            return item

        def _has_room(self, size: int) -> bool:
            if self.has_overflowed:
                return False
            if self.waiting_bytes + size > MAX_WAITING_BYTES:
                self.has_overflowed = True
                self.on_overflow()
                return False
            self.waiting_bytes += size
            return True

    return BoundedQueue
