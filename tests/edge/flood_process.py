"""Strangers who flood a relay, as a process of its own that shares neither thread nor lock with the test.

`python -m tests.edge.flood_process forged ADDRESS PORT NETWORKS RATE SECONDS` sends RATE forged Allocate
requests a second from each of NETWORKS /24 networks; `noise` sends random bytes instead. Every address of
127/8 is this machine's own. It prints "flooding" when it begins, and a `Flooded` as JSON when it is over.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import secrets
import select
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from relay.stun import attributes as a
from relay.stun.message import Field, MessageClass, Method, build, packed_attribute
from relay.turn.nonce import COOKIE
from relay.vocabulary import Address
from tests.edge.raw_turn import UDP_RELAY

IP_AND_UDP = 28
"""Bytes of headers on the wire."""
PAUSE_SECONDS = 0.00005
BEHIND_SECONDS = 0.25
"""What may be due and not sent before the flood goes on from fewer networks."""
LINGER_SECONDS = 0.5
"""How long answers are still counted after the last request."""
PREFERRED = -10
"""Nice value of whom a measurement is about."""
_VARIANTS = 64
_READY = b"flooding\n"


@dataclass
class Flooded:
    """What was sent and what came back, of the networks that flooded to the end."""

    seconds: float
    sent: list[int]
    """Requests, by network."""
    answered: list[int]
    """Answers, by network."""
    sent_bytes: int
    """On the wire, as all bytes here."""
    answered_bytes: int
    worst_factor: float
    """The longest answer in comparison with the very request that it answers."""
    unsent: int
    """Requests that this machine's own buffers had no room for."""
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return sum(self.sent) / self.seconds


class Network:
    """One source in a /24 of its own. A forged request says in its transaction id how long it is."""

    def __init__(self, number: int, relay: tuple[str, int], requests: list[bytes]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((f"127.{64 + number // 256}.{number % 256}.{1 + number % 250}", 0))
        self.socket.connect(relay)
        self.requests = itertools.cycle(requests)
        self.sent = self.unsent = self.sent_bytes = self.answered = self.answered_bytes = 0
        self.worst_factor = 0.0

    def send(self) -> None:
        request = next(self.requests)
        try:
            self.socket.send(request)
        except OSError:
            self.unsent += 1
            return
        self.sent += 1
        self.sent_bytes += len(request) + IP_AND_UDP

    def read(self) -> None:
        while True:
            try:
                answer = self.socket.recv(4096)
            except OSError:
                return
            size = len(answer) + IP_AND_UDP
            asked = int.from_bytes(answer[8:10], "big") + IP_AND_UDP
            self.answered += 1
            self.answered_bytes += size
            self.worst_factor = max(self.worst_factor, size / asked)


def forged() -> list[bytes]:
    """Half of them bare, the others with a login that is right in all but the secret and the nonce."""
    requests = []
    for number in range(_VARIANTS):
        fields = _login() if number % 2 else [UDP_RELAY] * (number % 4 // 2)
        request = build(Method.ALLOCATE, MessageClass.REQUEST, secrets.token_bytes(12), fields)
        if number % 2:
            integrity = packed_attribute(a.MESSAGE_INTEGRITY.number, secrets.token_bytes(20))
            length = len(request) - 20 + len(integrity)
            request = request[:2] + length.to_bytes(2, "big") + request[4:] + integrity
        requests.append(request[:8] + len(request).to_bytes(2, "big") + request[10:])
    return requests


def _login() -> list[Field]:
    username = f"{int(time.time()) + 3600}:s1:{secrets.token_hex(4)}".encode()
    nonce = COOKIE + base64.b64encode(secrets.token_bytes(15))
    return [UDP_RELAY, (a.USERNAME, username), (a.REALM, b"turngate"), (a.NONCE, nonce)]


def noise() -> list[bytes]:
    """Random bytes of every length; of a part the first byte is one that the relay looks behind."""
    requests = [secrets.token_bytes(secrets.randbelow(1400)) for _ in range(_VARIANTS * 16)]
    looked_behind = [
        bytes((0,)),
        bytes((0, 1)),
        bytes((0, 3)),
        bytes((1, 1)),
        bytes((0x40, 0)),
        bytes((0x4F, 0xFF)),
    ]
    for head in looked_behind:
        requests += [head + secrets.token_bytes(secrets.randbelow(400)) for _ in range(_VARIANTS)]
    cookie = b"\x21\x12\xa4\x42"
    for method in (1, 3, 4, 8, 9, 22):
        for _ in range(_VARIANTS):
            body = secrets.token_bytes(12 + 4 * secrets.randbelow(60))
            requests.append(method.to_bytes(2, "big") + (len(body) - 12).to_bytes(2, "big") + cookie + body)
    return requests


def flood(sources: list[Network], rate: float, seconds: float) -> Flooded:
    """At an even pace: what is sent in a turn is what has become due since the last one.

    A machine that cannot keep up floods from fewer networks, not from each of them less.
    """
    by_descriptor = {source.socket.fileno(): source for source in sources}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    began = turned = time.monotonic()
    turns = itertools.cycle(sources)
    due = 0.0
    while (now := time.monotonic()) < began + seconds:
        due += (now - turned) * rate * len(sources)
        turned = now
        if due > BEHIND_SECONDS * rate * len(sources):
            sources = sources[: max(1, len(sources) * 3 // 4)]
            turns = itertools.cycle(sources)
            due = 0.0
        for source in itertools.islice(turns, int(due)):
            source.send()
        due %= 1
        for descriptor, _ in poll.poll(0):
            by_descriptor[descriptor].read()
        time.sleep(PAUSE_SECONDS)
    took = time.monotonic() - began
    while time.monotonic() < began + took + LINGER_SECONDS:
        for descriptor, _ in poll.poll(0.01):
            by_descriptor[descriptor].read()
    return Flooded(
        took,
        [source.sent for source in sources],
        [source.answered for source in sources],
        sum(source.sent_bytes for source in sources),
        sum(source.answered_bytes for source in sources),
        max(source.worst_factor for source in sources),
        sum(source.unsent for source in sources),
        time.process_time(),
    )


class Flood:
    """One that is running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def result(self) -> Flooded:
        """Waits for its end."""
        output, _ = await self._process.communicate()
        return Flooded(**json.loads(output))


@asynccontextmanager
async def flooding(
    relay: Address, *, networks: int, rate: float, seconds: float, what: str = "forged"
) -> AsyncIterator[Flood]:
    """From now on for so long; with the body it ends in any case."""
    wanted = [what, relay.ip, *map(str, (relay.port, networks, rate, seconds))]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.edge.flood_process", *wanted, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == _READY
        yield Flood(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def prefer(pid: int) -> None:
    """Before others, where this may be done: what else runs on this machine is not what is tried."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, PREFERRED)


def main(what: str, ip: str, port: str, networks: str, rate: str, seconds: str) -> None:
    requests = forged() if what == "forged" else noise()
    sources = [Network(number, (ip, int(port)), requests) for number in range(int(networks))]
    prefer(os.getpid())
    print(_READY.decode(), end="", flush=True)
    print(json.dumps(asdict(flood(sources, float(rate), float(seconds)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
