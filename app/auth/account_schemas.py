"""Requests and responses about the account of a user."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.auth.schemas import Digits, Email, FactorCode, Name, Password, Phone
from app.web.schemas import RequestModel, ResponseModel, Timestamp, UserId

CurrentPassword = Annotated[str, Field(min_length=1, max_length=256)]
AccountName = Annotated[str, Field(min_length=1, max_length=254)]


class AccountResponse(ResponseModel):
    client_id: UserId
    name: str = Field(description="The user's name, in emails.", examples=["Asha Rao"])
    email: str = Field(
        description="Where emails go, and the name to sign in with.", examples=["asha@example.com"]
    )
    email_confirmed: bool = Field(
        description="Whether the email was confirmed by a code.", examples=[True]
    )
    pending_email: str | None = Field(
        description="A new email that takes effect once it is confirmed. Null if there is none.",
        examples=["asha.rao@example.com"],
    )
    phone: str = Field(description="The phone number, E.164.", examples=["+919876543210"])
    phone_confirmed: bool = Field(
        description="Whether the phone was confirmed by a code.", examples=[False]
    )
    totp_enabled: bool = Field(
        description="Whether a sign-in needs a second factor.", examples=[False]
    )
    recovery_codes_left: int = Field(
        description="The recovery codes of the second factor that were not used.", examples=[0]
    )
    created_at: Timestamp = Field(description="When the user registered, UTC.")


class UpdateAccountRequest(RequestModel):
    """Only the fields that are sent change."""

    name: Name | None = Field(
        default=None, description="The user's name, in emails.", examples=["Asha Rao"]
    )
    phone: Phone | None = Field(
        default=None,
        description="A new number, which is unconfirmed: see POST /auth/verify/phone.",
        examples=["98765 43210"],
    )
    email: Email | None = Field(
        default=None,
        description="A new address. A code is sent to it, for POST /auth/me/email.",
        examples=["asha.rao@example.com"],
    )
    password: CurrentPassword | None = Field(
        default=None,
        description="The current password; required to change the email or the phone.",
        examples=["paper-trading"],
    )


class DeleteAccountRequest(RequestModel):
    password: CurrentPassword = Field(
        description="The current password.", examples=["paper-trading"]
    )
    totp: FactorCode | None = Field(
        default=None,
        description="The code of the second factor, or a recovery code, if the account has one.",
        examples=["123456"],
    )


Items = list[dict[str, Any]]


class ExportResponse(ResponseModel):
    """Everything about a user, without credentials. Lists have the newest first."""

    exported_at: Timestamp = Field(description="When the export began, UTC.")
    account: dict[str, Any] = Field(
        description="Name, addresses and when they were confirmed.", examples=[{"name": "Asha"}]
    )
    second_factor: dict[str, Any] | None = Field(
        description="When the second factor was turned on; null without one.", examples=[None]
    )
    preferences: dict[str, Any] | None = Field(
        description="What is sent by email and SMS.", examples=[{"email": True}]
    )
    portfolios: Items = Field(description="The portfolios.", examples=[[]])
    sessions: Items = Field(
        description="The sessions, also those that ended within 8 days.", examples=[[]]
    )
    watchlists: Items = Field(description="The watchlists in their order.", examples=[[]])
    api_keys: Items = Field(description="The API keys, without the keys.", examples=[[]])
    webhooks: Items = Field(description="The webhooks, without their secrets.", examples=[[]])
    trades: Items = Field(description="All trades.", examples=[[]])
    alerts: Items = Field(description="All price alerts.", examples=[[]])
    notifications: Items = Field(description="All notifications.", examples=[[]])


class ConfirmEmailRequest(RequestModel):
    code: Digits = Field(
        description="The six digits that were sent to the new address.", examples=["123456"]
    )


class ChangePasswordRequest(RequestModel):
    current_password: CurrentPassword = Field(
        description="The current password.", examples=["paper-trading"]
    )
    new_password: Password = Field(
        description="The new password, by the rules of registration.",
        examples=["a-longer-passphrase"],
    )


class ForgotPasswordRequest(RequestModel):
    email: AccountName = Field(
        description="The email of the account.", examples=["asha@example.com"]
    )


class ResetPasswordRequest(RequestModel):
    email: AccountName = Field(
        description="The email of the account.", examples=["asha@example.com"]
    )
    code: Digits = Field(description="The six digits that were sent.", examples=["123456"])
    new_password: Password = Field(
        description="The new password, by the rules of registration.",
        examples=["a-longer-passphrase"],
    )
