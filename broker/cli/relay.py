"""`turngate relay`: the closed TURN relay alone, in front of other WebRTC applications."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import structlog
import typer
import uvloop

from broker.cli.options import ConfigFile, Flags, settings_or_exit
from config.relay import RelaySettings
from relay.planes.choice import PlaneUnavailableError, choose_plane
from relay.service import Relay, configured_secrets
from relay.vocabulary import Plane


def register(app: typer.Typer) -> None:
    app.command("relay")(relay)


def relay(
    config: ConfigFile = None,
    flags: Flags = None,
    listen: Annotated[
        list[str] | None, typer.Option(help="UDP listener, such as udp://127.0.0.1:3478; repeatable.")
    ] = None,
    secret_file: Annotated[
        list[Path] | None,
        typer.Option(help="File with the shared secret; given again: the one before the last rotation."),
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
) -> None:
    """Run the closed TURN relay alone. A valid credential admits its session by itself."""
    chosen = {
        "listen": json.dumps(listen) if listen else None,
        "pairing": pairing,
        "plane": plane,
        "relayed_prefix": relayed_prefix,
        "legacy_channels": "true" if legacy_channels else None,
    }
    secret_files = [str(file) for file in secret_file or []]
    if len(secret_files) > 2:
        raise typer.BadParameter("at most two: the secret and the previous one", param_hint="--secret-file")
    chosen |= dict(zip(("secret_file", "previous_secret_file"), secret_files, strict=False))
    more = [f"relay.{name}={value}" for name, value in chosen.items() if value is not None]
    settings = settings_or_exit(config, [*(flags or []), *more]).relay
    secrets = configured_secrets(settings)
    if not secrets:
        typer.echo("relay.secret is not set: name a file with --secret-file", err=True)
        raise typer.Exit(1)
    try:
        name, forwarding = choose_plane(settings.plane, settings.socket_buffer_bytes)
    except PlaneUnavailableError as unavailable:
        typer.echo(str(unavailable), err=True)
        raise typer.Exit(1) from None
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    log = structlog.get_logger("turngate.relay")
    log.info("relay.plane", plane=name, wanted=settings.plane)
    try:
        uvloop.run(_serve(settings, secrets, forwarding, log))
    except OSError as error:
        typer.echo(f"cannot listen: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


async def _serve(
    settings: RelaySettings, secrets: list[bytes], plane: Plane, log: structlog.stdlib.BoundLogger
) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with Relay(settings, secrets, admission_required=False, plane=plane) as running:
        print("ready", *(f"udp://{address}" for address in running.listeners), flush=True)
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(_report(running, log))
            await stop.wait()
            reporting.cancel()
    log.info("relay.stopped")


async def _report(running: Relay, log: structlog.stdlib.BoundLogger) -> None:
    while True:
        for event in await running.events():
            log.info("relay.event", kind=type(event).__name__, **asdict(event))
