"""`turngate serve` as a process of its own, configured through a file as an operator would, on addresses a
test chooses."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from broker.cli.demo_house import DemoPerson, write_people, write_policy
from broker.shell.tls import make_demo_certificate

START_SECONDS = 20.0
STOP_SECONDS = 20.0


def free_port(address: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the edge listens on each side."""

    inside: str = "127.0.0.1"
    outside: str = "127.0.0.1"
    admin: str = "127.0.0.1"
    relay_port: int = field(default_factory=lambda: free_port(kind=socket.SOCK_DGRAM))
    inside_port: int = field(default_factory=free_port)
    outside_port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    relay_transports: tuple[str, ...] = ("udp",)

    @property
    def relay(self) -> list[str]:
        return [
            f"{transport}://{address}:{self.relay_port}"
            for transport in self.relay_transports
            for address in dict.fromkeys((self.inside, self.outside))
        ]


class ServedEdge:
    """A folder with everything the service needs, and the process once started. Killing and starting again is
    allowed."""

    def __init__(self, folder: Path, addresses: Addresses | None = None, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.addresses = addresses or Addresses()
        self.prefix = list(prefix)
        self.people: tuple[DemoPerson, ...] = write_people(folder / "people.ldif")
        write_policy(folder / "policy.toml")
        hosts = list(dict.fromkeys((self.addresses.inside, self.addresses.outside, self.addresses.admin)))
        self.ca_file, key_file = make_demo_certificate(folder, hosts)
        self.data = folder / "data"
        self.config = folder / "turngate.toml"
        self.config.write_text(self._toml(key_file))
        self.environment = os.environ | {
            "TURNGATE_INVITATIONS__SECRET": secrets.token_urlsafe(32),
            "TURNGATE_RELAY__SECRETS": f'["{secrets.token_urlsafe(32)}"]',
        }
        self.log_path = folder / "edge.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def inside(self) -> str:
        return f"https://{self.addresses.inside}:{self.addresses.inside_port}"

    @property
    def outside(self) -> str:
        return f"https://{self.addresses.outside}:{self.addresses.outside_port}"

    @property
    def database(self) -> Path:
        return self.data / "turngate.sqlite"

    def person(self, login: str) -> DemoPerson:
        return next(person for person in self.people if person.login == login)

    def start(self) -> None:
        """Returns once the service says it is ready."""
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = [
            *self.prefix,
            sys.executable,
            "-m",
            "broker.cli.main",
            "serve",
            "--config",
            str(self.config),
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=self.environment)
        deadline = time.monotonic() + START_SECONDS
        while b'"edge.ready"' not in self.log_path.read_bytes()[before:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait(STOP_SECONDS)
                raise AssertionError(f"the edge did not start:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Stop in good order; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """As a power button would, but for the disk."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def audit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`turngate audit ...` on this edge's record."""
        command = [sys.executable, "-m", "broker.cli.main", "audit", *arguments, "--config", str(self.config)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=self.environment, check=False
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def _toml(self, key_file: Path) -> str:
        a = self.addresses
        relay = ", ".join(f'"{listener}"' for listener in a.relay)
        return f"""data_directory = "{self.data}"
[inside]
address = "{a.inside}"
port = {a.inside_port}
origin = "{self.inside}"
relay_host = "{a.inside}"
[outside]
address = "{a.outside}"
port = {a.outside_port}
origin = "{self.outside}"
relay_host = "{a.outside}"
[admin]
address = "{a.admin}"
port = {a.admin_port}
origin = "https://{a.admin}:{a.admin_port}"
[tls]
certificate_file = "{self.ca_file}"
private_key_file = "{key_file}"
[directory]
ldif_file = "{self.folder / "people.ldif"}"
[alarms]
certificate_days = 1
[policy]
file = "{self.folder / "policy.toml"}"
[relay]
listen = [{relay}]
"""
