"""`turngate admin`: what those who work on the edge itself need before they can sign in there."""

from __future__ import annotations

from typing import Annotated

import segno
import typer

from auth.second_factor import SecondFactorError, account_line, enrolment_uri, new_secret, parse_account


def register(app: typer.Typer) -> None:
    admin = typer.Typer(help="Those who work on the edge itself.", no_args_is_help=True)
    admin.callback()(_admin)
    admin.command("enrol")(enrol)
    app.add_typer(admin, name="admin")


def _admin() -> None:
    """Keeps `enrol` a sub-command while it is the only one."""


def enrol(login: Annotated[str, typer.Argument(metavar="LOGIN")]) -> None:
    """Make a second factor: print the line of it for the file that [admin] second_factors_file names, and, on
    stderr, what the person's authenticator app reads. Whoever sees either can make the codes."""
    secret = new_secret()
    line = account_line(login, secret)
    try:
        parse_account(line)
    except SecondFactorError:
        typer.echo("a login has 1 to 256 printable characters", err=True)
        raise typer.Exit(2) from None
    uri = enrolment_uri(login, secret)
    segno.make(uri, micro=False).terminal(out=typer.get_text_stream("stderr"), compact=True)
    typer.echo(uri, err=True)
    print(line)
