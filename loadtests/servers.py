"""The servers under test: each a process of its own, held to one core, and what it costs."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loadtests.generator import GENERATOR, free_udp_port
from loadtests.place import Place

CORE = sorted(os.sched_getaffinity(0))[0]
PATIENCE_SECONDS = 20.0
ROOM = (
    "relay.session_bits_per_second=1000000000",
    "relay.max_allocations=1000000",
)
"""What a load test needs more of than a call: all else is as it is delivered."""


@dataclass(frozen=True)
class Server:
    """A process that is measured."""

    name: str
    pid: int
    address: str
    """The UDP listener; the TCP and TLS ones, where there are, are those of `streams`."""
    streams: dict[str, str]

    def cpu_seconds(self) -> dict[str, float]:
        """By thread, as `name-number`."""
        spent = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                on_core = (task / "schedstat").read_text().split()[0]
                spent[f"{(task / 'comm').read_text().strip()}-{task.name}"] = int(on_core) / 1e9
            except OSError:
                continue  # a thread that has just ended
        return spent

    def resident_bytes(self) -> int:
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGESIZE")


@dataclass
class Spent:
    """What a server spent while something was measured."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    by_thread: dict[str, float] | None = None

    @property
    def busy(self) -> float:
        """Share of a core."""
        return self.cpu_seconds / self.seconds


@contextmanager
def spending(server: Server) -> Iterator[Spent]:
    spent = Spent()
    before, began = server.cpu_seconds(), time.monotonic()
    yield spent
    spent.seconds = time.monotonic() - began
    after = server.cpu_seconds()
    spent.by_thread = {thread: used - before.get(thread, 0.0) for thread, used in after.items()}
    spent.cpu_seconds = sum(spent.by_thread.values())


def _pinned(*command: str) -> list[str]:
    return ["taskset", "-c", str(CORE), *command]


@contextmanager
def turngate_relay(place: Place, plane: str, *settings: str, streams: bool = False) -> Iterator[Server]:
    """`turngate relay`, with one worker and what a load test needs."""
    listen = ["udp://127.0.0.1:0", *(("tcp://127.0.0.1:0", "tls://127.0.0.1:0") if streams else ())]
    options = [f"--listen={one}" for one in listen]
    options += [f"--set={one}" for one in (*ROOM, *settings)]
    if streams:
        options += [
            f"--set=tls.certificate_file={place.certificate}",
            f"--set=tls.private_key_file={place.key}",
        ]
    command = [str(Path(sys.executable).parent / "turngate"), "relay", f"--plane={plane}", *options]
    command.append(f"--secrets-file={place.secret_file}")
    log = place.secret_file.with_name(f"relay-{plane}-{secrets.token_hex(4)}.log")
    with log.open("w") as stderr, _process(_pinned(*command), stderr=stderr) as process:
        assert process.stdout is not None
        ready, *urls = process.stdout.readline().split()
        if ready != "ready":
            raise RuntimeError(log.read_text()[-2000:])
        addresses = dict(url.split("://") for url in urls)
        yield Server(f"turngate {plane}", process.pid, addresses.pop("udp"), addresses)


@contextmanager
def coturn(place: Place) -> Iterator[Server]:
    """Debian's coturn, one relay thread, as its package is and without what it would write or listen for."""
    port, tls_port = free_udp_port(), _free_tcp_port()
    command = [
        *("turnserver", "-n", "-m", "1", "-L", "127.0.0.1", "-p", str(port)),
        *("--tls-listening-port", str(tls_port), "--cert", str(place.certificate), "--pkey", str(place.key)),
        *("--use-auth-secret", "--static-auth-secret", place.secret, "--realm", "turngate"),
        *("--allow-loopback-peers", "--no-cli", "--no-dtls", "--log-file", "/dev/null"),
        *("--pidfile", str(place.secret_file.with_name("coturn.pid"))),
    ]
    with _process(_pinned(*command)) as process:
        _wait_for_tcp(port)
        _wait_for_tcp(tls_port)
        streams = {"tcp": f"127.0.0.1:{port}", "tls": f"127.0.0.1:{tls_port}"}
        yield Server("coturn", process.pid, f"127.0.0.1:{port}", streams)


@contextmanager
def bare_switch(clients_port: int, pairs: int, port: int) -> Iterator[Server]:
    """What no relay can do with less of."""
    options = ["--listen", f"127.0.0.1:{port}", "--clients-port", str(clients_port), "--pairs", str(pairs)]
    command = _pinned(str(GENERATOR), "switch", *options)
    with _process(command, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())["listening"]
        yield Server("bare switch", process.pid, listening, {})


@contextmanager
def _process(
    command: list[str], *, stdin: int | None = None, stderr: int | IO[str] = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TURNGATE_")}
    process = subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _free_tcp_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _wait_for_tcp(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
