"""What passed an interface, seen from outside of every program: tcpdump's file, read packet by packet."""

from __future__ import annotations

import signal
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

STOP_SECONDS = 10.0
TCP, UDP, ICMPV6 = 6, 17, 58
_PCAP_MICROSECONDS = b"\xd4\xc3\xb2\xa1"
_ETHERNET = 1
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_SYN, _ACK = 0x02, 0x10


class Endpoint(NamedTuple):
    address: str
    port: int


class Packet(NamedTuple):
    """One IPv4 packet. Ports are 0 and the payload begins after the IP header when it is neither TCP nor
    UDP."""

    protocol: int
    source: Endpoint
    destination: Endpoint
    payload: bytes
    opens: bool
    """A TCP SYN without ACK."""
    at: float = 0.0
    """Unix seconds."""


@dataclass(slots=True)
class Capture:
    """Read once the capturing is over."""

    packets: list[Packet] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    """What was there besides IPv4: "arp", "icmpv6 135", "ipv6 17", "ethertype 0x...."."""

    def first_packets(self, protocol: int) -> dict[frozenset[Endpoint], Packet]:
        """The first packet of every flow, whichever way it went."""
        flows: dict[frozenset[Endpoint], Packet] = {}
        for packet in self.packets:
            if packet.protocol == protocol:
                flows.setdefault(frozenset((packet.source, packet.destination)), packet)
        return flows

    def counterparts(self, own: str) -> set[str]:
        """Everyone `own` exchanged a packet with, and everyone else who was seen at all."""
        seen = {end.address for packet in self.packets for end in (packet.source, packet.destination)}
        return seen - {own}


@contextmanager
def capturing(prefix: Sequence[str], interface: str, file: Path, only: str = "") -> Iterator[Capture]:
    """Every packet on `interface` (`only` those of a filter in tcpdump's language) from now until the body
    ends; then the capture can be read."""
    command = [*prefix, "tcpdump", "-i", interface, "-n", "-s", "0", "-Z", "root"]
    # Each packet takes as much of the buffer as the interface's largest: 64 KiB on the loopback device.
    command += ["-B", "131072"]
    command += ["--immediate-mode", "-w", str(file), *only.split()]
    capture = Capture()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        said = process.stderr.readline()
        while "listening on" not in said:
            assert said, "tcpdump ended before it began; it is among the Debian packages of `make test`"
            said = process.stderr.readline()
        try:
            yield capture
        finally:
            process.send_signal(signal.SIGINT)
            _, summary = process.communicate(timeout=STOP_SECONDS)
    assert "\n0 packets dropped by kernel" in f"\n{summary}", summary
    _read(file.read_bytes(), capture)


def forwarded(capture: Capture, relay_port: int) -> list[Packet]:
    """The media that the relay passed on."""
    return [
        packet
        for packet in capture.packets
        if packet.protocol == UDP and packet.source.port == relay_port and 0x40 <= packet.payload[0] <= 0x4F
    ]


def _read(pcap: bytes, capture: Capture) -> None:
    assert pcap[:4] == _PCAP_MICROSECONDS
    assert struct.unpack_from("<I", pcap, 20) == (_ETHERNET,)
    at = 24
    while at < len(pcap):
        seconds, micros, length, original = struct.unpack_from("<IIII", pcap, at)
        assert length == original, "a packet was cut"
        _take(pcap[at + 16 : at + 16 + length], seconds + micros / 1e6, capture)
        at += 16 + length


def _take(frame: bytes, at: float, capture: Capture) -> None:
    (ethertype,) = struct.unpack_from(">H", frame, 12)
    packet = frame[14:]
    if ethertype == _IPV4:
        capture.packets.append(_ipv4(packet)._replace(at=at))
    elif ethertype == _ARP:
        capture.others.add("arp")
    elif ethertype == _IPV6:
        capture.others.add(_ipv6(packet))
    else:
        capture.others.add(f"ethertype {ethertype:#06x}")


def _ipv4(packet: bytes) -> Packet:
    (fragment,) = struct.unpack_from(">H", packet, 6)
    assert fragment & 0x3FFF == 0, "a fragment: nothing here is larger than a packet"
    protocol = packet[9]
    source, destination = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
    (total,) = struct.unpack_from(">H", packet, 2)
    body = packet[(packet[0] & 0x0F) * 4 : total]
    if protocol not in (TCP, UDP):
        return Packet(protocol, Endpoint(source, 0), Endpoint(destination, 0), body, opens=False)
    source_port, destination_port = struct.unpack_from(">HH", body)
    header = (body[12] >> 4) * 4 if protocol == TCP else 8
    opens = protocol == TCP and body[13] & (_SYN | _ACK) == _SYN
    ends = Endpoint(source, source_port), Endpoint(destination, destination_port)
    return Packet(protocol, *ends, body[header:], opens)


def _ipv6(packet: bytes) -> str:
    following, at = packet[6], 40
    while following == 0:  # hop-by-hop options, which multicast listener reports have
        following, at = packet[at], at + 8 + 8 * packet[at + 1]
    return f"icmpv6 {packet[at]}" if following == ICMPV6 else f"ipv6 {following}"
