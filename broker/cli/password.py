"""Passwords from a person at a prompt, or on the first line of standard input."""

from __future__ import annotations

import getpass
import sys

import typer

MAX_PASSWORD_CHARACTERS = 1024


def asked_password() -> str:
    """One that exists: asked for once."""
    return getpass.getpass("Password: ") if sys.stdin.isatty() else _first_line()


def new_password() -> str:
    """One that is being chosen: asked for twice. Exits where the two differ."""
    if not sys.stdin.isatty():
        return _first_line()
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        typer.echo("the two differ", err=True)
        raise typer.Exit(1)
    return password


def _first_line() -> str:
    return sys.stdin.readline(MAX_PASSWORD_CHARACTERS + 2).rstrip("\r\n")
