"""`turngate relay`: the closed TURN relay alone, in front of other WebRTC applications."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NoReturn
from urllib.parse import urlsplit

import typer

from broker.cli.options import ConfigFile, Flags, settings_or_exit
from broker.shell.logs import configure_logs
from config.loading import load_settings
from config.section import listen_address
from config.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("relay")(relay)


def relay(
    config: ConfigFile = None,
    flags: Flags = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(help="Listener, such as udp://127.0.0.1:3478, tcp://... or tls://...; repeatable."),
    ] = None,
    secrets_file: Annotated[
        Path | None, typer.Option(help="File with one shared secret a line; the first signs, all verify.")
    ] = None,
    revocations_file: Annotated[
        Path | None, typer.Option(help="File of credentials, sessions and users that are let in no more.")
    ] = None,
    pairing: Annotated[
        Literal["session", "any"] | None, typer.Option(help="Who may reach whom.", show_default=False)
    ] = None,
    plane: Annotated[
        Literal["auto", "native", "asyncio"] | None,
        typer.Option(help="Forwarding plane.", show_default=False),
    ] = None,
    relayed_prefix: Annotated[
        str | None, typer.Option(help="Virtual network of the relayed addresses.", show_default=False)
    ] = None,
    legacy_channels: Annotated[
        bool, typer.Option("--legacy-channels", help="Accept channel numbers 0x5000-0x7FFE.")
    ] = False,
    stats: Annotated[
        float, typer.Option(min=0, help="Print the counters as a JSON line every so many seconds.")
    ] = 0,
    metrics: Annotated[
        str | None, typer.Option(help="Serve /metrics and /healthz by HTTP here.", metavar="ADDRESS:PORT")
    ] = None,
) -> None:
    """Run the closed TURN relay alone. A valid credential admits its session by itself.

    SIGHUP loads secrets, bounds, revocations and certificate anew; SIGUSR1 drains and then stops.
    """
    for early in (signal.SIGHUP, signal.SIGUSR1):
        # Before there is anything to reload or drain.
        signal.signal(early, signal.SIG_IGN)
    chosen = {
        "listen": json.dumps(listen) if listen else None,
        "secrets_file": secrets_file,
        "revocations_file": revocations_file,
        "pairing": pairing,
        "plane": plane,
        "relayed_prefix": relayed_prefix,
        "legacy_channels": "true" if legacy_channels else None,
    }
    every = [
        *(flags or []),
        *(f"relay.{name}={value}" for name, value in chosen.items() if value is not None),
    ]
    settings = settings_or_exit(config, every)
    if not settings.relay.secrets:
        _refuse("relay.secrets is not set: name a file with --secrets-file")
    at = _address(metrics) if metrics is not None else None

    def load() -> Settings:
        return load_settings(config, os.environ, every)

    # The server takes a second to import: a mistake is told before that.
    import uvloop

    from broker.shell.relay_alone import Reporting, run_alone
    from relay.planes.choice import PlaneUnavailableError
    from relay.revocations import RevocationsError

    configure_logs()
    try:
        uvloop.run(run_alone(settings, load, Reporting(_tell, stats, at)))
    except (PlaneUnavailableError, RevocationsError) as unusable:
        _refuse(str(unusable))
    except OSError as failed:
        what = f"{failed.filename}: " if failed.filename else ""
        _refuse(f"cannot start: {what}{failed.strerror or failed}")


def _tell(line: str) -> None:
    """Left out where nobody reads, or it would wait: a line is shorter than what a pipe takes at once."""
    with suppress(OSError):
        if select.select([], [sys.stdout], [], 0)[1]:
            print(line, flush=True)


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


def _address(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        return listen_address(parts.hostname or ""), parts.port or 0
    except ValueError as mistake:
        raise typer.BadParameter(str(mistake), param_hint="--metrics") from None
