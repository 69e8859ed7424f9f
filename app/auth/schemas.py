"""Requests and responses of registration and sign-in."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from app.domain.contact import format_phone, looks_forged, normalize_email, parse_phone
from app.web.schemas import ONE_LINE, RequestModel, ResponseModel, ResultMessage, Timestamp


def _email(value: str) -> str:
    email = normalize_email(value)
    if looks_forged(email):
        raise ValueError("mixes letters of different scripts that look alike")
    return email


def _phone(value: str) -> str:
    return format_phone(parse_phone(value))


Email = Annotated[
    str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)
]
Phone = Annotated[
    str, Field(max_length=40, json_schema_extra={"format": "phone"}), AfterValidator(_phone)
]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), *ONE_LINE
]
Password = Annotated[str, Field(min_length=6, max_length=256)]
# No @, so that a client_id cannot be another person's email address.
ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class RegisterRequest(RequestModel):
    name: Name = Field(
        description="The user's name, in emails. 1 to 100 characters.", examples=["Asha Rao"]
    )
    email: Email = Field(
        description="An email address. Its case does not matter.", examples=["asha@example.com"]
    )
    phone: Phone = Field(
        description="A phone number, Indian if it has no country prefix. Stored as E.164.",
        examples=["98765 43210"],
    )
    password: Password = Field(
        description="6 to 256 characters. With ACCOUNT_RULES=strict at least 8, and no common one.",
        examples=["paper-trading"],
    )
    client_id: ClientId | None = Field(
        default=None,
        description="The user's identity in tokens and paths; the email in lower case if left out.",
        examples=["asha"],
    )

    @model_validator(mode="after")
    def _needs_client_id(self) -> RegisterRequest:
        if self.client_id is None and "/" in self.email:
            raise ValueError("an email with a slash cannot be part of an address: give a client_id")
        return self


class RegisterResponse(ResponseModel):
    message: ResultMessage
    client_id: str = Field(
        description="The user's identity in tokens and paths.", examples=["asha@example.com"]
    )


FactorCode = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9A-Za-z -]{6,40}$")
]


def _names(field: str) -> dict[str, Any]:
    return {"required": [field], "properties": {field: {"type": "string"}}}


class LoginRequest(RequestModel):
    model_config = ConfigDict(json_schema_extra={"oneOf": [_names("email"), _names("client_id")]})

    email: Annotated[str, Field(min_length=1, max_length=254)] | None = Field(
        default=None,
        description="The email of the account. Send this or `client_id`.",
        examples=["asha@example.com"],
    )
    client_id: Annotated[str, Field(min_length=1, max_length=254)] | None = Field(
        default=None,
        description="The `client_id` of the account. Send this or `email`.",
        examples=["asha"],
    )
    password: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="The password of the account.", examples=["paper-trading"]
    )

    totp: FactorCode | None = Field(
        default=None,
        description="The code of the second factor, or a recovery code, if the account has one.",
        examples=["123456"],
    )

    @model_validator(mode="after")
    def _names_one_user(self) -> LoginRequest:
        if (self.email is None) == (self.client_id is None):
            raise ValueError("give either email or client_id")
        return self


Digits = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]{6}$")]


class VerifyRequest(RequestModel):
    """{} requests a code, {"code": "..."} confirms the address with it."""

    code: Digits | None = Field(
        default=None,
        description="The six digits that were sent. If left out, a new code is sent.",
        examples=["123456"],
    )


class VerifyResponse(ResponseModel):
    """Whether the address is confirmed, else until when the new code is valid."""

    message: ResultMessage
    confirmed: bool = Field(description="Whether the address is confirmed.", examples=[False])
    expires_at: Timestamp | None = Field(
        default=None, description="When the code that was sent expires, UTC. Null once confirmed."
    )


class TokensResponse(ResponseModel):
    access_token: str = Field(
        description="The token for `Authorization: Bearer <token>`. Valid for 24 hours, or "
        "ACCESS_TOKEN_HOURS.",
        examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln"],
    )
    refresh_token: str = Field(
        description="The token for `POST /auth/refresh`, once. Keep it as safe as a password.",
        examples=["9f1c2b7d0e4a6c8f9f1c2b7d0e4a6c8f.q0yN1kq2J5l8o3s6v9y2B5E8H1K4N7Q0"],
    )
    client_id: str = Field(
        description="The user's identity in tokens and paths.", examples=["asha@example.com"]
    )
    expires_in: int = Field(
        description="The seconds for which `access_token` is valid.", examples=[86_400]
    )
