"""Relayed addresses: one virtual IP per session, and ports on it. They name rows; nothing is bound."""

from __future__ import annotations

from ipaddress import ip_network

from relay.turn.events import Randomness

FIRST_PORT, LAST_PORT = 49152, 65535
QUARANTINE_SECONDS = 900
"""How long an address rests after its session ended; longer than any channel or permission lives."""

_TRIES = 32


class AddressPool:
    """Hands out addresses of the prefix at random. `now` in monotonic seconds."""

    def __init__(self, prefix: str, randomness: Randomness) -> None:
        network = ip_network(prefix)
        self.is_ipv6 = network.version == 6
        self._network = network
        self._count = min(network.num_addresses, 1 << 32) - 2
        self._randomness = randomness
        self._taken: set[str] = set()
        self._resting: dict[str, float] = {}

    def take(self, now: float) -> str | None:
        """An address no session has had lately; None when there is none."""
        self._end_rests(now)
        if len(self._taken) + len(self._resting) >= self._count:
            return None
        at = self._randomness.below(self._count)
        for _ in range(self._count):
            ip = str(self._network[1 + at])
            if ip not in self._taken and ip not in self._resting:
                self._taken.add(ip)
                return ip
            at = (at + 1) % self._count
        return None

    def give_back(self, ip: str, now: float) -> None:
        self._taken.discard(ip)
        self._resting[ip] = now + QUARANTINE_SECONDS

    def _end_rests(self, now: float) -> None:
        # Insertion order is order of expiry.
        while self._resting:
            ip, until = next(iter(self._resting.items()))
            if until > now:
                return
            del self._resting[ip]


class PortPool:
    """The ports of one session's address (RFC 8656 section 7.2: the dynamic range, unpredictable)."""

    __slots__ = ("_randomness", "_rested", "_taken")

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._taken: set[int] = set()
        self._rested: dict[int, None] = {}

    def take(self, *, even: bool = False, with_next: bool = False) -> int | None:
        """A port, with `with_next` also the one after it; None when there is none.

        Ports that were in use come last, longest unused first.
        """
        step = 2 if even or with_next else 1
        for _ in range(_TRIES):
            port = FIRST_PORT + self._randomness.below((LAST_PORT - FIRST_PORT + 1) // step) * step
            if port not in self._rested and self._is_free(port, with_next):
                return self._occupy(port, with_next)
        unused = (port for port in range(FIRST_PORT, LAST_PORT + 1, step) if port not in self._rested)
        for port in (*unused, *self._rested):
            if port % step == 0 and self._is_free(port, with_next):
                return self._occupy(port, with_next)
        return None

    def give_back(self, port: int) -> None:
        self._taken.discard(port)
        self._rested[port] = None

    def _is_free(self, port: int, with_next: bool) -> bool:
        return port not in self._taken and not (with_next and port + 1 in self._taken)

    def _occupy(self, port: int, with_next: bool) -> int:
        for one in (port, port + 1) if with_next else (port,):
            self._taken.add(one)
            self._rested.pop(one, None)
        return port
