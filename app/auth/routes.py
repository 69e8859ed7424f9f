"""The routes of registration and sign-in."""

from __future__ import annotations

from flask import Blueprint

from app.api import endpoint
from app.auth import service
from app.auth.schemas import LoginRequest, LoginResponse, RegisterRequest, RegisterResponse
from app.extensions import limiter
from app.runtime import runtime

blueprint = Blueprint("auth", __name__, url_prefix="/auth")


@blueprint.post("/register")
@limiter.limit(lambda: runtime().settings.ratelimit_registrations, override_defaults=False)
@endpoint(body=RegisterRequest, answers={201: RegisterResponse}, errors=[409], public=True)
def register(body: RegisterRequest) -> tuple[RegisterResponse, int]:
    """Register a user. The client_id is the email in lower case unless one is given."""
    user = service.register(body)
    return RegisterResponse(message="User registered", client_id=user.client_id), 201


@blueprint.post("/login")
@endpoint(body=LoginRequest, answers={200: LoginResponse}, errors=[401], public=True)
def login(body: LoginRequest) -> LoginResponse:
    """Sign in with an email or client_id; the token is valid for 24 hours."""
    client_id, token = service.sign_in(body)
    return LoginResponse(access_token=token, client_id=client_id)
