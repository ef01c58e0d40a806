"""A relay to try: in this process, or as the command an administrator starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from config.relay import RelaySettings
from relay.credentials import TurnCredential, password_for
from relay.planes.asyncio_plane import AsyncioPlane
from relay.service import Relay
from relay.turn.events import Admission
from relay.vocabulary import Address

SECRET = "the secret of the edge tests"
PATIENCE_SECONDS = 20.0

_COMMAND = "import typer; from broker.cli import relay; app = typer.Typer(); relay.register(app); app()"


def on_both_loops(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The product runs on uvloop, whose connections are not asyncio's own. What holds here holds for both."""

    @pytest.mark.parametrize(
        "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    def run(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


@asynccontextmanager
async def relay_here(
    *listen: str, admission_required: bool = True, tls: ssl.SSLContext | None = None, **settings: object
) -> AsyncIterator[Relay]:
    """A relay in this event loop."""
    declared = RelaySettings.model_validate({"listen": listen or ("udp://127.0.0.1:0",), **settings})
    relay = Relay(
        declared, [SECRET.encode()], admission_required=admission_required, plane=AsyncioPlane(), tls=tls
    )
    async with relay:
        yield relay


def admit(relay: Relay, session_id: str = "s1", parties: tuple[str, str] = ("alice", "bob")) -> None:
    relay.admit(Admission(session_id, parties, time.time() + 3600))


def allow(
    relay: Relay, payload_types: frozenset[int], audio: frozenset[int] = frozenset(), session_id: str = "s1"
) -> None:
    """What both may send."""
    for party in ("alice", "bob"):
        relay.allow_payload_types(session_id, party, payload_types, audio)


def made_by_application(name: str, secret: str = SECRET, *, seconds: int = 3600) -> TurnCredential:
    """What an application that shares the secret gives to a client of this name."""
    username = f"{int(time.time()) + seconds}:{name}"
    return TurnCredential(username, password_for(secret.encode(), username.encode()).decode())


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has, for what does not tell which one it took."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class Lines:
    """What a process writes, line by line, while it writes."""

    def __init__(self, source: asyncio.StreamReader) -> None:
        self._source = source
        self._arrived = asyncio.Condition()
        self._unread: list[str] = []
        self._ended = False
        self.every: list[str] = []
        """Also those that have been read."""

    async def follow(self) -> None:
        async for line in self._source:
            async with self._arrived:
                self.every.append(line.decode())
                self._unread.append(self.every[-1])
                self._arrived.notify_all()
        async with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    async def read(self, wanted: Callable[[str], bool] = bool) -> str:
        """The first such line that has not been read yet; waits for it."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            while True:
                for line in self._unread:
                    if wanted(line):
                        self._unread.remove(line)
                        return line
                assert not self._ended, "".join(self.every)
                await self._arrived.wait()

    async def end(self) -> None:
        """Wait until the process writes no more."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            await self._arrived.wait_for(lambda: self._ended)


@dataclass
class RelayProcess:
    """`turngate relay`, running."""

    process: asyncio.subprocess.Process
    secrets_file: Path
    output: Lines
    log: Lines
    listeners: list[Address] = field(default_factory=list)
    """In the order they were asked for."""

    async def logged(self, event: str, **fields: object) -> dict[str, Any]:
        """The first line of the log with this event and these fields that was not asked for yet."""
        line = await self.log.read(
            lambda line: {"event": event, **fields}.items() <= json.loads(line).items()
        )
        found: dict[str, Any] = json.loads(line)
        return found

    async def reload(self) -> dict[str, Any]:
        """SIGHUP, and what the log says once everything has been taken over."""
        self.process.send_signal(signal.SIGHUP)
        return await self.logged("relay.reloaded")

    async def refuse_to_reload(self) -> dict[str, Any]:
        """SIGHUP with a mistake, and what the log says about it."""
        self.process.send_signal(signal.SIGHUP)
        return await self.logged("relay.not_reloaded")

    def drain(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def share(self, *secrets: str) -> None:
        """Write the file of the secrets that it shares with applications."""
        self.secrets_file.write_text("".join(f"{secret}\n" for secret in secrets))

    async def ended(self) -> int:
        """Its exit status, once it has come to an end by itself and all it wrote was read."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            status = await self.process.wait()
        await self.output.end()
        await self.log.end()
        return status

    async def stopped(self) -> tuple[int, str]:
        """Ask it to stop; exit status and what it wrote to stderr."""
        self.process.terminate()
        return await self.ended(), "".join(self.log.every)


async def start_command(*options: str, first: str = "pass") -> asyncio.subprocess.Process:
    """`first` is a line of Python that runs before: to shorten a period nobody wants to wait for."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TURNGATE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"{first}\n{_COMMAND}",
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )


@asynccontextmanager
async def relay_command(folder: Path, *options: str, first: str = "pass") -> AsyncIterator[RelayProcess]:
    """`turngate relay` on free ports, with the secret of these tests."""
    secrets_file = folder / "relay.secret"
    secrets_file.write_text(SECRET + "\n")
    secrets_file.chmod(0o600)
    process = await start_command("--secrets-file", str(secrets_file), *options, first=first)
    assert process.stdout is not None
    assert process.stderr is not None
    relay = RelayProcess(process, secrets_file, Lines(process.stdout), Lines(process.stderr))
    following = [asyncio.create_task(lines.follow()) for lines in (relay.output, relay.log)]
    try:
        ready, *urls = (await relay.output.read()).split()
        assert ready == "ready"
        for url in urls:
            host, _, port = url.partition("://")[2].rpartition(":")
            relay.listeners.append(Address(host.strip("[]"), int(port)))
        yield relay
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.gather(*following)
