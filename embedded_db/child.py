"""The process of the embedded database until its program takes over.

`child.py PARENT_PID ARGUMENTS` makes the process end with the server, close its files to other
users and outlast SIGTERM. It then replaces itself by `database_program.py ARGUMENTS`. All three
survive that.

Run as a script, without the packages of the environment: nothing of SecantusDB, whose licence is
the GPL, is imported here or by the server.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("database_program.py")
PR_SET_PDEATHSIG = 1
# Files of the database are readable by their owner only.
UMASK = 0o077


def die_with_parent(parent: int) -> None:
    """End this process as soon as `parent` has ended, however it ended.

    Systems other than Linux lack this signal, so the program itself watches its input there.
    """
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the server ended before its database had started")


def main(parent: str, *arguments: str) -> None:
    die_with_parent(int(parent))
    # A service manager signals every process of a service. The server ends this one last.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(UMASK)
    # SecantusDB loads numpy, whose library would start a thread for each core, for nothing.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.execv(sys.executable, [sys.executable, "-P", str(PROGRAM), *arguments])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
