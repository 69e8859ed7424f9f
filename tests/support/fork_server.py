"""A program that has imported the server, and forks for each server that a test starts.

`fork_server.py MODE DESCRIPTOR` patches the standard library for an async mode, then imports what
`python run.py` imports. Requests come over the socket with this descriptor until it is closed. A
forked process runs run.py as its main program, with its own environment, folder and output. It
differs from `python run.py` in what is imported already, which is most of the CPU of a start.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

ENTRY = Path(__file__).resolve().parents[2] / "run.py"
MAX_REQUEST_BYTES = 100_000
# Taken before gevent replaces them by functions that make an event loop.
_fork, _waitpid = os.fork, os.waitpid


def import_server(mode: str) -> None:
    """Patch the standard library for `mode` and import what every server imports."""
    sys.path[0] = str(ENTRY.parent)
    if mode == "eventlet":
        os.environ["EVENTLET_NO_GREENDNS"] = "yes"
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet

        eventlet.monkey_patch()
    elif mode == "gevent":
        from gevent import monkey

        monkey.patch_all()
    import app.server
    import app.transport.server  # noqa: F401


def next_request(control: socket.socket) -> dict[str, object]:
    """Wait for a request; return it in the forked process, which has its output already.

    The process between the fork server and the server reports process id and exit status.
    """
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 2)
        _reap()
        if not message:
            sys.exit()
        if _fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    control.close()
    output, report = descriptors
    if pid := _fork():
        os.close(output)
        os.write(report, b"%d\n" % pid)
        os.write(report, b"%d\n" % os.waitstatus_to_exitcode(_waitpid(pid, 0)[1]))
        os._exit(0)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.close(report)
    request: dict[str, object] = json.loads(message)
    return request


def _reap() -> None:
    with suppress(ChildProcessError):
        while _waitpid(-1, os.WNOHANG)[0]:
            pass


def become_server(environment: dict[str, str], folder: str) -> None:
    """Run run.py as the main program of this process."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.argv = [str(ENTRY)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_path(str(ENTRY), run_name="__main__")


if __name__ == "__main__":
    # Ctrl-C at a terminal reaches the whole group; the tests end their servers themselves.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    with socket.socket(fileno=int(sys.argv[2])) as _control:
        import_server(sys.argv[1])
        _request = next_request(_control)
    become_server(**_request)  # type: ignore[arg-type]
