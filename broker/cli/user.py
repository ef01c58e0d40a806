"""`turngate user`: what an administrator needs to enter people into an LDIF directory."""

from __future__ import annotations

import typer

from auth.passwords import PasswordNotUsableError
from auth.passwords import hash_password as hashed
from broker.cli.password import new_password


def register(app: typer.Typer) -> None:
    user = typer.Typer(help="People in an LDIF directory.", no_args_is_help=True)
    user.callback()(_user)
    user.command("hash")(hash_password)
    app.add_typer(user, name="user")


def _user() -> None:
    """Keeps `hash` a sub-command while it is the only one."""


def hash_password() -> None:
    """Print the userPassword value of a password from a prompt or the first line of standard input."""
    try:
        typer.echo(hashed(new_password()))
    except PasswordNotUsableError as refused:
        typer.echo(refused, err=True)
        raise typer.Exit(1) from None
