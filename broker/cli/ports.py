"""`turngate ports`: what a firewall must allow, derived from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import Literal
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from broker.cli.options import ConfigFile, Flags, settings_or_exit
from config.settings import Settings

_LISTENERS = {
    "inside": "insiders: web client, signalling, media over TLS",
    "outside": "guests: web client, signalling, media over TLS",
    "admin": "operators: console",
}
_MEDIA = {
    "udp": "insiders and guests: all media",
    "tcp": "insiders and guests: media where UDP is blocked",
    "tls": "insiders and guests: media where UDP is blocked",
}


INTERFACES = (
    "Allow each of these only where it arrives on the interface that has its address: systems answer for all "
    "of their addresses on every interface."
)


@dataclass(frozen=True, slots=True)
class OpenPort:
    """One line of the firewall's rules, seen from this machine."""

    direction: Literal["in", "out"]
    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    why: str


def register(app: typer.Typer) -> None:
    app.command("ports")(ports)


def ports(config: ConfigFile = None, flags: Flags = None) -> None:
    """Print what a firewall must allow; everything else may stay closed."""
    table = Table(*(column.name for column in fields(OpenPort)), box=None, pad_edge=False)
    for row in open_ports(settings_or_exit(config, flags)):
        table.add_row(*map(str, astuple(row)))
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    typer.echo(INTERFACES, err=True)


def open_ports(settings: Settings) -> Iterator[OpenPort]:
    """Every port these settings use."""
    for name, listener in settings.listeners():
        yield OpenPort("in", "tcp", listener.address, listener.port, _LISTENERS[name])
    for url in settings.relay.listen:
        parts = urlsplit(url)
        protocol: Literal["tcp", "udp"] = "udp" if parts.scheme == "udp" else "tcp"
        why = _MEDIA[parts.scheme]
        yield OpenPort("in", protocol, parts.hostname or "", parts.port or 0, why)
    if settings.directory.kind != "ldif":
        for url in settings.ldap.servers:
            parts = urlsplit(url)
            why = "the directory: sign-in, people and groups"
            yield OpenPort("out", "tcp", parts.hostname or "", parts.port or 0, why)
