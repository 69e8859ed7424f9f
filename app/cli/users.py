"""`flask --app run users`: help a user who cannot help themselves."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.auth import second_factor
from app.auth.sessions import end_all
from app.models import SecondFactor, User

users = AppGroup("users", help="Sign a user out everywhere, or remove a lost second factor.")


@users.command("sign-out")
@click.argument("name")
def sign_out(name: str) -> None:
    """End all sessions of the user with this email address or client_id."""
    user = _find(name)
    end_all(user.client_id)
    click.echo(f"All sessions of {user.client_id} have ended. Servers notice within a second.")


@users.command("remove-second-factor")
@click.argument("name")
@click.confirmation_option(prompt="Are you sure that this user asked for it?")
def remove_second_factor(name: str) -> None:
    """Let a user sign in with the password only, if the device and the codes are lost.

    The user gets a notification. Be sure of who asks before you do it.
    """
    user = _find(name)
    if SecondFactor.find(user.client_id) is None:
        raise click.ClickException(f"{user.client_id} has no second factor.")
    second_factor.remove(user.client_id)
    click.echo(f"{user.client_id} signs in with the password only, and was notified.")


def _find(name: str) -> User:
    user = User.find_by_name(name)
    if user is None:
        raise click.ClickException(f"There is no user {name!r}.")
    return user
