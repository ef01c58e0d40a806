"""Passwords and codes from a person at a prompt, or on the first lines of standard input."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path

import typer

from broker.cli.terminal import safe
from broker.client.administration import Credentials
from broker.client.errors import EdgeError
from broker.client.http import read_notice

MAX_PASSWORD_CHARACTERS = 1024


def asked_credentials(origin: str, login: str, ca_file: Path | None) -> Credentials:
    """What an administrator signs in with at this admin listener, whose notice they are shown before. Exits
    where it does not answer."""
    try:
        notice = asyncio.run(read_notice(origin, ca_file))
    except (EdgeError, OSError) as error:
        typer.echo(safe(error), err=True)
        raise typer.Exit(1) from None
    if notice:
        for line in (*notice.splitlines(), "", "Whoever signs in has read this notice and agrees to it."):
            typer.echo(safe(line), err=True)
    if not sys.stdin.isatty():
        return Credentials(login, _line(), _line())
    return Credentials(
        login, getpass.getpass("Password: "), getpass.getpass("Code of the second factor, if there is one: ")
    )


def new_password() -> str:
    """One that is being chosen: asked for twice. Exits where the two differ."""
    if not sys.stdin.isatty():
        return _line()
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        typer.echo("the two differ", err=True)
        raise typer.Exit(1)
    return password


def _line() -> str:
    return sys.stdin.readline(MAX_PASSWORD_CHARACTERS + 2).rstrip("\r\n")
