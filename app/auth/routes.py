"""Routes of registration and sign-in."""

from __future__ import annotations

from flask import Blueprint

from app.auth import service, verification
from app.auth.rules import Registration
from app.auth.schemas import (
    LoginRequest,
    RegisterRequest,
    RegisterResponse,
    TokensResponse,
    VerifyRequest,
    VerifyResponse,
)
from app.extensions import limiter
from app.services import services
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.error_codes import merge_codes
from app.web.principal import Scope

blueprint = Blueprint("auth", __name__, url_prefix="/auth")
CODE_ERRORS = {
    401: ["account_gone"],
    409: ["channel_not_configured", "code_expired", "code_not_sent", "code_wrong"],
    429: ["code_sent_already", "too_many_codes", "too_many_messages"],
    503: ["code_not_sent"],
}


@blueprint.post("/register")
@limiter.limit(
    lambda: services().settings.ratelimit_registrations, methods=["POST"], override_defaults=False
)
@endpoint(
    body=RegisterRequest,
    responses={201: RegisterResponse},
    errors={409: ["email_taken", "client_id_taken"]},
    public=True,
)
def register(body: RegisterRequest) -> tuple[RegisterResponse, int]:
    """Register a user. The client_id is the email in lower case unless one is given."""
    client_id = service.register(Registration(**body.model_dump()))
    return RegisterResponse(message="User registered", client_id=client_id), 201


@blueprint.post("/login")
@endpoint(
    body=LoginRequest,
    responses={200: TokensResponse},
    errors={
        401: ["invalid_credentials", "totp_invalid", "totp_required"],
        429: ["sign_in_delayed"],
    },
    public=True,
)
def login(body: LoginRequest) -> TokensResponse:
    """Sign in with an email or client_id. It starts a session: see POST /auth/refresh."""
    tokens = service.sign_in(str(body.email or body.client_id), body.password, body.totp)
    return TokensResponse.model_validate(tokens)


@blueprint.post("/verify/email")
@endpoint(
    body=VerifyRequest,
    responses={200: VerifyResponse},
    errors=CODE_ERRORS,
    scope=Scope.ACCOUNT,
)
def verify_email(body: VerifyRequest) -> VerifyResponse:
    """Send a code to your email address, or confirm the address with the code."""
    return _verify("email", body)


@blueprint.post("/verify/phone")
@endpoint(
    body=VerifyRequest,
    responses={200: VerifyResponse},
    errors=merge_codes(CODE_ERRORS, {409: ["phone_not_allowed", "phone_taken"]}),
    scope=Scope.ACCOUNT,
)
def verify_phone(body: VerifyRequest) -> VerifyResponse:
    """Send a code to your phone by SMS, or confirm the number with the code."""
    return _verify("sms", body)


def _verify(channel: str, body: VerifyRequest) -> VerifyResponse:
    user_id = current_principal().user_id
    if body.code is None:
        result = verification.request_code(user_id, channel)
    else:
        result = verification.confirm_code(user_id, channel, body.code)
    message = "Confirmed" if result.confirmed else "A code was sent"
    return VerifyResponse(message=message, confirmed=result.confirmed, expires_at=result.expires_at)
