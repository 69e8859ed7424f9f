"""What differs between the async modes: background work, and work that blocks."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar, cast

from app.domain.errors import ServerBusy
from app.extensions import socketio

# Hashes computed at once. Each takes a core and tens of megabytes; one core is left to the server.
HASHING_THREADS = min(max((os.cpu_count() or 1) - 1, 1), 4)
# Requests that wait for a hash. More would wait for seconds, so they get a 503.
MAX_WAITING_HASHES = 16

P = ParamSpec("P")
T = TypeVar("T")


def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`, which computes or waits outside Python's sockets, in a real thread.

    The greenlets of eventlet and gevent keep running. `work` must not log, lock or use sockets,
    because the patched versions of these work in the server's thread only.
    """
    # eventlet and gevent have no types; each returns the result of `work`.
    match socketio.async_mode if socketio.server else None:
        case "eventlet":  # pragma: no cover - run end to end in tests/e2e
            from eventlet import tpool

            return cast(T, tpool.execute(work, *args, **kwargs))
        case "gevent":  # pragma: no cover - run end to end in tests/e2e
            import gevent

            return cast(T, gevent.get_hub().threadpool.apply(work, args, kwargs))
        case _:
            return work(*args, **kwargs)


class HashingPool:
    """Computes password hashes in a bounded number of threads, with a bounded queue."""

    def __init__(
        self, threads: int = HASHING_THREADS, max_waiting: int = MAX_WAITING_HASHES
    ) -> None:
        self._running = threading.Semaphore(threads)
        self._admitted = threading.Semaphore(threads + max_waiting)

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` under the rules of `run_blocking`; raise ServerBusy if the queue is full."""
        if not self._admitted.acquire(blocking=False):
            raise ServerBusy("Too many sign-ins at once. Try again shortly.")
        try:
            with self._running:
                return run_blocking(work, *args, **kwargs)
        finally:
            self._admitted.release()


def spawn(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run `work` in the background, in a green thread if the async mode has them."""
    if socketio.server is None:
        # A command has no server, and so no green threads.
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
            # Raised where the result is asked for.
            future.set_exception(error)
