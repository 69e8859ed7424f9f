"""Routes of the account: the user's own data and password."""

from __future__ import annotations

import itertools

from flask import Blueprint, Response, stream_with_context

from app.auth import account, erasure, export, password_change
from app.auth.account_schemas import (
    AccountResponse,
    ChangePasswordRequest,
    ConfirmEmailRequest,
    DeleteAccountRequest,
    ExportResponse,
    ForgotPasswordRequest,
    ResetPasswordRequest,
    UpdateAccountRequest,
)
from app.auth.verification import find_user
from app.extensions import limiter
from app.models import SecondFactor, User
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.error_codes import merge_codes
from app.web.principal import Scope
from app.web.schemas import MessageResponse

blueprint = Blueprint("account", __name__, url_prefix="/auth")
EXPORTS = "10 per hour"
PASSWORD_ERRORS = {
    401: ["account_gone"],
    403: ["password_wrong"],
    429: ["sign_in_delayed"],
}
EMAIL_ERRORS = {
    409: ["channel_not_configured", "code_not_sent", "email_taken"],
    429: ["code_sent_already", "too_many_codes", "too_many_messages"],
    503: ["code_not_sent"],
}


@blueprint.get("/me")
@endpoint(responses={200: AccountResponse}, errors={401: ["account_gone"]}, scope=Scope.ACCOUNT)
def get_account() -> AccountResponse:
    """Show your account."""
    return _view(find_user(current_principal().user_id))


@blueprint.patch("/me")
@endpoint(
    body=UpdateAccountRequest,
    responses={200: AccountResponse},
    errors=merge_codes(PASSWORD_ERRORS, EMAIL_ERRORS, {400: ["password_required"]}),
    scope=Scope.ACCOUNT,
)
def update_account(body: UpdateAccountRequest) -> AccountResponse:
    """Change your name or phone, or request a new email. The client_id stays."""
    changes = account.Changes(**body.model_dump())
    return _view(account.update_account(current_principal().user_id, changes))


@blueprint.delete("/me")
@endpoint(
    body=DeleteAccountRequest,
    responses={200: MessageResponse},
    errors=merge_codes(PASSWORD_ERRORS, {403: ["totp_invalid"]}),
    scope=Scope.ACCOUNT,
)
def delete_account(body: DeleteAccountRequest) -> MessageResponse:
    """Delete your account with its portfolio, trades, alerts, notifications, keys and webhooks.

    Open trades are deleted, not closed. Your sockets are disconnected. Nothing can be restored.
    """
    erasure.delete_account(current_principal().user_id, body.password, body.totp)
    return MessageResponse(message="Account deleted")


@blueprint.get("/me/export")
@limiter.limit(EXPORTS, override_defaults=False)
@endpoint(responses={200: ExportResponse}, errors={401: ["account_gone"]}, scope=Scope.ACCOUNT)
def export_account() -> Response:
    """Get everything about you as JSON, streamed. 10 an hour."""
    parts = export.export_account(current_principal().user_id)
    # The first part now: an error has its own status until the stream begins.
    stream = itertools.chain([next(parts)], parts)
    return Response(stream_with_context(stream), mimetype="application/json")


@blueprint.post("/me/email")
@endpoint(
    body=ConfirmEmailRequest,
    responses={200: AccountResponse},
    errors={401: ["account_gone"], 409: ["code_expired", "code_wrong", "email_taken"]},
    scope=Scope.ACCOUNT,
)
def confirm_new_email(body: ConfirmEmailRequest) -> AccountResponse:
    """Confirm your new email with the code that was sent to it. It then replaces the old one."""
    return _view(account.confirm_email(current_principal().user_id, body.code))


@blueprint.post("/password")
@endpoint(
    body=ChangePasswordRequest,
    responses={200: MessageResponse},
    errors=PASSWORD_ERRORS,
    scope=Scope.ACCOUNT,
)
def change_password(body: ChangePasswordRequest) -> MessageResponse:
    """Change your password. Your other sessions end."""
    password_change.change_password(current_principal(), body.current_password, body.new_password)
    return MessageResponse(message="Password changed")


@blueprint.post("/password/forgot")
@endpoint(
    body=ForgotPasswordRequest,
    responses={200: MessageResponse},
    errors={409: ["channel_not_configured"]},
    public=True,
)
def forgot_password(body: ForgotPasswordRequest) -> MessageResponse:
    """Send a code for a new password to the email of an account.

    The response is the same if there is no such account, or if it had too many codes.
    """
    password_change.request_reset(body.email)
    return MessageResponse(message="If there is such an account, a code was sent to its email")


@blueprint.post("/password/reset")
@endpoint(
    body=ResetPasswordRequest,
    responses={200: MessageResponse},
    errors={409: ["code_wrong"]},
    public=True,
)
def reset_password(body: ResetPasswordRequest) -> MessageResponse:
    """Set a new password with the code. All sessions end; a second factor stays."""
    password_change.reset_password(body.email, body.code, body.new_password)
    return MessageResponse(message="Password changed")


def _view(user: User) -> AccountResponse:
    factor = SecondFactor.find_confirmed(user.client_id)
    return AccountResponse(
        client_id=user.client_id,
        name=user.name,
        email=user.email,
        email_confirmed=user.is_confirmed("email"),
        pending_email=user.pending_email,
        phone=user.phone,
        phone_confirmed=user.is_confirmed("sms"),
        totp_enabled=factor is not None,
        recovery_codes_left=len(factor.recovery_digests) if factor else 0,
        created_at=user.created_at,
    )
