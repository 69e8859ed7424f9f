"""The web processes: `gunicorn -c deploy/gunicorn.conf.py`, in any folder.

They serve requests and sockets, and nothing else: monitor and outbox run in workers
(`flask --app run worker`). All settings are those of the environment and .env.

Each process has a port of its own, from PORT upwards, because a client of Socket.IO has to stay
with one process: the proxy in front of them sends it there.
"""

import os
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.configuration.environment import ConfigurationError, read_environment  # noqa: E402
from app.configuration.shared import web_addresses  # noqa: E402

try:
    environment = read_environment()
    bind = web_addresses(environment)
except ConfigurationError as error:
    sys.exit(str(error))

chdir = str(ROOT)
wsgi_app = "run:create_web_app()"
worker_class = "app.gunicorn_worker.WebWorker"
workers = len(bind)
backlog = 1024

# Ends a process whose event loop has stood still for so long.
timeout = 30
# Longer than STOP_DELAY_SECONDS (5 s) and the wait for the requests under way (10 s).
graceful_timeout = 20
# The heartbeat is a file; on a disk it could be late.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
control_socket_disable = True
proc_name = "paper-trading-web"

# gunicorn's own lines look like those of the application, which writes its log itself.
is_json = environment.get("LOG_FORMAT", "").strip().lower() == "json"
formatter = "app.logs.format.JsonFormatter" if is_json else "app.logs.format.TextFormatter"
logconfig_dict = {
    "formatters": {"generic": {"()": formatter}},
    "root": {"level": "WARNING", "handlers": []},
}


def pre_fork(arbiter, worker):
    """Give a new process the port that the fewest others serve.

    During a reload that is the port of one that is about to end.
    """
    served = Counter(other.slot for other in arbiter.WORKERS.values())
    worker.slot = min(range(len(bind)), key=lambda slot: served[slot])
