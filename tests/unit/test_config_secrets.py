"""Secrets: generated once, readable by their owner only, never shown; refusals of production."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from config import ConfigurationError, Settings, load_settings

SECRETS = ("secret_key", "jwt_secret_key")
SAFE = {
    "APP_ENV": "production",
    "SECRET_KEY": "0f6d1c39e7a24b58c0d3f19a7be26584",
    "JWT_SECRET_KEY": "b2c94e70d5a81f36e9b7042dc68f1a35",
    "MONGO_URI": "mongodb://desk:pw@db.example:27017/?replicaSet=rs0&tls=true",
    "CORS_ORIGINS": "https://desk.example",
}


def refusal_of(**variables: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(variables)
    return refusal.value


def secrets_of(settings: Settings) -> tuple[str, ...]:
    return tuple(getattr(settings, name).get_secret_value() for name in SECRETS)


def test_secrets_are_generated_at_the_first_start_and_stored(tmp_path: Path) -> None:
    first = secrets_of(load_settings({"DATA_DIR": str(tmp_path / "data")}))
    second = secrets_of(load_settings({"DATA_DIR": str(tmp_path / "data")}))

    assert first == second
    assert len(set(first)) == 2
    assert all(len(secret) == 64 for secret in first)


def test_stored_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    load_settings({"DATA_DIR": str(tmp_path)})

    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(SECRETS)
    for name in SECRETS:
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_each_data_folder_has_its_own_secrets(tmp_path: Path) -> None:
    one = secrets_of(load_settings({"DATA_DIR": str(tmp_path / "one")}))
    other = secrets_of(load_settings({"DATA_DIR": str(tmp_path / "other")}))

    assert not set(one) & set(other)


def test_a_configured_secret_is_used_and_not_stored(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path), "SECRET_KEY": "given"})

    assert settings.secret_key.get_secret_value() == "given"
    assert [each.name for each in tmp_path.iterdir()] == ["jwt_secret_key"]


def test_servers_that_start_together_agree_on_the_secrets(tmp_path: Path) -> None:
    starters = 8
    barrier = threading.Barrier(starters)
    found: list[tuple[str, ...]] = []

    def start() -> None:
        barrier.wait()
        found.append(secrets_of(load_settings({"DATA_DIR": str(tmp_path)})))

    threads = [threading.Thread(target=start) for _ in range(starters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == starters
    assert len(set(found)) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(SECRETS)


def test_a_data_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")

    (offence,) = refusal_of(DATA_DIR=str(file)).offences

    assert offence == f"DATA_DIR: {file} cannot be used: File exists"


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    given = {
        name.upper(): f"hunter2-{name}"
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    # This secret must be valid base32.
    given["ANGEL_TOTP_SECRET"] = "HUNTER" * 4
    settings = load_settings({"DATA_DIR": str(tmp_path), **given})

    assert len(given) >= 8
    assert "HUNTER" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_no_secret_shows_in_an_error_message(tmp_path: Path) -> None:
    refusal = refusal_of(
        DATA_DIR=str(tmp_path),
        PORT="abc",
        SECRET_KEY="hunter2",
        JWT_SECRET_KEY="hunter2",
        SMTP_PASSWORD="hunter2",
        TWILIO_AUTH_TOKEN="hunter2",
        ANGEL_PASSWORD="hunter2",
        APP_ENV="production",
    )

    assert "PORT" in str(refusal)
    assert "hunter2" not in str(refusal)


def test_production_starts_with_safe_settings(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path), **SAFE})

    assert settings.app_env == "production"
    assert list(tmp_path.iterdir()) == []


def test_production_refuses_all_unsafe_settings_in_one_message(tmp_path: Path) -> None:
    refusal = refusal_of(
        DATA_DIR=str(tmp_path), APP_ENV="Production", CORS_ORIGINS="https://a.example,*"
    )

    named = [offence.partition(":")[0] for offence in refusal.offences]
    assert named == ["SECRET_KEY", "JWT_SECRET_KEY", "MONGO_URI", "CORS_ORIGINS"]
    assert list(tmp_path.iterdir()) == []


def test_production_names_invalid_and_unsafe_values_together(tmp_path: Path) -> None:
    refusal = refusal_of(DATA_DIR=str(tmp_path), **{**SAFE, "MONGO_URI": "", "PORT": "abc"})

    named = [offence.partition(":")[0] for offence in refusal.offences]
    assert named == ["PORT", "MONGO_URI"]


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET_KEY"])
@pytest.mark.parametrize("value", ["", "secret", "change-me", "CHANGE-ME", "s" * 31])
def test_production_refuses_a_secret_that_is_missing_short_or_a_default(
    tmp_path: Path, name: str, value: str
) -> None:
    (offence,) = refusal_of(DATA_DIR=str(tmp_path), **{**SAFE, name: value}).offences

    assert offence.startswith(f"{name}: production needs a secret of your own")


def test_development_accepts_what_production_refuses(tmp_path: Path) -> None:
    settings = load_settings(
        {"DATA_DIR": str(tmp_path), "SECRET_KEY": "secret", "CORS_ORIGINS": "*"}
    )

    assert settings.cors_origins == ("*",)
