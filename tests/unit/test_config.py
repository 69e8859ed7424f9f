"""Configuration: defaults, overrides, and one message for all errors."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from config import OWASP_METHODS, ConfigurationError, Settings, load_settings, read_environment


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A data folder for the generated secrets."""
    return str(tmp_path / "data")


def offences_of(**variables: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(variables)
    for offence in refusal.value.offences:
        assert f"  {offence}\n" in str(refusal.value)
    return refusal.value.offences


def test_every_variable_has_the_default_of_the_contract(home: str) -> None:
    settings = load_settings({"DATA_DIR": home})

    assert (settings.app_env, settings.host, settings.port) == ("development", "127.0.0.1", 5000)
    assert settings.mongo_uri == ""
    assert settings.uses_embedded_database
    assert settings.redis_url is None
    assert (settings.market_data, settings.market_seed) == ("auto", None)
    assert (settings.replay_file, settings.replay_speed) == (None, 1)
    assert settings.monitor_interval_seconds == 10
    assert (settings.initial_margin, settings.margin_rate) == (Decimal(100_000), Decimal("0.2"))
    assert settings.angel_api_key.get_secret_value() == "demo"
    assert (settings.smtp_server, settings.smtp_port) == ("smtp.gmail.com", 587)
    assert settings.ratelimit_default == "200 per day;50 per hour"
    assert settings.ratelimit_enabled
    assert settings.cors_origins == (
        "http://localhost:3000",
        "http://localhost:5173",
        "http://127.0.0.1:3000",
        "http://127.0.0.1:5173",
    )
    assert settings.socketio_async_mode == "eventlet"
    assert (settings.log_level, settings.log_format, settings.log_file) == ("INFO", "text", None)


def test_the_default_data_folder_is_in_the_project_folder() -> None:
    assert Settings.model_fields["data_dir"].default == Path("data")


def test_an_empty_variable_means_its_default(home: str) -> None:
    empty = {name.upper(): "  " for name in Settings.model_fields if name != "data_dir"}

    filled = load_settings({"DATA_DIR": home, **empty})
    absent = load_settings({"DATA_DIR": home})

    assert filled == absent


def test_values_are_converted_and_case_does_not_matter(home: str, tmp_path: Path) -> None:
    recording = tmp_path / "day.csv"
    recording.write_text("timestamp,symbol,price\n")

    settings = load_settings(
        {
            "DATA_DIR": home,
            "APP_ENV": "TESTING",
            "PORT": " 8080 ",
            "MONGO_URI": "mongodb://127.0.0.1:27017/books",
            "MARKET_DATA": "Replay",
            "REPLAY_FILE": str(recording),
            "REPLAY_SPEED": "2.5",
            "MONITOR_INTERVAL_SECONDS": "0.25",
            "INITIAL_MARGIN": "250000.50",
            "RATELIMIT_ENABLED": "false",
            "CORS_ORIGINS": "https://a.example, https://b.example,",
            "SOCKETIO_ASYNC_MODE": "Gevent",
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "JSON",
        }
    )

    assert (settings.app_env, settings.port) == ("testing", 8080)
    assert not settings.uses_embedded_database
    assert (settings.market_data, settings.replay_file) == ("replay", recording)
    assert (settings.replay_speed, settings.monitor_interval_seconds) == (2.5, 0.25)
    assert settings.initial_margin == Decimal("250000.50")
    assert not settings.ratelimit_enabled
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.socketio_async_mode == "gevent"
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")


def test_one_message_names_every_error(home: str, tmp_path: Path) -> None:
    offences = offences_of(
        DATA_DIR=home,
        PORT="abc",
        MARGIN_RATE="-1",
        REPLAY_FILE=str(tmp_path / "absent.csv"),
        RATELIMIT_DEFAULT="often",
        SOCKETIO_ASYNC_MODE="tornado",
        LOG_LEVEL="LOUD",
    )

    named = [offence.partition(":")[0] for offence in offences]
    assert sorted(named) == [
        "LOG_LEVEL",
        "MARGIN_RATE",
        "PORT",
        "RATELIMIT_DEFAULT",
        "REPLAY_FILE",
        "SOCKETIO_ASYNC_MODE",
    ]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "abc", "should be a valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("PORT", "-1", "greater than or equal to 0"),
        ("APP_ENV", "staging", "'development', 'testing' or 'production'"),
        ("MARGIN_RATE", "-1", "greater than 0"),
        ("MARGIN_RATE", "0", "greater than 0"),
        ("MARGIN_RATE", "1.01", "less than or equal to 1"),
        ("MARGIN_RATE", "NaN", "finite number"),
        ("INITIAL_MARGIN", "999", "greater than or equal to 1000"),
        ("INITIAL_MARGIN", "1000.001", "no more than 2 decimal places"),
        ("INITIAL_MARGIN", "plenty", "valid decimal"),
        ("MONITOR_INTERVAL_SECONDS", "0", "greater than 0"),
        ("MONITOR_INTERVAL_SECONDS", "inf", "finite number"),
        ("REPLAY_SPEED", "-2", "greater than 0"),
        ("REPLAY_SPEED", "nan", "finite number"),
        ("MARKET_DATA", "bloomberg", "'auto'"),
        ("SMTP_PORT", "0", "greater than or equal to 1"),
        ("RATELIMIT_DEFAULT", "200 per fortnight", "no granularity matched for fortnight"),
        ("RATELIMIT_ENABLED", "perhaps", "valid boolean"),
        ("TRUSTED_PROXIES", "11", "less than or equal to 10"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
    ],
)
def test_an_invalid_value_is_named_with_the_valid_ones(
    home: str, name: str, value: str, says: str
) -> None:
    (offence,) = offences_of(DATA_DIR=home, **{name: value})

    assert offence.startswith(f"{name}: ")
    assert says in offence
    assert offence.endswith(f"(it is {value!r})")


