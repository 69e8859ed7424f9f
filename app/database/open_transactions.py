"""Whether a transaction may still be open on the server, by the replies to its commands."""

from __future__ import annotations

from contextvars import ContextVar

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

ENDINGS = frozenset({"commitTransaction", "abortTransaction"})
NO_SUCH_TRANSACTION = 251

_is_open: ContextVar[bool] = ContextVar("a transaction may be open", default=False)


def is_open() -> bool:
    """Return whether the last transaction of this context may still hold its locks.

    PyMongo hides whether an abort succeeded.
    """
    return _is_open.get()


class TransactionListener(CommandListener):
    """Listens to the commands of a client. PyMongo calls it in the context of each command."""

    def started(self, event: CommandStartedEvent) -> None:
        if "startTransaction" in event.command:
            _is_open.set(True)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name in ENDINGS:
            _is_open.set(False)

    def failed(self, event: CommandFailedEvent) -> None:
        if event.command_name in ENDINGS and event.failure.get("code") == NO_SUCH_TRANSACTION:
            _is_open.set(False)
