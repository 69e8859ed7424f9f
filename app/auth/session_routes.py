"""Routes of sessions: renew, list and end them."""

from __future__ import annotations

from flask import Blueprint

from app.auth import sessions
from app.auth.schemas import TokensResponse
from app.auth.session_schemas import RefreshRequest, SessionsResponse, SessionView
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.principal import Scope
from app.web.schemas import MessageResponse, NoBody

blueprint = Blueprint("sessions", __name__, url_prefix="/auth")


@blueprint.post("/refresh")
@endpoint(
    body=RefreshRequest,
    responses={200: TokensResponse},
    errors={401: ["token_expired", "token_invalid", "token_revoked"]},
    public=True,
)
def refresh(body: RefreshRequest) -> TokensResponse:
    """Exchange a refresh token for a new access token and the next refresh token.

    Each refresh token is for one exchange. Within 10 seconds a repetition gets the same next one;
    later it ends the session, because somebody else may have the token.
    """
    return TokensResponse.model_validate(sessions.refresh(body.refresh_token))


@blueprint.post("/logout")
@endpoint(body=NoBody, responses={200: MessageResponse}, scope=Scope.ACCOUNT)
def logout(body: NoBody) -> MessageResponse:
    """End the session of this token. Its sockets are disconnected."""
    sessions.log_out(current_principal())
    return MessageResponse(message="Signed out")


@blueprint.post("/logout-all")
@endpoint(body=NoBody, responses={200: MessageResponse}, scope=Scope.ACCOUNT)
def logout_all(body: NoBody) -> MessageResponse:
    """End all your sessions, this one included."""
    sessions.end_all(current_principal().user_id)
    return MessageResponse(message="Signed out everywhere")


@blueprint.get("/sessions")
@endpoint(responses={200: SessionsResponse}, scope=Scope.ACCOUNT)
def list_sessions() -> SessionsResponse:
    """List your sessions: where you are signed in."""
    principal = current_principal()
    found = sessions.find_sessions(principal.user_id)
    return SessionsResponse(
        sessions=[SessionView.of(session, principal.session_id) for session in found]
    )


@blueprint.delete("/sessions/<session_id>")
@endpoint(
    responses={200: MessageResponse},
    errors={404: ["session_not_found"]},
    scope=Scope.ACCOUNT,
)
def delete_session(session_id: str) -> MessageResponse:
    """End one of your sessions. Its tokens are refused within a second."""
    sessions.end_session(current_principal().user_id, session_id)
    return MessageResponse(message="Session ended")