def test_an_unreadable_recording_is_named_with_the_reason(home: str, tmp_path: Path) -> None:
    (absent,) = offences_of(DATA_DIR=home, REPLAY_FILE=str(tmp_path / "absent.csv"))
    (folder,) = offences_of(DATA_DIR=home, REPLAY_FILE=str(tmp_path))
    (pattern,) = offences_of(DATA_DIR=home, REPLAY_FILE=str(tmp_path / "*.csv"))

    assert "REPLAY_FILE: cannot be read: No such file or directory" in absent
    for offence in (folder, pattern):
        assert "REPLAY_FILE: has no recording, a file that ends in .csv or .csv.gz: " in offence


def test_a_folder_and_a_pattern_of_recordings_are_accepted(home: str, tmp_path: Path) -> None:
    (tmp_path / "day.csv.gz").write_bytes(b"")
    for path in (tmp_path, tmp_path / "*.gz"):
        assert load_settings({"DATA_DIR": home, "REPLAY_FILE": str(path)}).replay_file == path


def test_a_recording_is_not_made_where_nothing_can_be_written(home: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "market.csv"):
        (offence,) = offences_of(DATA_DIR=home, RECORD_FILE=str(path))
        assert offence.startswith(f"RECORD_FILE: cannot be written: {path}")
    new = tmp_path / "new" / "market.csv"
    assert load_settings({"DATA_DIR": home, "RECORD_FILE": str(new)}).record_file == new


@pytest.mark.parametrize("replayed", ["", "*.csv", "market-2026-*.csv"])
def test_a_replay_is_not_recorded_among_its_own_recordings(
    home: str, tmp_path: Path, replayed: str
) -> None:
    (tmp_path / "market-2026-11-27.csv").write_text("")
    variables = {
        "DATA_DIR": home,
        "MARKET_DATA": "replay",
        "REPLAY_FILE": str(tmp_path / replayed),
    }
    beside = offences_of(**variables, RECORD_FILE=str(tmp_path / "market.csv"))

    assert beside == [
        "RECORD_FILE: would be among the recordings of REPLAY_FILE; name another folder"
    ]
    load_settings({**variables, "RECORD_FILE": str(tmp_path / "again" / "market.csv")})


@pytest.mark.parametrize("option", ["w=0", "W=0", "w=0&journal=false"])
def test_a_uri_that_asks_for_unconfirmed_writes_is_refused(home: str, option: str) -> None:
    (offence,) = offences_of(
        DATA_DIR=home, MONGO_URI=f"mongodb://bob:hunter2@127.0.0.1:27017/?{option}"
    )

    assert offence.startswith("MONGO_URI: has w=0")
    assert "Remove it" in offence
    assert "hunter2" not in offence


def test_a_replay_needs_a_recording(home: str) -> None:
    assert offences_of(DATA_DIR=home, MARKET_DATA="REPLAY") == [
        "REPLAY_FILE: must name a CSV file, because MARKET_DATA=replay"
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://bob:hunter2@db.example",
        "mongodb://bob:hunter2@db.example:abc/books",
        "mongodb://bob:hun@hunter2@db.example",
        "mongodb://bob:pass/hunter2@db/books",
        "mongodb://bob:hunter2",
        "mongodb://bob:hunter2%2@db.example",
    ],
)
def test_an_invalid_database_uri_is_named_without_its_password(home: str, uri: str) -> None:
    (offence,) = offences_of(DATA_DIR=home, MONGO_URI=uri)

    assert offence.startswith("MONGO_URI: ")
    assert "hunter2" not in offence


