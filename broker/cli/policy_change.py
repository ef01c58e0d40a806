"""`turngate policy apply` and `rollback`: put a policy in force through the admin listener, so that the
record knows by whom."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from broker.cli.options import ConfigFile, Flags, settings_or_exit
from broker.cli.password import asked_credentials
from broker.cli.terminal import safe
from broker.client.administration import InForce, PolicyNotChanged, apply_policy, roll_back_policy
from broker.client.errors import EdgeError

Login = Annotated[str, typer.Option(help="Of a policy administrator; asks for password and code.")]
Ca = Annotated[
    Path | None, typer.Option("--ca-file", help="CA of the admin listener's certificate.", metavar="FILE")
]


def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    login: Login,
    ca_file: Ca = None,
    config: ConfigFile = None,
    flags: Flags = None,
) -> None:
    """Put this policy in force, and in the policy file. Password and code may come on two lines of standard
    input."""
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        _give_up([f"{file}: {error}"])
    origin = settings_or_exit(config, flags).admin.origin
    _tell(apply_policy(origin, asked_credentials(origin, login, ca_file), text, ca_file))


def rollback(
    revision: Annotated[int, typer.Argument(metavar="REVISION")],
    login: Login,
    ca_file: Ca = None,
    config: ConfigFile = None,
    flags: Flags = None,
) -> None:
    """Put an earlier revision in force again, and in the policy file."""
    origin = settings_or_exit(config, flags).admin.origin
    _tell(roll_back_policy(origin, asked_credentials(origin, login, ca_file), revision, ca_file))


def _tell(changing: Coroutine[None, None, InForce]) -> None:
    try:
        in_force = asyncio.run(changing)
    except PolicyNotChanged as refused:
        _give_up(refused.lines)
    except (EdgeError, OSError) as error:
        _give_up([str(error)])
    print(f"revision {in_force.revision} is in force, sha256 {in_force.sha256}")


def _give_up(lines: list[str] | tuple[str, ...]) -> NoReturn:
    for line in lines:
        typer.echo(safe(line), err=True)
    raise typer.Exit(1)
