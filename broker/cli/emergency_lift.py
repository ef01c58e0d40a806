"""`turngate emergency lift` and `enrol`: lifting takes two people, each with what they sign in with."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from auth.passwords import PasswordNotUsableError, hash_password
from broker.cli.emergency_files import LAST_MILLISECOND, moment
from broker.cli.emergency_terminal import NOTHING_DONE, ScopeText, give_up, scope_or_exit
from broker.cli.options import ConfigFile, Flags, settings_or_exit
from broker.cli.password import asked_credentials, new_password
from broker.cli.terminal import safe
from broker.client.administration import (
    BREAK_GLASS,
    OPERATOR,
    POLICY_ADMINISTRATOR,
    RECOVERY,
    NotDone,
    lift_stop,
)
from broker.client.errors import EdgeError


class LiftRole(StrEnum):
    """Roles that may lift a stop beside what else they may."""

    OPERATOR = OPERATOR
    POLICY_ADMINISTRATOR = POLICY_ADMINISTRATOR
    BREAK_GLASS = BREAK_GLASS


def lift(
    scope: ScopeText,
    login: Annotated[str, typer.Option(help="Of an administrator; asks for password and code.")],
    role: Annotated[LiftRole, typer.Option(help="What to sign in as.")] = LiftRole.OPERATOR,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Sign in with a recovery account of the settings instead.")
    ] = False,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="CA of the admin listener's certificate.", metavar="FILE"),
    ] = None,
    config: ConfigFile = None,
    flags: Flags = None,
) -> None:
    """Ask for a stop to be lifted, or approve it when somebody else has asked. Password and code may come on
    two lines of standard input."""
    wanted = scope_or_exit(scope)
    origin = settings_or_exit(config, flags).admin.origin
    chosen = RECOVERY if recovery else role.value
    who = asked_credentials(origin, login, ca_file)
    try:
        until_ms = asyncio.run(lift_stop(origin, who, chosen, str(wanted), ca_file))
    except NotDone as refused:
        give_up(1, *refused.lines)
    except (EdgeError, OSError) as error:
        give_up(1, str(error))
    if until_ms is None:
        print(safe(f"lifted: {wanted}"))
    else:
        until = moment(min(max(until_ms, 0), LAST_MILLISECOND))[11:16]
        print(safe(f"asked: {wanted}; another administrator has to approve until {until} UTC"))


def enrol(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Print the line of a recovery account, for the file that [emergency] recovery_accounts_file names, or of
    the break-glass account, for that of [admin] break_glass_account_file. Its password comes from a prompt or
    from the first line of standard input."""
    # As config/emergency.py has it.
    if not (0 < len(name) <= 64 and name.isascii() and name.replace("-", "").isalnum()):
        give_up(NOTHING_DONE, "a name has 1 to 64 ASCII letters, digits and dashes")
    try:
        print(f"{name}:{hash_password(new_password())}")
    except PasswordNotUsableError as refused:
        give_up(1, str(refused))
