"""The log: one line per request, as text or JSON, that no client can forge."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engineio.packet import Packet
from flask import Flask
from flask.testing import FlaskClient

from app import metrics
from app.domain.money import to_paisa
from app.logs import logger, output
from app.web import front, request_log
from config import Settings

REQUEST_ID = "0123456789abcdef"


@pytest.fixture
def set_up(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> Iterator[Callable[..., Callable[[], list[str]]]]:
    """Set up logging to a file; return a function that reads its lines. Undo that afterwards."""
    before = (logger.handlers[:], logger.level, logger.propagate)
    root = logging.getLogger()
    at_root = (root.handlers[:], root.level)

    def start(
        max_file_bytes: int = output.MAX_FILE_BYTES, **variables: str
    ) -> Callable[[], list[str]]:
        file = tmp_path / "server.log"
        settings = make_settings(**{"LOG_FILE": file, **variables})
        output.set_up_logging(settings, max_file_bytes=max_file_bytes)
        return lambda: file.read_text().splitlines()

    yield start
    for handler in set(logger.handlers) - set(before[0]):
        logger.removeHandler(handler)
        handler.close()
    logger.handlers[:] = before[0]
    logger.setLevel(before[1])
    logger.propagate = before[2]
    for handler in set(root.handlers) - set(at_root[0]):
        root.removeHandler(handler)
    root.setLevel(at_root[1])


@pytest.fixture
def client() -> FlaskClient:
    """A client of an application that only logs."""
    app = Flask(__name__)
    metrics.init_app(app)
    request_log.init_app(app)
    front.init_app(app, Settings.model_validate({}))
    return app.test_client()


def raise_no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_line_is_text_with_the_fields_after_the_message(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    lines = set_up()

    logger.info("trade_created", extra={"fields": {"user": "alice", "symbol": "^NSEI"}})
    logger.warning("no fields")

    first, second = lines()
    assert first.endswith("INFO    trade_created user=alice symbol=^NSEI")
    assert second.endswith("WARNING no fields")


def test_a_line_may_be_json(set_up: Callable[..., Callable[[], list[str]]]) -> None:
    lines = set_up(LOG_FORMAT="json")

    logger.info("trade_created", extra={"fields": {"user": "alice", "pnl": 1.5}})
    logger.info("a %s", "message")

    first, second = (json.loads(line) for line in lines())
    assert first["message"] == "trade_created"
    assert (first["levelname"], first["user"], first["pnl"]) == ("INFO", "alice", 1.5)
    assert "fields" not in first
    assert second["message"] == "a message"


def test_messages_below_the_level_are_not_logged(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    lines = set_up(LOG_LEVEL="WARNING")

    logger.info("quiet")
    logger.error("loud")

    assert [line.rpartition(" ")[2] for line in lines()] == ["loud"]


def test_debug_messages_are_logged_at_level_debug(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    lines = set_up(LOG_LEVEL="debug")

    logger.debug("an upstream answer")

    assert lines()[0].endswith("an upstream answer")


def test_without_a_file_the_log_goes_to_standard_error_only(
    set_up: Callable[..., Callable[[], list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(LOG_FILE="")

    logger.info("to whom it may concern")

    assert not [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    shown = capsys.readouterr()
    assert "to whom it may concern" in shown.err
    assert shown.out == ""


def test_a_request_writes_one_line_with_id_user_status_and_duration(
    set_up: Callable[..., Callable[[], list[str]]], client: FlaskClient
) -> None:
    lines = set_up(LOG_FORMAT="json")

    client.get("/nowhere?token=hunter2", headers={"X-Request-ID": REQUEST_ID})

    (line,) = lines()
    entry = json.loads(line)
    assert entry["message"] == "GET /nowhere"
    assert (entry["request_id"], entry["user"], entry["status"]) == (REQUEST_ID, "-", 404)
    assert entry["milliseconds"] >= 0
    assert "hunter2" not in line


def test_every_line_that_a_request_causes_has_its_id(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    app = Flask(__name__)
    metrics.init_app(app)
    request_log.init_app(app)
    front.init_app(app, Settings.model_validate({}))

    @app.get("/trouble")
    def trouble() -> str:
        logging.getLogger("urllib3").warning("a library warns")
        logger.info("trade_created", extra={"fields": {"trade_id": "7"}})
        return ""

    lines = set_up(LOG_FORMAT="json")
    app.test_client().get("/trouble", headers={"X-Request-ID": REQUEST_ID})
    logger.info("later")

    *caused, later = (json.loads(line) for line in lines())
    assert [entry.get("request_id") for entry in caused] == [REQUEST_ID] * 3
    assert caused[1]["trade_id"] == "7"
    assert "request_id" not in later


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_path_cannot_forge_a_line(
    set_up: Callable[..., Callable[[], list[str]]], client: FlaskClient, log_format: str
) -> None:
    lines = set_up(LOG_FORMAT=log_format)

    client.get("/x%0a2026-11-23%20INFO%20POST%20/auth/login%20user=admin%0d%1b%5b31m%e2%80%a8z")

    (line,) = lines()
    assert "%0A2026-11-23%20INFO" in line
    assert "user=admin" not in line
    assert "\x1b" not in line


def test_warnings_of_libraries_have_the_same_form_and_file(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    lines = set_up(LOG_FORMAT="json", LOG_LEVEL="DEBUG")

    for name in ("engineio.server", "socketio.server", "werkzeug", "urllib3", "py.warnings"):
        logging.getLogger(name).warning("trouble\x1b in %s", name)
        # At DEBUG, libraries log URLs with tokens.
        logging.getLogger(name).debug("a detail")

    messages = [json.loads(line)["message"] for line in lines()]
    assert messages[0] == "engineio.server: trouble\\x1b in engineio.server"
    assert len(messages) == 5


def test_an_unreadable_packet_writes_one_line_without_a_traceback(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    lines = set_up()

    try:
        Packet(encoded_packet="not a packet")
    except ValueError:
        logging.getLogger("engineio.server").exception("Unknown receive error")

    (line,) = lines()
    assert "engineio.server: Unknown receive error (ValueError: " in line


def test_an_error_of_our_code_called_by_a_library_keeps_its_traceback(
    set_up: Callable[..., Callable[[], list[str]]],
) -> None:
    lines = set_up()

    try:
        to_paisa("no number")  # type: ignore[arg-type]
    except Exception:
        logging.getLogger("engineio.server").exception("message handler error")

    assert any("to_paisa" in line for line in lines())


def test_the_log_file_is_readable_by_its_owner_only_also_after_rotation(
    set_up: Callable[..., Callable[[], list[str]]], tmp_path: Path
) -> None:
    set_up(max_file_bytes=100)

    for _ in range(3):
        logger.info("x" * 90)

    files = list(tmp_path.glob("server.log*"))
    assert len(files) > 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_an_unwritable_log_file_is_reported_once(
    set_up: Callable[..., Callable[[], list[str]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up()
    (handler,) = (
        handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)
    )
    handler.close()
    # A folder cannot be opened for writing.
    (tmp_path / "server.log").unlink(missing_ok=True)
    (tmp_path / "server.log").mkdir()

    for _ in range(3):
        logger.info("a line")

    shown = capsys.readouterr().err
    assert shown.count("LOG_FILE cannot be written") == 1
    assert shown.count("a line") == 3
    assert "Traceback" not in shown


def test_standard_error_becomes_lines_of_the_log(
    set_up: Callable[..., Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = set_up(LOG_FORMAT="json")
    for module, name in ((sys, "stderr"), (sys, "excepthook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    output.capture_standard_error()
    logging.captureWarnings(False)

    print("half a li", end="", file=sys.stderr)
    print("ne\x1b[31m\nanother", file=sys.stderr)
    print(f'{output.TRACE}\n  File "x.py", line 1\nValueError: a packet', file=sys.stderr)
    thread = threading.Thread(target=raise_no_space)
    thread.start()
    thread.join()

    *written, failure = (json.loads(line) for line in lines())
    assert [each["message"] for each in written] == [
        "half a line\\x1b[31m",
        "another",
        "ValueError: a packet",
    ]
    assert "No space left" in failure["exc_info"]


def test_a_request_id_is_adopted_and_returned(client: FlaskClient) -> None:
    answer = client.get("/", headers={"X-Request-ID": REQUEST_ID})

    assert answer.headers["X-Request-ID"] == REQUEST_ID


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, "a;b", "<script>"])
def test_an_unsafe_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    answers = [client.get("/", headers={"X-Request-ID": given}) for _ in range(2)]

    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert given not in ids
    assert len(set(ids)) == 2
    assert all(len(each) == 32 and each.isalnum() for each in ids)


def test_responses_forbid_content_sniffing(client: FlaskClient) -> None:
    assert client.get("/").headers["X-Content-Type-Options"] == "nosniff"
