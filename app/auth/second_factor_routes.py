"""Routes of the second factor."""

from __future__ import annotations

from flask import Blueprint

from app.auth import second_factor
from app.auth.account_routes import PASSWORD_ERRORS
from app.auth.second_factor_schemas import (
    ConfirmTotpRequest,
    FactorRequest,
    RecoveryCodesResponse,
    StartTotpRequest,
    StartTotpResponse,
)
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.error_codes import merge_codes
from app.web.principal import Scope
from app.web.schemas import MessageResponse

blueprint = Blueprint("second_factor", __name__, url_prefix="/auth/totp")
FACTOR_ERRORS = merge_codes(PASSWORD_ERRORS, {403: ["totp_invalid"], 409: ["totp_disabled"]})


@blueprint.post("")
@endpoint(
    body=StartTotpRequest,
    responses={200: StartTotpResponse},
    errors=merge_codes(PASSWORD_ERRORS, {409: ["totp_enabled"]}),
    scope=Scope.ACCOUNT,
)
def start_totp(body: StartTotpRequest) -> StartTotpResponse:
    """Get a secret for an authenticator app. It takes effect once it is confirmed."""
    enrollment = second_factor.start(current_principal().user_id, body.password)
    return StartTotpResponse.model_validate(enrollment)


@blueprint.post("/confirm")
@endpoint(
    body=ConfirmTotpRequest,
    responses={200: RecoveryCodesResponse},
    errors={401: ["account_gone"], 409: ["totp_disabled", "totp_enabled", "totp_wrong"]},
    scope=Scope.ACCOUNT,
)
def confirm_totp(body: ConfirmTotpRequest) -> RecoveryCodesResponse:
    """Turn the second factor on with a code of the app. Sign-ins need `totp` from now on."""
    codes = second_factor.confirm(current_principal().user_id, body.code)
    return RecoveryCodesResponse(message="Second factor on", recovery_codes=codes)


@blueprint.post("/disable")
@endpoint(
    body=FactorRequest,
    responses={200: MessageResponse},
    errors=FACTOR_ERRORS,
    scope=Scope.ACCOUNT,
)
def disable_totp(body: FactorRequest) -> MessageResponse:
    """Turn the second factor off."""
    second_factor.disable(current_principal().user_id, body.password, body.totp)
    return MessageResponse(message="Second factor off")


@blueprint.post("/recovery-codes")
@endpoint(
    body=FactorRequest,
    responses={200: RecoveryCodesResponse},
    errors=FACTOR_ERRORS,
    scope=Scope.ACCOUNT,
)
def renew_recovery_codes(body: FactorRequest) -> RecoveryCodesResponse:
    """Replace the recovery codes. The old ones are no longer valid."""
    codes = second_factor.renew_codes(current_principal().user_id, body.password, body.totp)
    return RecoveryCodesResponse(message="Recovery codes replaced", recovery_codes=codes)
