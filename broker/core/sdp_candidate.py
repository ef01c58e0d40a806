"""ICE candidates (RFC 8839 section 5.1): read, and printed anew with only a relayed address in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from broker.core.sdp_attributes import number, ufrag

MAX_CANDIDATE_CHARACTERS = 512
_CANDIDATE = re.compile(
    "candidate:[!-~]{1,64} ([0-9]{1,3}) ([A-Za-z]{1,8}) ([0-9]{1,10}) ([!-~]{1,255}) ([0-9]{1,5})"
    " typ ([a-z]{1,8})((?: [!-~]{1,255})*)"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What matters of a candidate. Foundation, related address and network ids describe the sender's host."""

    address: IPv4Address | IPv6Address
    port: int
    component: int
    transport: str
    type: str
    priority: int
    ufrag: str | None

    @property
    def transport_address(self) -> tuple[str, int]:
        return str(self.address), self.port

    @property
    def relayed(self) -> bool:
        """Whether it is of the one kind that may pass: UDP, relayed, RTP and RTCP multiplexed."""
        return (self.transport, self.type, self.component) == ("udp", "relay", 1) and self.priority > 0

    def __str__(self) -> str:
        """`candidate:...`. The foundation is made of what the line shows anyway; the sender's is a guessable
        digest of its real address. `ufrag` ties the candidate to its ICE generation (RFC 8838)."""
        foundation = f"{int(self.address) % 2**64:x}p{self.port:x}"
        generation = "" if self.ufrag is None else f" ufrag {self.ufrag}"
        return (
            f"candidate:{foundation} 1 udp {self.priority} {self.address} {self.port} typ relay"
            f" raddr 0.0.0.0 rport 9{generation}"
        )


def read_candidate(text: str) -> Candidate | None:
    """Read `candidate:...`; None when it is not one, or names a host instead of an address (mDNS)."""
    match = _CANDIDATE.fullmatch(text) if len(text) <= MAX_CANDIDATE_CHARACTERS else None
    if match is None:
        return None
    port, priority, address = number(match[5], 65535), number(match[3], 2**31 - 1), _address(match[4])
    if port is None or priority is None or address is None:
        return None
    extensions = match[7].split(" ")[1:]
    named = dict(zip(extensions[::2], extensions[1::2], strict=False))
    return Candidate(
        address=address,
        port=port,
        component=int(match[1]),
        transport=match[2].lower(),
        type=match[6],
        priority=priority,
        ufrag=ufrag(named.get("ufrag", "")),
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address
