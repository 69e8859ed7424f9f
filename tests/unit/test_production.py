"""The settings that production refuses, and the names that permit them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from app.configuration.production import OVERRIDES, is_weak
from config import ConfigurationError, load_settings

SAFE = {
    "APP_ENV": "production",
    "SECRET_KEY": "0f6d1c39e7a24b58c0d3f19a7be26584",
    "JWT_SECRET_KEY": "b2c94e70d5a81f36e9b7042dc68f1a35",
    "MONGO_URI": "mongodb://desk:pw@db.example:27017/?replicaSet=rs0&tls=true",
    "CORS_ORIGINS": "https://desk.example",
}
# Changes of the safe settings, and the name that permits each.
UNSAFE = [
    ("SECRET_KEY", "a" * 64, "weak_secrets"),
    ("SECRET_KEY", "a1" * 32, "weak_secrets"),
    ("JWT_SECRET_KEY", "abcdefgh" * 8, "weak_secrets"),
    ("JWT_SECRET_KEY", "abcdefghijklmnopqrstuvwxyz0123456789", "weak_secrets"),
    ("JWT_SECRET_KEY", "please-change-me-in-production-now", "weak_secrets"),
    ("JWT_SECRET_KEY", SAFE["SECRET_KEY"], "weak_secrets"),
    ("MONGO_URI", "mongodb://db.example/?tls=true", "plain_database"),
    ("MONGO_URI", "mongodb://desk:pw@db.example", "plain_database"),
    ("MONGO_URI", "mongodb://desk:pw@127.0.0.1,10.0.0.5/", "plain_database"),
    ("MONGO_URI", "mongodb://desk:pw@db.example/?tls=true&tlsInsecure=true", "plain_database"),
    ("REDIS_URL", "redis://:pw@cache.example:6379/0", "plain_redis"),
    ("REDIS_URL", "rediss://cache.example:6379/0", "plain_redis"),
    ("REDIS_URL", "rediss://:pw@cache.example/0?ssl_cert_reqs=none", "plain_redis"),
    ("TWILIO_ROOT_URL", "http://sms.example", "plain_upstreams"),
    ("ANGEL_STREAM_URL", "ws://stream.example", "plain_upstreams"),
    ("RATELIMIT_ENABLED", "false", "no_rate_limits"),
    ("RATELIMIT_ENABLED", "Off", "no_rate_limits"),
    ("CORS_ORIGINS", "*", "any_origin"),
    ("CORS_ORIGINS", "https://desk.example,HTTP://desk.example", "http_origins"),
    ("ALLOWED_HOSTS", "*", "any_host"),
    ("LOG_LEVEL", "debug", "debug_log"),
    ("HOST", "0.0.0.0", "no_proxy"),
    ("HOST", "::", "no_proxy"),
    ("HOST", "192.168.1.20", "no_proxy"),
]


@pytest.fixture
def safe(tmp_path: Path) -> dict[str, str]:
    return {"DATA_DIR": str(tmp_path), **SAFE}


@pytest.mark.parametrize(("name", "value", "override"), UNSAFE)
def test_an_unsafe_setting_is_refused_and_permitted_by_name(
    safe: dict[str, str], name: str, value: str, override: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({**safe, name: value})
    (offence,) = refusal.value.offences
    assert offence.startswith(f"{name}: production ")
    assert f"PRODUCTION_ALLOWS={override}" in offence
    assert "pw" not in offence

    load_settings({**safe, name: value, "PRODUCTION_ALLOWS": f"debug_log, {override.upper()}"})
    load_settings({**safe, name: value, "APP_ENV": "development"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGO_URI", "mongodb://127.0.0.1:27017/?replicaSet=rs0"),
        ("MONGO_URI", "mongodb://localhost,[::1]:27018/"),
        ("MONGO_URI", "mongodb://%2Ftmp%2Fmongodb-27017.sock/"),
        ("MONGO_URI", "mongodb://db.example/?authMechanism=MONGODB-X509&tls=true"),
        ("REDIS_URL", "redis://127.0.0.1:6379/0"),
        ("REDIS_URL", "rediss://:pw@cache.example:6380/0"),
        ("TWILIO_ROOT_URL", "http://127.0.0.1:9000"),
        ("CORS_ORIGINS", "https://desk.example,http://localhost:3000"),
        ("RATELIMIT_ENABLED", "true"),
        ("LOG_LEVEL", "INFO"),
        ("HOST", "::1"),
    ],
)
def test_local_or_protected_connections_are_accepted(
    safe: dict[str, str], name: str, value: str
) -> None:
    assert load_settings({**safe, name: value}).app_env == "production"


def test_a_proxy_in_front_makes_any_host_safe(safe: dict[str, str]) -> None:
    settings = load_settings({**safe, "HOST": "0.0.0.0", "TRUSTED_PROXIES": "1"})

    assert settings.app_env == "production"


def test_one_message_names_every_offence(safe: dict[str, str]) -> None:
    unsafe = dict.fromkeys(("SECRET_KEY", "JWT_SECRET_KEY"), "a" * 40) | {
        "MONGO_URI": "mongodb://db.example",
        "REDIS_URL": "redis://cache.example",
        "RATELIMIT_ENABLED": "false",
        "CORS_ORIGINS": "http://desk.example",
        "LOG_LEVEL": "DEBUG",
        "HOST": "0.0.0.0",
    }
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({**safe, **unsafe})

    named = [offence.partition(":")[0] for offence in refusal.value.offences]
    assert set(named) == set(unsafe)
    assert str(refusal.value).count("The configuration cannot be used") == 1


def test_required_settings_of_production_have_no_override(safe: dict[str, str]) -> None:
    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MONGO_URI"):
        with pytest.raises(ConfigurationError) as refusal:
            load_settings({**safe, name: "", "PRODUCTION_ALLOWS": ",".join(OVERRIDES)})
        (offence,) = refusal.value.offences
        assert offence.startswith(f"{name}: production ")
        assert "PRODUCTION_ALLOWS" not in offence


def test_an_unknown_override_is_reported_with_the_known_ones(safe: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({**safe, "PRODUCTION_ALLOWS": "everything"})

    (offence,) = refusal.value.offences
    assert offence.startswith("PRODUCTION_ALLOWS: does not know everything")
    assert "plain_database" in offence


def test_no_random_secret_is_weak() -> None:
    for _ in range(500):
        assert not is_weak(secrets.token_hex(32))
        assert not is_weak(secrets.token_urlsafe(32))
