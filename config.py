"""The settings, read from the environment and checked as a whole before anything starts.

`load_settings()` returns a frozen `Settings`, or raises a `ConfigurationError` that names every
invalid variable and a valid value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pyotp
from limits import parse_many
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from app.configuration.environment import (
    ROOT,
    ConfigurationError,
    find_misspelled,
    read_environment,
)
from app.configuration.origins import DEFAULT_ORIGINS, parse_hosts, parse_origins
from app.configuration.production import find_unsafe, parse_overrides
from app.configuration.recordings import find_overlap, readable_recordings, recordable_file
from embedded_db.data_folder import kept_secret, take_folder

__all__ = ["ConfigurationError", "Settings", "load_settings", "read_environment"]

DATABASE_NAME = "paper_trading"
# The settings that OWASP's password storage cheat sheet lists as equally strong. A hash takes 128,
# 64, 32, 16 or 8 MB, and the less memory, the more time.
OWASP_METHODS = (
    *("scrypt:131072:8:1", "scrypt:65536:8:2", "scrypt:32768:8:3"),
    *("scrypt:16384:8:5", "scrypt:8192:8:10"),
)
# Uses 32 MB, so that a flood of sign-ins does not take hundreds of megabytes.
HASH_METHOD = "scrypt:32768:8:3"
_DEFAULT_RULES = {"production": "strict"}
ANGEL_CREDENTIALS = ("angel_api_key", "angel_client_code", "angel_password", "angel_totp_secret")


def _rate_limits(value: str) -> str:
    parse_many(value)
    return value


def _hash_method(value: str) -> str:
    method = re.fullmatch(r"scrypt:(\d{1,7}):(\d{1,2}):(\d{1,2})", value)
    cost, block, parallel = map(int, method.groups()) if method else (0, 0, 0)
    if cost < 2 or cost.bit_count() != 1 or not block or not parallel:
        raise ValueError(f"is not a method of scrypt such as {HASH_METHOD}")
    return value


def _countries(value: Any) -> Any:
    # Imported only if the variable is set, because the import is slow.
    from phonenumbers import SUPPORTED_REGIONS

    countries = [country for part in value.upper().split(",") if (country := part.strip())]
    if unknown := [country for country in countries if country not in SUPPORTED_REGIONS]:
        raise ValueError(f"is not a list of two-letter countries such as IN,GB: {unknown[0]}")
    return countries


def _named_hosts(text: str) -> tuple[str, ...]:
    hosts = parse_hosts(text)
    if "*" in hosts:
        raise ValueError("names each host: * would open every private address to all users")
    return hosts


def _mongo_uri(value: str) -> str:
    if value:
        try:
            options = parse_uri(value, validate=False)["options"]
        except (PyMongoError, ValueError):
            # PyMongo's message may quote a part of the password.
            raise ValueError(
                "is not a MongoDB URI that can be used: look at its form, whether its host exists, "
                "and that user name and password are percent-encoded"
            ) from None
        if str(options.get("w")) == "0":
            raise ValueError(
                "has w=0, with which no write would be confirmed. Remove it: the server waits "
                "until a majority has journaled each write"
            )
    return value


def _beside_env_file(value: Path) -> Path:
    # Independent of the current folder: the server and every command must find the same files.
    try:
        return ROOT / value.expanduser()
    except RuntimeError:
        raise ValueError("names the home folder of a user who has none") from None


def _writable_file(value: Path) -> Path:
    try:
        # Readable by its owner only: a log has names and addresses.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        os.close(os.open(value, flags, 0o600))
    except OSError as error:
        raise ValueError(f"cannot be written: {error.strerror}: {value}") from None
    return value


def _upper(value: Any) -> Any:
    return value.upper()


def _lower(value: Any) -> Any:
    return value.lower()


def _joined(value: SecretStr) -> SecretStr:
    # Keys are often shown, and then pasted, in groups.
    return SecretStr(re.sub(r"[\s-]", "", value.get_secret_value()))


ProjectPath = Annotated[Path, AfterValidator(_beside_env_file)]
Url = Annotated[str, Field(pattern=r"^https?://[^/]")]
SocketUrl = Annotated[str, Field(pattern=r"^wss?://[^/]")]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseModel):
    """Every setting of the server. The variable is the field's name in capitals."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_env: Annotated[Literal["development", "testing", "production"], BeforeValidator(_lower)] = (
        "development"
    )
    host: str = "127.0.0.1"
    port: int = Field(5000, ge=0, le=65535)
    web_concurrency: int | None = Field(None, ge=1, le=65535)
    trusted_proxies: int = Field(0, ge=0, le=10)
    max_connections: int | None = Field(None, ge=1)
    max_connections_per_address: int | None = Field(None, ge=1)
    secret_key: SecretStr = SecretStr("")
    jwt_secret_key: SecretStr = SecretStr("")

    mongo_uri: Annotated[str, AfterValidator(_mongo_uri)] = ""
    data_dir: ProjectPath = Field(Path("data"), validate_default=True)
    min_free_disk_mb: int = Field(100, ge=0, le=1_000_000_000)
    retention_notifications_days: int | None = Field(None, ge=1, le=36_500)
    retention_alerts_days: int | None = Field(None, ge=1, le=36_500)
    redis_url: Annotated[str, Field(pattern=r"^rediss?://")] | None = None

    market_data: Annotated[
        Literal["auto", "simulated", "replay", "yahoo", "angel_one"], BeforeValidator(_lower)
    ] = "auto"
    market_seed: str | None = None
    simulated_hours: Annotated[Literal["always", "exchange"], BeforeValidator(_lower)] = "always"
    simulated_scenario: Annotated[
        Literal["crash", "rally", "gap_down", "halt", "choppy"] | None, BeforeValidator(_lower)
    ] = None
    replay_file: Annotated[ProjectPath, AfterValidator(readable_recordings)] | None = None
    replay_speed: float = Field(1, gt=0, allow_inf_nan=False)
    record_file: Annotated[ProjectPath, AfterValidator(recordable_file)] | None = None
    monitor_interval_seconds: Seconds = 10
    max_quote_move: Decimal = Field(Decimal("0.2"), gt=0, le=10)
    market_hours: Annotated[Literal["ignore", "enforce"], BeforeValidator(_lower)] | None = None
    orders_outside_hours: Annotated[Literal["queue", "refuse"], BeforeValidator(_lower)] = "queue"
    market_stream: bool = False
    market_stream_mode: Annotated[Literal["ltp", "snap_quote"], BeforeValidator(_lower)] = "ltp"

    account_rules: Annotated[Literal["strict", "relaxed"], BeforeValidator(_lower)] | None = None
    sms_countries: Annotated[tuple[str, ...], BeforeValidator(_countries)] = ("IN",)
    password_hash: Annotated[str, AfterValidator(_hash_method)] = HASH_METHOD

    access_token_hours: float = Field(24, gt=0, le=168, allow_inf_nan=False)
    refresh_token_days: float = Field(30, gt=0, le=365, allow_inf_nan=False)
    session_max_days: float = Field(180, gt=0, le=3_650, allow_inf_nan=False)

    initial_margin: Decimal = Field(Decimal(100_000), ge=1_000, le=1_000_000_000, decimal_places=2)
    margin_rate: Decimal = Field(Decimal("0.2"), gt=0, le=1)
    fill_profile: Annotated[Literal["plain", "realistic", "harsh"], BeforeValidator(_lower)] = (
        "plain"
    )
    slippage_bps: Decimal = Field(Decimal(2), ge=0, le=1000)
    fill_seed: Annotated[str, Field(max_length=64)] = "0"

    angel_api_key: SecretStr = SecretStr("demo")
    angel_client_code: SecretStr = SecretStr("demo")
    angel_password: SecretStr = SecretStr("demo")
    angel_totp_secret: Annotated[SecretStr, AfterValidator(_joined)] = SecretStr("demo")
    angel_root_url: Url = "https://apiconnect.angelone.in"
    angel_stream_url: SocketUrl = "wss://smartapisocket.angelone.in/smart-stream"
    angel_scrip_master_url: Url = (
        "https://margincalculator.angelbroking.com/OpenAPI_File/files/OpenAPIScripMaster.json"
    )
    yahoo_root_url: Url | None = None

    smtp_server: str = "smtp.gmail.com"
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_from: str = ""

    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_phone_number: str = ""
    twilio_root_url: str = ""

    max_emails_per_recipient: int = Field(50, ge=0)
    max_emails_per_day: int = Field(2_000, ge=0)
    max_sms_per_recipient: int = Field(20, ge=0)
    max_sms_per_day: int = Field(500, ge=0)
    max_codes_per_recipient: int = Field(5, ge=0)
    max_codes_per_day: int = Field(500, ge=0)
    public_url: Url | None = None
    webhook_allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_named_hosts)] = ()

    ratelimit_default: Annotated[str, AfterValidator(_rate_limits)] = "200 per day;50 per hour"
    ratelimit_reads: Annotated[str, AfterValidator(_rate_limits)] = "120 per minute"
    ratelimit_api_keys: Annotated[str, AfterValidator(_rate_limits)] = "10 per second"
    ratelimit_registrations: Annotated[str, AfterValidator(_rate_limits)] = "50 per day"
    ratelimit_sockets: Annotated[str, AfterValidator(_rate_limits)] = "120 per minute"
    ratelimit_enabled: bool = True
    production_allows: Annotated[tuple[str, ...], BeforeValidator(parse_overrides)] = ()
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(parse_hosts)] = ()
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(parse_origins)] = DEFAULT_ORIGINS
    socketio_async_mode: Annotated[
        Literal["eventlet", "gevent", "threading"], BeforeValidator(_lower)
    ] = "eventlet"

    # With the requests under way, which have 10 s, less than gunicorn's graceful_timeout.
    stop_delay_seconds: float = Field(0, ge=0, le=5)
    metrics_port: int | None = Field(None, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    metrics_token: SecretStr = SecretStr("")
    otel_exporter_otlp_endpoint: Url | None = None

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = "INFO"
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    log_file: Annotated[ProjectPath, AfterValidator(_writable_file)] | None = None

    @property
    def access_token_lifetime(self) -> timedelta:
        return timedelta(hours=self.access_token_hours)

    @property
    def uses_embedded_database(self) -> bool:
        return not self.mongo_uri

    @property
    def has_angel_one_credentials(self) -> bool:
        """Whether every ANGEL_* credential is set to something other than `demo`."""
        credentials = (
            self.angel_api_key,
            self.angel_client_code,
            self.angel_password,
            self.angel_totp_secret,
        )
        return all(secret.get_secret_value() not in ("", "demo") for secret in credentials)

    @property
    def uses_real_prices(self) -> bool:
        """Whether MARKET_DATA stands for prices of an exchange, not simulated or recorded ones."""
        if self.market_data == "auto":
            return self.has_angel_one_credentials
        return self.market_data in ("angel_one", "yahoo")

    @property
    def simulates_market(self) -> bool:
        """Whether the prices are those of the simulated market, not only when sources fail."""
        return not self.uses_real_prices and self.market_data != "replay"

    @property
    def market(self) -> str:
        """What its corporate actions are of: `simulated`, `replay` or `real` prices."""
        other = "real" if self.uses_real_prices else "replay"
        return "simulated" if self.simulates_market else other

    @property
    def simulates_exchange_hours(self) -> bool:
        """Whether the prices are those of a simulated market that keeps the exchange's hours."""
        return self.simulates_market and self.simulated_hours == "exchange"

    @property
    def enforces_market_hours(self) -> bool:
        """Whether trades are refused while the exchange is closed."""
        if self.market_hours is None:
            return self.uses_real_prices or self.simulates_exchange_hours
        return self.market_hours == "enforce"

    @property
    def strict_accounts(self) -> bool:
        """Whether ACCOUNT_RULES, by default those of APP_ENV, expect strangers to register."""
        return (self.account_rules or _DEFAULT_RULES.get(self.app_env)) == "strict"

    @property
    def sends_email(self) -> bool:
        return bool(self.smtp_username and self.smtp_password.get_secret_value())

    @property
    def sends_sms(self) -> bool:
        return bool(
            self.twilio_account_sid
            and self.twilio_auth_token.get_secret_value()
            and self.twilio_phone_number
        )

    @property
    def sends_messages(self) -> bool:
        return self.sends_email or self.sends_sms


VARIABLES = frozenset(name.upper() for name in Settings.model_fields)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings; raise ConfigurationError with every offence in the environment."""
    environ = read_environment() if environ is None else environ
    # An empty variable, like many in .env.example, means its default.
    values = {
        name: environ[name.upper()].strip()
        for name in Settings.model_fields
        if environ.get(name.upper(), "").strip()
    }
    offences = find_misspelled(environ, VARIABLES)[0]
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        offences += [_offence(detail, values) for detail in error.errors()]
    if values.get("market_data", "").lower() == "replay" and "replay_file" not in values:
        offences.append("REPLAY_FILE: must name a CSV file, because MARKET_DATA=replay")
    if settings and settings.market_data == "replay":
        offences += find_overlap(settings.replay_file, settings.record_file)
    offences += _unusable_for_angel_one(values)
    if values.get("app_env", "").lower() == "production":
        offences += _unsafe_in_production(values)
    if settings is None or offences:
        raise ConfigurationError(offences)
    return _with_secrets(settings)


def _offence(detail: Any, values: Mapping[str, str]) -> str:
    name = str(detail["loc"][0])
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    shown = "" if _is_secret(name) else f" (it is {values[name]!r})"
    return f"{name.upper()}: {message[0].lower()}{message[1:]}{shown}"


def _is_secret(name: str) -> bool:
    # A URI may contain a password.
    return Settings.model_fields[name].annotation is SecretStr or name.endswith(("_uri", "_url"))


def _unusable_for_angel_one(values: Mapping[str, str]) -> list[str]:
    choice = values.get("market_data", "auto").lower()
    missing = [name for name in ANGEL_CREDENTIALS if values.get(name, "demo") == "demo"]
    if choice not in ("auto", "angel_one") or (choice == "auto" and missing):
        return []
    offences = [f"{name.upper()}: must be set, because MARKET_DATA=angel_one" for name in missing]
    if "angel_totp_secret" not in missing:
        try:
            pyotp.TOTP(_joined(SecretStr(values["angel_totp_secret"])).get_secret_value())
        except ValueError:
            offences.append(
                "ANGEL_TOTP_SECRET: is not a TOTP key. It is the key shown with the QR code when "
                "TOTP is enabled at https://smartapi.angelone.in/enable-totp: at least 23 letters "
                "A to Z and digits 2 to 7; not the six digits that an authenticator app shows"
            )
    return offences


def _unsafe_in_production(values: Mapping[str, str]) -> list[str]:
    offences = find_unsafe(values)
    if values.get("password_hash", HASH_METHOD) not in OWASP_METHODS:
        offences.append(f"PASSWORD_HASH: production takes {', '.join(OWASP_METHODS)}")
    return offences


def _with_secrets(settings: Settings) -> Settings:
    """Fill missing secrets from the data folder, where the first start creates them."""
    kept = {
        name: SecretStr(_kept_secret(settings.data_dir / name))
        for name in ("secret_key", "jwt_secret_key")
        if not getattr(settings, name).get_secret_value()
    }
    return settings.model_copy(update=kept)


def _kept_secret(path: Path) -> str:
    try:
        take_folder(path.parent)
        return kept_secret(path)
    except OSError as error:
        raise ConfigurationError(
            [f"DATA_DIR: {path.parent} cannot be used: {error.strerror}"]
        ) from None
