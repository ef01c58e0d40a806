"""Debian's coturn on loopback, with the credentials of the TURN REST convention."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.core.frames import IceServer

_SECRET = "relay-secret"


@dataclass(frozen=True)
class TurnServer:
    ice_server: IceServer
    process: asyncio.subprocess.Process

    def fall_silent(self) -> None:
        """The port stays open and nothing is answered, as with a relay behind a broken path."""
        self.process.send_signal(signal.SIGSTOP)


@asynccontextmanager
async def turn_server(folder: Path, certificate: Path | None = None) -> AsyncIterator[TurnServer]:
    """A TURN server that is listening, and a credential for it: over UDP, or over TLS with a certificate.

    The certificate's key is beside it, with the suffix `.key`.
    """
    port = _free_port()
    log = folder / "turnserver.log"
    tls = (
        ["--no-tls"]
        if certificate is None
        else [f"--cert={certificate}", f"--pkey={certificate.with_suffix('.key')}"]
    )
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "turnserver",
            "-n",
            "--listening-ip=127.0.0.1",
            f"--listening-port={port}",
            "--relay-ip=127.0.0.1",
            "--allow-loopback-peers",
            "--use-auth-secret",
            f"--static-auth-secret={_SECRET}",
            "--realm=turngate.test",
            "--no-cli",
            "--no-dtls",
            *tls,
            f"--pidfile={folder / 'turnserver.pid'}",
            f"--userdb={folder / 'turndb'}",
            "--log-file=stdout",
            stdout=output,
            stderr=output,
        )
    try:
        await _listening(port)
        yield TurnServer(_credential(port, "turn" if certificate is None else "turns"), process)
    finally:
        process.kill()
        async with asyncio.timeout(10):
            await process.wait()


def _credential(port: int, scheme: str) -> IceServer:
    username = f"{int(time.time()) + 3600}:session:party"
    digest = hmac.new(_SECRET.encode(), username.encode(), hashlib.sha1).digest()
    return IceServer(
        urls=[f"{scheme}:127.0.0.1:{port}?transport={'udp' if scheme == 'turn' else 'tcp'}"],
        username=username,
        credential=base64.b64encode(digest).decode(),
    )


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _listening(port: int) -> None:
    """coturn listens on TCP as soon as on UDP; asking again is the only sign of readiness it gives."""
    async with asyncio.timeout(15):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return
