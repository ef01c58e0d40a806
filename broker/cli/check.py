"""`turngate check`: would the service start with this configuration?"""

from __future__ import annotations

import typer

from broker.cli.options import ConfigFile, Flags, refuse, settings_or_exit
from broker.shell.contents import unusable_contents
from config.readiness import missing_for_service


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(config: ConfigFile = None, flags: Flags = None) -> None:
    """Check settings, the files they name and the policy; print every mistake on a line of its own."""
    settings = settings_or_exit(config, flags)
    if missing := [*missing_for_service(settings), *unusable_contents(settings)]:
        refuse(missing)
    typer.echo("The configuration is complete.")
