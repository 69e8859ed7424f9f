"""Angel One in a separate process: what smartapi-python connects to, writes and logs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.angel_one import API_KEY, CLIENT_CODE, PIN, TOTP_SECRET, FakeAngelOne
from tests.fakes.failures import Failure
from tests.support.server import ROOT

GUARD = """
import sys
reached = []
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen")
def watch(event, args):
    if event in WATCHED:
        reached.append(f"{event} {args}")
        raise OSError("no connection is allowed")
sys.addaudithook(watch)
"""
SOURCE = """
import json, os, sys, threading, time
from app.clock import SystemClock
from app.market_data.providers.angel_one.throttle import Throttle
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.base import SourceError
from config import load_settings
settings = load_settings(dict(os.environ))
nifty = load_instruments().get("^NSEI")
"""


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an empty folder, with `environment` only."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "working"
    path.mkdir()
    return path


def test_importing_connects_to_nothing_and_writes_nothing(folder: Path) -> None:
    importing = """
import requests
get = requests.get
import app.market_data.providers.angel_one.source
assert not any(name.startswith("SmartApi") for name in sys.modules), "imported too early"
import app.market_data.providers.angel_one.client
assert requests.get is get
print(reached)
"""

    result = run(GUARD + importing, folder)

    assert (result.stdout.strip(), result.stderr) == ("[]", "")
    assert list(folder.iterdir()) == []


def test_smartapi_python_alone_does_connect(folder: Path) -> None:
    result = run(GUARD + "import SmartApi; print(reached)", folder)

    assert "api.ipify.org" in result.stdout


FAILING = """
import logging, traceback
from app.logs.output import set_up_logging
logging.basicConfig(level=logging.NOTSET)
set_up_logging(settings)
for _ in range(int(os.environ["TIMES"])):
    session = AngelSession(settings, SystemClock(), requests=Throttle(999), logins=Throttle(999))
    source = AngelOneSource(settings, SystemClock())
    try:
        print("fetched", source.fetch([nifty]))
        print(session.credentials())
    except SourceError as error:
        print("failed", repr(error), vars(error))
        traceback.print_exc()
    print(settings, source, vars(source), session, vars(session))
source.fetch([nifty])
raise SystemExit("fetched again")
"""
WAYS = (
    *("AB1007", "AB1050", "AB1004", "AG8001", Failure.ECHO, Failure.RESET, Failure.GARBAGE),
    *(Failure.OTHER_JSON, Failure.SERVER_ERROR, Failure.ACCESS_RATE, Failure.REDIRECT),
)


def secrets_of(angel: FakeAngelOne) -> set[str]:
    """Return every secret of the account and its sessions, and every TOTP code sent."""
    codes = {request.body["totp"] for request in angel.requests if request.route == "login"}
    tokens = {part for pair in angel.sessions().items() for part in pair}
    assert all(len(code) == 6 for code in codes)
    return {API_KEY, CLIENT_CODE, PIN, TOTP_SECRET, "not-a-real-refresh-token", *codes, *tokens}


def test_no_secret_of_a_failed_login_is_in_any_output(folder: Path) -> None:
    angel = FakeAngelOne()
    angel.fail_in_turn("login", WAYS)
    # Calls after the login fail as well.
    angel.fail("quote", Failure.ECHO)
    log = folder / "file.log"
    with angel.serve() as root:
        times = str(len(WAYS) + 1)
        log_variables = {"LOG_LEVEL": "DEBUG", "LOG_FILE": str(log), "TIMES": times}
        result = run(SOURCE + FAILING, folder, **angel.variables(root), **log_variables)

    assert result.returncode == 1
    assert result.stdout.count("failed ") == len(WAYS) + 1
    assert angel.count("login") == len(WAYS) + 1
    assert angel.count("quote") == 2
    written = [path for path in folder.rglob("*") if path.is_file()]
    outputs = [result.stdout, result.stderr, *(path.read_text("utf-8") for path in written)]
    assert {path.name for path in written} == {"file.log", "secret_key", "jwt_secret_key"}
    # The output contains every log level, and the server's messages.
    assert "urllib3" in result.stderr
    assert "Traceback" in result.stderr
    assert "[secret]" in result.stdout
    assert "AB1007" in log.read_text()
    secrets = secrets_of(angel)
    assert len(secrets) >= 8
    for secret in secrets:
        for output in outputs:
            assert secret.lower() not in output.lower()


PATCHES = {
    "eventlet": """
import os, warnings
os.environ["EVENTLET_NO_GREENDNS"] = "yes"
warnings.filterwarnings("ignore", message=r"\\s*Eventlet is deprecated")
import eventlet
eventlet.monkey_patch()
""",
    "gevent": "from gevent import monkey; monkey.patch_all()\n",
    "threading": "",
}
IN_MODE = """
source = AngelOneSource(settings, SystemClock())
prices, beats, failures = [], [], []
threads = [
    threading.Thread(target=lambda: prices.extend(str(q.price) for q in source.fetch([nifty])))
    for _ in range(2)
]
for each in threads: each.start()
for each in threads: each.join()
ended = threading.Event()
def beat():
    while not ended.is_set():
        beats.append(time.monotonic())
        time.sleep(0.02)
beater = threading.Thread(target=beat)
beater.start()
# The third request hangs.
try:
    source.fetch([nifty])
except SourceError as error:
    failures.append(str(error))
ended.set()
beater.join()
longest = max(b - a for a, b in zip(beats, beats[1:]))
print(json.dumps({"prices": prices, "failures": failures, "longest": longest}))
"""


@pytest.mark.parametrize("mode", PATCHES)
def test_it_works_without_blocking_in_each_async_mode(folder: Path, mode: str) -> None:
    angel = FakeAngelOne()
    angel.hang_after("quote", 2)
    with angel.serve() as root:
        result = run(PATCHES[mode] + SOURCE + IN_MODE, folder, **angel.variables(root))

    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert answer["prices"] == ["25012.35"] * 2
    assert answer["failures"] == ["Angel One did not answer in time"]
    # The source waited for 4 seconds, and the other tasks ran.
    assert answer["longest"] < 2
    assert angel.count("login") == 1
