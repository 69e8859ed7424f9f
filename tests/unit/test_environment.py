"""Reading .env: encodings, mistyped names, and values with special characters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.configuration.environment import (
    ROOT,
    ConfigurationError,
    Environment,
    find_misspelled,
    read_environment,
)
from config import VARIABLES, load_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a .env file; variables of the machine's environment are removed."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def offence_of(file: Path) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        read_environment(file)
    (offence,) = refusal.value.offences
    assert offence.startswith(str(file))
    assert "\n" not in offence
    return offence


def test_a_utf_8_file_may_begin_with_a_byte_order_mark(file: Path) -> None:
    file.write_bytes("\ufeffPORT=7000\r\nSMTP_FROM=Prīya\r\n".encode())

    environment = read_environment(file)

    assert (environment["PORT"], environment["SMTP_FROM"]) == ("7000", "Prīya")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_another_encoding_is_refused_in_one_line(file: Path, encoding: str) -> None:
    file.write_bytes("PORT=7000\nSMTP_FROM=José\n".encode(encoding))

    assert offence_of(file).endswith("save it as UTF-8")


def test_the_line_that_is_not_utf_8_is_named(file: Path) -> None:
    file.write_bytes("PORT=7000\n\nSMTP_FROM=José\n".encode("latin-1"))

    assert "line 3" in offence_of(file)


def test_a_folder_in_its_place_is_refused(file: Path) -> None:
    file.mkdir()

    assert "cannot be read: Is a directory" in offence_of(file)


@pytest.mark.parametrize(
    "line", ["=7000", 'SMTP_PASSWORD="unfinished', "SMTP_PASSWORD='a'b'", "PORT 7000"]
)
def test_a_line_that_sets_nothing_is_named(file: Path, line: str) -> None:
    file.write_text(f"# first\n\nHOST=127.0.0.1\n{line}\nLOG_LEVEL=INFO\n")

    assert "line 4: must read NAME=value" in offence_of(file)


def test_a_missing_file_is_not_an_error(file: Path) -> None:
    assert "PORT" not in read_environment(file)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SMTP_PASSWORD=pa${HOME}ss", "pa${HOME}ss"),
        ('SMTP_PASSWORD="pa${HOME}ss"', "pa${HOME}ss"),
        ("SMTP_PASSWORD=pa$$ss$", "pa$$ss$"),
        ("export SMTP_PASSWORD=secret", "secret"),
        ("SMTP_PASSWORD = 'abcd efgh'", "abcd efgh"),
        ('SMTP_PASSWORD="a # b"', "a # b"),
        ("SMTP_PASSWORD=secret # of the mail server", "secret"),
        ("SMTP_PASSWORD=a=b", "a=b"),
    ],
)
def test_a_value_is_read_literally(file: Path, line: str, value: str) -> None:
    file.write_text(f"{line}\n")

    assert read_environment(file)["SMTP_PASSWORD"] == value


def test_a_value_that_flask_expanded_is_read_literally_from_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("SMTP_PASSWORD=pa${HOME}ss\n")
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setenv("SMTP_PASSWORD", f"pa{os.environ['HOME']}ss")

    assert read_environment(file)["SMTP_PASSWORD"] == "pa${HOME}ss"


def test_a_file_of_another_folder_that_flask_read_is_ignored(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file.write_text("PORT=7000\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text("PORT=8000\nDATA_DIR=other\n")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.setenv("DATA_DIR", "other")
    monkeypatch.setenv("HOST", "::1")

    environment = read_environment(file)

    assert (environment["PORT"], environment["HOST"]) == ("7000", "::1")
    assert "DATA_DIR" not in environment


def mistyped(name: str) -> set[str]:
    """Return the name with two letters exchanged, one left out, or one doubled."""
    names = set()
    for i in range(len(name) - 1):
        names.add(name[:i] + name[i + 1] + name[i] + name[i + 2 :])
        names.add(name[:i] + name[i + 1 :])
        names.add(name[: i + 1] + name[i:])
    return names - VARIABLES


def test_a_mistyped_variable_in_the_file_is_refused_with_a_suggestion() -> None:
    for name in VARIABLES:
        for wrong in mistyped(name) | {name.lower()}:
            certain, _ = find_misspelled(Environment({wrong: "x"}, [wrong]), VARIABLES)
            assert certain == [f"{wrong}: is not a variable of this server; did you mean {name}?"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SMTP_PASSWROD", "SMTP_PASSWORD"),
        ("RATELIMIT_ENABELD", "RATELIMIT_ENABLED"),
        ("MARKETDATA", "MARKET_DATA"),
    ],
)
def test_a_mistyped_variable_of_the_process_is_refused_if_only_we_use_such_names(
    name: str, meant: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({name: "x"})

    assert f"{name}: is not a variable of this server; did you mean {meant}?" in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("MONGO_URL", "MONGO_URI"), ("REDIS_URI", "REDIS_URL"), ("SMTP_HOST", "SMTP_SERVER")],
)
def test_a_name_that_others_use_is_refused_in_the_file_and_logged_in_the_process(
    name: str, meant: str
) -> None:
    sentence = f"{name}: is not a variable of this server; did you mean {meant}?"

    assert find_misspelled(Environment({name: "x"}, [name]), VARIABLES) == ([sentence], [])
    assert find_misspelled({name: "x"}, VARIABLES) == ([], [sentence])
    assert find_misspelled({name: "x", meant: "y"}, VARIABLES) == ([], [])


def test_variables_of_the_machine_and_of_other_programs_are_ignored() -> None:
    names = [
        "HOME",
        "HOSTNAME",
        "LANG",
        "LOGNAME",
        "PATH",
        "PWD",
        "SHELL",
        "TERM",
        "USER",
        "XDG_DATA_DIRS",
        "DATA_DIRS",
        "LOG_DIR",
        "PORTS",
        "APP_NAME",
        "APP_ENVIRONMENT",
        "SECRET_KEY_BASE",
        "FLASK_APP",
        "FLASK_ENV",
        "FLASK_RUN_PORT",
        "JWT_SECRET",
        "SMTP_TLS",
        "SMTP_FROM_NAME",
        "SMTP_PASSWORD_FILE",
        "MONGO_HOST",
        "MONGO_INITDB_ROOT_PASSWORD",
        "REDIS_HOST",
        "REDIS_PASSWORD",
        "REDIS_PORT_6379_TCP",
        "TEST_MONGO_URI",
        "DATABASE_URL",
        "TWILIO_API_KEY",
    ]

    assert find_misspelled({**os.environ, **dict.fromkeys(names, "x")}, VARIABLES) == ([], [])


def test_variables_of_tools_may_be_in_the_file() -> None:
    names = ["COMPOSE_PROJECT_NAME", "FLASK_APP", "FLASK_DEBUG", "PYTHONUNBUFFERED", "TZ"]

    found = find_misspelled(Environment(dict.fromkeys(names, "x"), names), VARIABLES)

    assert found == ([], [])


def test_relative_paths_start_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert load_settings({"SECRET_KEY": "x", "JWT_SECRET_KEY": "y"}).data_dir == ROOT / "data"
    settings = load_settings(
        {"DATA_DIR": str(tmp_path / "d"), "LOG_FILE": "~/a.log", "REPLAY_FILE": "README.md"}
    )
    assert settings.log_file == tmp_path / "a.log"
    assert settings.replay_file == ROOT / "README.md"


@pytest.mark.parametrize("path", ["", "missing/server.log"])
def test_an_unwritable_log_file_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigurationError, match="LOG_FILE: cannot be written"):
        load_settings({"DATA_DIR": str(tmp_path), "LOG_FILE": str(tmp_path / path)})
