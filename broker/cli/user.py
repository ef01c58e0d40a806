"""`turngate user`: what an administrator needs to enter people into an LDIF directory."""

from __future__ import annotations

import getpass
import sys

import typer
from argon2 import PasswordHasher

MAX_PASSWORD_CHARACTERS = 1024


def register(app: typer.Typer) -> None:
    user = typer.Typer(help="People in an LDIF directory.", no_args_is_help=True)
    user.callback()(_user)
    user.command("hash")(hash_password)
    app.add_typer(user, name="user")


def _user() -> None:
    """Keeps `hash` a sub-command while it is the only one."""


def hash_password() -> None:
    """Print the Argon2id hash of a password, read from a prompt or from the first line of standard input."""
    password = (
        _asked() if sys.stdin.isatty() else sys.stdin.readline(MAX_PASSWORD_CHARACTERS + 2).rstrip("\r\n")
    )
    if not 0 < len(password) <= MAX_PASSWORD_CHARACTERS:
        typer.echo(f"a password has 1 to {MAX_PASSWORD_CHARACTERS} characters", err=True)
        raise typer.Exit(1)
    typer.echo(PasswordHasher().hash(password))


def _asked() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        typer.echo("the two differ", err=True)
        raise typer.Exit(1)
    return password
