"""A relay to try: in this process, or as the command an administrator starts."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from config.relay import RelaySettings
from relay.planes.asyncio_plane import AsyncioPlane
from relay.service import Relay
from relay.turn.events import Admission
from relay.vocabulary import Address

SECRET = "the secret of the edge tests"
PATIENCE_SECONDS = 20.0

_COMMAND = "import typer; from broker.cli import relay; app = typer.Typer(); relay.register(app); app()"


@asynccontextmanager
async def relay_here(
    *listen: str, admission_required: bool = True, **settings: object
) -> AsyncIterator[Relay]:
    """A relay in this event loop."""
    declared = RelaySettings.model_validate({"listen": listen or ("udp://127.0.0.1:0",), **settings})
    relay = Relay(declared, [SECRET.encode()], admission_required=admission_required, plane=AsyncioPlane())
    async with relay:
        yield relay


def admit(relay: Relay, session_id: str = "s1", parties: tuple[str, str] = ("alice", "bob")) -> None:
    relay.admit(Admission(session_id, parties, time.time() + 3600))


@dataclass
class RelayProcess:
    process: asyncio.subprocess.Process
    listeners: list[Address]
    """In the order they were asked for."""

    async def stopped(self) -> tuple[int, str]:
        """Ask it to stop; exit status and what it wrote to stderr."""
        self.process.terminate()
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


async def start_command(*options: str) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TURNGATE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _COMMAND,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )


@asynccontextmanager
async def relay_command(folder: Path, *options: str) -> AsyncIterator[RelayProcess]:
    """`turngate relay` on free ports, with the secret of these tests."""
    secret_file = folder / "relay.secret"
    secret_file.write_text(SECRET + "\n")
    secret_file.chmod(0o600)
    process = await start_command("--secrets-file", str(secret_file), *options)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await process.stdout.readline()).decode().split()
        assert line[:1] == ["ready"]
        urls = [url.partition("://")[2].rpartition(":") for url in line[1:]]
        yield RelayProcess(process, [Address(host.strip("[]"), int(port)) for host, _, port in urls])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
