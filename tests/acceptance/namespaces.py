"""Network namespaces and the cables between them, made for one test and removed with it."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

COMMAND_SECONDS = 20.0
_NAME = "turngate-test"


class End(NamedTuple):
    """One end of a cable: `interface` of `room` has `address` (with its prefix length)."""

    room: str
    interface: str
    address: str


class Namespaces:
    """Rooms are network namespaces, called by short names here; their real names are unique on the machine.

    Needs root. A run that was killed cannot clean up: the next one removes what it left.
    """

    def __init__(self) -> None:
        self._tag = f"{_NAME}-{os.getpid()}-{secrets.token_hex(2)}"
        self._rooms: list[str] = []

    def __enter__(self) -> Self:
        _remove_left_over()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for room in self._rooms:
            _ip("netns", "delete", self._real(room))
        self._rooms.clear()

    def add(self, *rooms: str) -> None:
        """Rooms with nothing in them but a loopback interface."""
        for room in rooms:
            _ip("netns", "add", self._real(room))
            self._rooms.append(room)
            _ip("-n", self._real(room), "link", "set", "lo", "up")

    def connect(self, one: End, other: End) -> None:
        """A cable between two rooms."""
        peer = ("peer", "name", other.interface, "netns", self._real(other.room))
        near = ("link", "add", one.interface, "netns", self._real(one.room), "type", "veth")
        _ip(*near, *peer)
        for end in (one, other):
            _ip("-n", self._real(end.room), "address", "add", end.address, "dev", end.interface)
            _ip("-n", self._real(end.room), "link", "set", end.interface, "up")

    def route_everything(self, room: str, gateway: str) -> None:
        """`gateway` is the way from `room` to every other network."""
        _ip("-n", self._real(room), "route", "add", "default", "via", gateway)

    def prefix(self, room: str) -> list[str]:
        """Put before a command it makes that run in `room`, and die with this process."""
        return ["ip", "netns", "exec", self._real(room), "setpriv", "--pdeathsig", "KILL"]

    def run(self, room: str, command: Iterable[str], stdin: str = "") -> str:
        """What a command in `room` writes to stdout; AssertionError when it fails."""
        return _run([*self.prefix(room), *command], stdin)

    def set_forwarding(self, room: str, *, on: bool) -> None:
        """Whether the kernel of `room` passes packets from one interface to another."""
        self.run(room, ["sh", "-c", f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward"])

    def without_ipv6(self, room: str) -> None:
        """Otherwise `room` gets an address by itself a second or two from now, and browsers then start over
        whatever they are at."""
        self.run(room, ["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"])

    def forwards(self, room: str) -> bool:
        return self.run(room, ["cat", "/proc/sys/net/ipv4/ip_forward"]).strip() != "0"

    def _real(self, room: str) -> str:
        return f"{self._tag}-{room}"


def _ip(*arguments: str) -> str:
    return _run(["ip", *arguments])


def _run(command: list[str], stdin: str = "") -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _remove_left_over() -> None:
    """Namespaces of test runs that are no longer there."""
    for line in _ip("netns", "list").splitlines():
        name = line.split()[0]
        maker = name.removeprefix(f"{_NAME}-").partition("-")[0]
        if name.startswith(f"{_NAME}-") and not os.path.exists(f"/proc/{maker}"):  # noqa: PTH110
            _ip("netns", "delete", name)
