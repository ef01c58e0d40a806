"""The generator (`loadtests/native`), and what it can be told to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GENERATOR = Path(__file__).parent / "native" / "target" / "release" / "turngate-load"
CORE = sorted(os.sched_getaffinity(0))[-1]
AUDIO_BYTES, AUDIO_TYPE = 172, 0
VIDEO_BYTES, VIDEO_TYPE = 1172, 96

Report = dict[str, Any]
Stream = dict[str, float]
"""As the generator takes it (`schedule.rs`)."""


class Generator:
    """A process of its own, held to the core that the servers do not have."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.clients_port: int = self._answer()["clients_port"]

    def tell(self, what: str, **how: object) -> None:
        """Let it begin; `heard` waits for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self._process.stdin.flush()

    def heard(self) -> Report:
        return self._answer()

    def do(self, what: str, **how: object) -> Report:
        self.tell(what, **how)
        return self._answer()

    def window(self, packets: int, payload_bytes: int, seconds: float, **more: object) -> Report:
        """As fast as it comes back."""
        kind = AUDIO_TYPE if payload_bytes == AUDIO_BYTES else VIDEO_TYPE
        schedule = {"packets": packets, "payload_bytes": payload_bytes, "payload_type": kind}
        return self.do("traffic", schedule={"window": schedule}, seconds=seconds, **more)

    def paced(self, *streams: Stream, seconds: float, **more: object) -> Report:
        return self.do("traffic", schedule={"paced": streams}, seconds=seconds, **more)

    def _answer(self) -> Report:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the generator ended with {self._process.wait()}; stderr says why")
        answer: Report = json.loads(line)
        return answer


def stream(payload_bytes: int, packets_per_second: float, packets_per_burst: int = 1) -> Stream:
    """Packets of one kind at an even pace, of all flows together."""
    return {
        "payload_bytes": payload_bytes,
        "payload_type": AUDIO_TYPE if payload_bytes == AUDIO_BYTES else VIDEO_TYPE,
        "packets_per_burst": packets_per_burst,
        "bursts_per_second": packets_per_second / packets_per_burst,
    }


@contextmanager
def generator(
    server: str, secret_file: Path, transport: str = "udp", trust: Path | None = None, clients_port: int = 0
) -> Iterator[Generator]:
    """`clients_port` is what all UDP clients have; 0 for any that is free."""
    options = ["--server", server, "--transport", transport, "--secret-file", str(secret_file)]
    options += ["--clients-port", str(clients_port)]
    if trust is not None:
        options += ["--trust", str(trust)]
    command = ["taskset", "-c", str(CORE), str(GENERATOR), "generate", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Generator(process)
        finally:
            process.kill()


def free_udp_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