def test_an_invalid_redis_url_is_named_without_its_password(home: str) -> None:
    (offence,) = offences_of(DATA_DIR=home, REDIS_URL="http://:hunter2@cache.example")

    assert offence.startswith("REDIS_URL: ")
    assert "hunter2" not in offence


@pytest.mark.parametrize(
    ("credentials", "complete"),
    [
        ({}, False),
        (dict.fromkeys(("API_KEY", "CLIENT_CODE", "PASSWORD", "TOTP_SECRET"), "demo"), False),
        (dict.fromkeys(("API_KEY", "CLIENT_CODE", "PASSWORD"), "real"), False),
        (dict.fromkeys(("API_KEY", "CLIENT_CODE", "PASSWORD", "TOTP_SECRET"), "REAL" * 6), True),
    ],
)
def test_angel_one_is_configured_if_every_credential_is_set(
    home: str, credentials: dict[str, str], complete: bool
) -> None:
    settings = load_settings(
        {"DATA_DIR": home, **{f"ANGEL_{name}": value for name, value in credentials.items()}}
    )

    assert settings.has_angel_one_credentials is complete


def test_email_is_sent_if_username_and_password_are_set(home: str) -> None:
    both = {"SMTP_USERNAME": "me@example.com", "SMTP_PASSWORD": "hunter2"}

    assert load_settings({"DATA_DIR": home, **both}).sends_email
    for name in both:
        assert not load_settings({"DATA_DIR": home, **both, name: ""}).sends_email


def test_sms_is_sent_if_account_token_and_number_are_set(home: str) -> None:
    all_three = {
        "TWILIO_ACCOUNT_SID": "AC1",
        "TWILIO_AUTH_TOKEN": "hunter2",
        "TWILIO_PHONE_NUMBER": "+15550100",
    }

    assert load_settings({"DATA_DIR": home, **all_three}).sends_sms
    for name in all_three:
        assert not load_settings({"DATA_DIR": home, **all_three, name: ""}).sends_sms


@pytest.mark.parametrize(
    ("environment", "given", "strict"),
    [
        ("development", "", False),
        ("testing", "", False),
        ("development", "STRICT", True),
        ("production", "", True),
        ("production", "relaxed", False),
    ],
)
def test_account_rules_default_to_strict_in_production(
    environment: str, given: str, strict: bool
) -> None:
    settings = Settings.model_validate(
        {"app_env": environment, **({"account_rules": given} if given else {})}
    )

    assert settings.strict_accounts is strict


@pytest.mark.parametrize("countries", ["UK", "IN,XX", "india", "IN GB"])
def test_an_unknown_country_prevents_the_start(home: str, countries: str) -> None:
    with pytest.raises(ConfigurationError, match="SMS_COUNTRIES"):
        load_settings({"DATA_DIR": home, "SMS_COUNTRIES": countries})


@pytest.mark.parametrize(
    "method", ["scrypt", "scrypt:1000:8:1", "pbkdf2:sha256:1", "plain", "a:1:1:1"]
)
def test_an_invalid_hash_method_prevents_the_start(home: str, method: str) -> None:
    with pytest.raises(ConfigurationError, match="PASSWORD_HASH"):
        load_settings({"DATA_DIR": home, "PASSWORD_HASH": method})


@pytest.mark.parametrize("method", OWASP_METHODS)
def test_production_accepts_the_hash_methods_of_owasp(home: str, method: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_settings({"DATA_DIR": home, "APP_ENV": "production", "PASSWORD_HASH": method})
    assert "PASSWORD_HASH" not in str(error.value)


def test_production_refuses_a_cheap_hash(home: str) -> None:
    with pytest.raises(ConfigurationError, match="PASSWORD_HASH: production"):
        load_settings(
            {"DATA_DIR": home, "APP_ENV": "production", "PASSWORD_HASH": "scrypt:1024:8:1"}
        )


def test_variables_of_the_process_override_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=7000\nHOST=0.0.0.0\nLOG_LEVEL\n")
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.delenv("HOST", raising=False)
    monkeypatch.delenv("LOG_LEVEL", raising=False)

    environment = read_environment(file)

    assert (environment["PORT"], environment["HOST"]) == ("8000", "0.0.0.0")
    assert "LOG_LEVEL" not in environment


def test_the_environment_is_read_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PORT", "8123")

    assert load_settings().port == 8123


def test_settings_cannot_be_changed(home: str) -> None:
    settings = load_settings({"DATA_DIR": home})

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
