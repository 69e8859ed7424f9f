"""Requests and responses about the second factor."""

from __future__ import annotations

from pydantic import Field

from app.auth.account_schemas import CurrentPassword
from app.auth.schemas import Digits, FactorCode
from app.web.schemas import RequestModel, ResponseModel


class StartTotpRequest(RequestModel):
    password: CurrentPassword = Field(
        description="The current password.", examples=["paper-trading"]
    )


class StartTotpResponse(ResponseModel):
    secret: str = Field(
        description="The secret, to type into an authenticator app.",
        examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"],
    )
    otpauth_uri: str = Field(
        description="The secret as an address that an authenticator app opens.",
        examples=["otpauth://totp/Paper%20Trading:asha%40example.com?secret=JBSWY3DPEHPK3PXP"],
    )
    qr_svg: str = Field(
        description="`otpauth_uri` as a QR code, an SVG element.", examples=["<svg></svg>"]
    )


class ConfirmTotpRequest(RequestModel):
    code: Digits = Field(description="The code that the app shows now.", examples=["123456"])


class RecoveryCodesResponse(ResponseModel):
    message: str = Field(
        description="What was done, in words for a person.", examples=["Second factor on"]
    )
    recovery_codes: list[str] = Field(
        description="Codes that replace the app, each once. They are not shown again.",
        examples=[["mzxw-6ytb-oi5g-k3tf"]],
    )


class FactorRequest(RequestModel):
    """The password and the second factor."""

    password: CurrentPassword = Field(
        description="The current password.", examples=["paper-trading"]
    )
    totp: FactorCode = Field(
        description="A code of the app, or a recovery code.", examples=["123456"]
    )
