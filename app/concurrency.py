"""What differs between the async modes: running what blocks, in a thread that may."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar, cast

from app.domain.errors import ServerBusy
from app.extensions import socketio

# Hashes computed at once, each with a core and tens of megabytes. One core is left to the server.
HASHING_THREADS = min(max((os.cpu_count() or 1) - 1, 1), 4)
# Requests that wait for their hash. More would wait for seconds: they get a 503 instead.
MAX_WAITING_HASHES = 16

_hashing = threading.Semaphore(HASHING_THREADS)
_places = threading.Semaphore(HASHING_THREADS + MAX_WAITING_HASHES)

P = ParamSpec("P")
T = TypeVar("T")


def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`, which computes or waits outside Python's sockets, in a real thread.

    The greenlets of eventlet and gevent go on meanwhile. `work` must not log, lock or touch
    sockets: those are green here, and not its thread's to use.
    """
    # eventlet and gevent have no types for mypy; what comes back is what `work` returns.
    match socketio.async_mode if socketio.server else None:
        case "eventlet":  # pragma: no cover - run end to end in tests/e2e
            from eventlet import tpool

            return cast(T, tpool.execute(work, *args, **kwargs))
        case "gevent":  # pragma: no cover - run end to end in tests/e2e
            import gevent

            return cast(T, gevent.get_hub().threadpool.apply(work, args, kwargs))
        case _:
            return work(*args, **kwargs)


def run_hashing(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Hash or check a password in a bounded pool of threads; raise ServerBusy if it is full.

    `work` is bound by the rules of `run_blocking`.
    """
    if not _places.acquire(blocking=False):
        raise ServerBusy("Too many sign-ins at once. Try again shortly.")
    try:
        with _hashing:
            return run_blocking(work, *args, **kwargs)
    finally:
        _places.release()


def spawn(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run `work` in the background: a green thread where the server is green, else a real one."""
    if socketio.server is None:
        # No server, no green threads: a command, or a part that is used by itself.
        threading.Thread(target=work, args=args, kwargs=kwargs, daemon=True).start()
    else:
        socketio.start_background_task(work, *args, **kwargs)


def in_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Start `work` in the background; return its future result."""
    future: Future[T] = Future()
    spawn(_settle, future, lambda: work(*args, **kwargs))
    return future


class BackgroundPool:
    """Runs work in the background, up to a maximum at a time.

    The threads of a ThreadPoolExecutor delay the exit of the process for as long as their work
    hangs. These are daemons, and end when the queue is empty.
    """

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._workers = 0
        self._queue: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue `work`; return its future result, which can be cancelled until `work` starts."""
        future: Future[T] = Future()
        with self._lock:
            self._queue.append(lambda: _settle(future, lambda: work(*args, **kwargs)))
            if self._workers >= self._max_workers:
                return future
            self._workers += 1
        spawn(self._work)
        return future

    def _work(self) -> None:
        while run := self._take():
            run()

    def _take(self) -> Callable[[], None] | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._workers -= 1
            return None


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
