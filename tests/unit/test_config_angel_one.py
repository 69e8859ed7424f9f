"""Angel One's credentials: missing or invalid ones are reported before the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest

from config import ConfigurationError, Settings, load_settings
from tests.fakes.angel_one import API_KEY, CLIENT_CODE, PIN, TOTP_SECRET

CREDENTIALS = {
    "ANGEL_API_KEY": API_KEY,
    "ANGEL_CLIENT_CODE": CLIENT_CODE,
    "ANGEL_PASSWORD": PIN,
    "ANGEL_TOTP_SECRET": TOTP_SECRET,
}
# 112 bits are 23 letters.
BAD_SECRETS = ["123456", "NOTAREALTOTPKEYFORTEST", "NOTAREALTOTPKEYFORTEST0189", "ключ" * 6]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Settings]:
    def load(**variables: str) -> Settings:
        return load_settings({"DATA_DIR": str(tmp_path), **CREDENTIALS, **variables})

    return load


@pytest.mark.parametrize("choice", ["auto", "angel_one", "Angel_One"])
@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_an_invalid_totp_secret_is_reported_without_showing_it(
    load: Callable[..., Settings], choice: str, secret: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(MARKET_DATA=choice, ANGEL_TOTP_SECRET=secret)

    (offence,) = refusal.value.offences
    assert offence.startswith("ANGEL_TOTP_SECRET: is not a TOTP key")
    for words in ("QR code", "at least 23 letters", "not the six digits"):
        assert words in offence
    assert secret not in str(refusal.value)


@pytest.mark.parametrize(
    "pasted",
    [
        TOTP_SECRET,
        TOTP_SECRET.lower(),
        "nota real totp keyf orte sts2",
        "NOTA-REAL-TOTP-KEYF-ORTE-STS2",
        TOTP_SECRET[:23],
    ],
)
def test_a_totp_secret_is_accepted_as_displayed(load: Callable[..., Settings], pasted: str) -> None:
    secret = load(MARKET_DATA="angel_one", ANGEL_TOTP_SECRET=pasted).angel_totp_secret

    code = pyotp.TOTP(secret.get_secret_value()).at(0)
    assert code == pyotp.TOTP(TOTP_SECRET[: len(secret)]).at(0)


@pytest.mark.parametrize("variables", [{"MARKET_DATA": "simulated"}, {"ANGEL_API_KEY": "demo"}])
def test_an_unused_totp_secret_is_not_checked(
    load: Callable[..., Settings], variables: dict[str, str]
) -> None:
    settings = load(ANGEL_TOTP_SECRET="123456", **variables)

    assert settings.angel_totp_secret.get_secret_value() == "123456"


@pytest.mark.parametrize("nothing", ["", " ", "demo"])
def test_each_missing_credential_of_angel_one_is_named(
    load: Callable[..., Settings], nothing: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(MARKET_DATA="angel_one", **dict.fromkeys(CREDENTIALS, nothing))

    assert refusal.value.offences == [
        f"{name}: must be set, because MARKET_DATA=angel_one" for name in CREDENTIALS
    ]


def test_missing_and_invalid_credentials_are_reported_together(
    load: Callable[..., Settings],
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(MARKET_DATA="angel_one", ANGEL_PASSWORD="", ANGEL_TOTP_SECRET="123456")

    assert [offence.partition(":")[0] for offence in refusal.value.offences] == [
        "ANGEL_PASSWORD",
        "ANGEL_TOTP_SECRET",
    ]
