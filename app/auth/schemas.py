"""What registration and sign-in take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from app.domain.contact import format_phone, looks_forged, normalize_email, parse_phone
from app.web.schemas import RequestModel, ResponseModel, Timestamp


def _email(value: str) -> str:
    email = normalize_email(value)
    if looks_forged(email):
        raise ValueError("mixes letters of different scripts that look alike")
    return email


def _phone(value: str) -> str:
    return format_phone(parse_phone(value))


def _encodable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not hold a NUL character")
    return value


Email = Annotated[
    str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)
]
Phone = Annotated[
    str, Field(max_length=40, json_schema_extra={"format": "phone"}), AfterValidator(_phone)
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_encodable),
]
Password = Annotated[str, Field(min_length=6, max_length=256)]
# No @, so that nobody can take another person's email address for their client_id.
ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class RegisterRequest(RequestModel):
    name: Name
    email: Email
    phone: Phone
    password: Password
    client_id: ClientId | None = None

    @model_validator(mode="after")
    def _needs_client_id(self) -> RegisterRequest:
        if self.client_id is None and "/" in self.email:
            raise ValueError("an email with a slash cannot be part of an address: give a client_id")
        return self


class RegisterResponse(ResponseModel):
    message: str
    client_id: str


def _names(field: str) -> dict[str, Any]:
    return {"required": [field], "properties": {field: {"type": "string"}}}


class LoginRequest(RequestModel):
    model_config = ConfigDict(json_schema_extra={"oneOf": [_names("email"), _names("client_id")]})

    email: Annotated[str, Field(min_length=1, max_length=254)] | None = None
    client_id: Annotated[str, Field(min_length=1, max_length=254)] | None = None
    password: Annotated[str, Field(min_length=1, max_length=256)]

    @model_validator(mode="after")
    def _names_one_user(self) -> LoginRequest:
        if (self.email is None) == (self.client_id is None):
            raise ValueError("give either email or client_id")
        return self


Digits = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]{6}$")]


class VerifyRequest(RequestModel):
    """{} asks for a code, {"code": "..."} confirms with it."""

    code: Digits | None = None


class VerifyResponse(ResponseModel):
    """`expires_at` is until when the code that was sent is valid; null once it is confirmed."""

    message: str
    confirmed: bool
    expires_at: Timestamp | None = None


class LoginResponse(ResponseModel):
    access_token: str
    client_id: str
