"""Relayed addresses: one virtual IP per session, and ports on it. They name rows; nothing is bound."""

from __future__ import annotations

from ipaddress import ip_network

from relay.turn.events import Randomness

FIRST_PORT, LAST_PORT = 49152, 65535
QUARANTINE_SECONDS = 900
"""How long an address rests after its session ended; longer than any channel or permission lives."""


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
    """The ports of one session's address (RFC 8656 section 7.2: the dynamic range, unpredictable).

    Ports come in pairs of an even one and the next. A request takes a pair that none has had, at random, and
    once there is none the pair that has rested longest: a port comes up again after as many other requests as
    there are free pairs, 8,192 in all. Only while no pair is free are single ports given away whose other
    half is in use, in no order. The effort of a request does not depend on what is in use (amortised).
    """

    __slots__ = ("_halves", "_moved", "_randomness", "_ready", "_rested", "_unused")

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._unused = (LAST_PORT - FIRST_PORT + 1) // 2
        """How many pairs no request has had yet."""
        self._moved: dict[int, int] = {}
        # A queue of two lists takes a tenth of the memory of an empty deque, and most sessions never use it.
        self._rested: list[int] = []
        """Even ports of pairs that are free again, in the order in which they became so."""
        self._ready: list[int] = []
        """Those that did before, the next one last."""
        self._halves: tuple[set[int], set[int]] = (set(), set())
        """Even and odd ports that are free while the other half of their pair is not."""

    def take(self, *, even: bool = False, with_next: bool = False) -> int | None:
        """A port, with `with_next` an even one and also the one after it; None when there is none."""
        pair = self._whole_pair()
        if pair is None:
            return None if with_next else self._half(even)
        if with_next:
            return pair
        port = pair if even else pair + self._randomness.below(2)
        self._halves[~port & 1].add(port ^ 1)
        return port

    def give_back(self, port: int) -> None:
        """One port; of a pair each half by itself."""
        other = port ^ 1
        if other in self._halves[other & 1]:
            self._halves[other & 1].remove(other)
            self._rested.append(min(port, other))
        else:
            self._halves[port & 1].add(port)

    def _whole_pair(self) -> int | None:
        if not self._unused:
            if not self._ready:
                self._ready, self._rested = self._rested[::-1], []
            return self._ready.pop() if self._ready else None
        # A shuffle that remembers only what it has moved: place `at` holds what `_moved` says, else itself.
        at = self._randomness.below(self._unused)
        self._unused -= 1
        last = self._moved.pop(self._unused, self._unused)
        drawn = last
        if at != self._unused:
            drawn = self._moved.get(at, at)
            self._moved[at] = last
        return FIRST_PORT + 2 * drawn

    def _half(self, even: bool) -> int | None:
        # Odd ones first: even ones may be asked for.
        for halves in self._halves[:1] if even else self._halves[::-1]:
            if halves:
                return halves.pop()
        return None
