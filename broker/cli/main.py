"""`turngate`: assembles one sub-command per file."""

from __future__ import annotations

import sys
from importlib.metadata import version

import typer

from broker.cli import admin, audit, check, demo, doctor, emergency, policy, ports, relay, serve, user

# One line per file of this folder, in the order of `turngate --help`. Each has `register(app)`.
SUB_COMMANDS = (
    serve,
    demo,
    relay,
    check,
    ports,
    doctor,
    policy,
    emergency,
    audit,
    admin,
    user,
)

app = typer.Typer(
    name="turngate",
    help="The edge communications broker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"turngate {version('turngate')}")
        raise typer.Exit


@app.callback()
def turngate(
    show_version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
    ),
) -> None:
    """The edge communications broker."""


for sub_command in SUB_COMMANDS:
    sub_command.register(app)


def main() -> None:
    """Entry point of the `turngate` script."""
    try:
        app()
    except BrokenPipeError:
        # The reader of our output went away (`turngate ... | head`); there is nobody left to tell.
        sys.stderr.close()
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
