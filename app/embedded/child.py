"""The embedded database's process: SecantusDB, which goes when the server goes.

Run as a script, so that none of the application is imported here.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """End this process as soon as `parent` has ended, however it ended."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the server ended before its database had started")
        return
    threading.Thread(target=_die_at_end_of_input, daemon=True).start()


def _die_at_end_of_input() -> None:
    # The other end of standard input is the parent's alone, and closes with it.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    from secantus.cli import main

    sys.exit(main(sys.argv[2:]))
