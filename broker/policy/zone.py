"""Where an insider is, as network and directory together tell it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from auth.case_ignore import case_ignore_key
from auth.principal import Insider
from config.policy import Policy, Sensitivity


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`zone` is None outside every zone. `known` is False when there was no network to ask and no mark in the
    directory."""

    zone: str | None
    high: bool = False
    known: bool = True
    agreed: bool = True
    """False when network and directory contradict each other or the address cannot be read."""


def locate(policy: Policy, insider: Insider, source_address: str | None) -> Whereabouts:
    """Find the insider's zone. `source_address` None means not connected: then the directory alone speaks."""
    held = {case_ignore_key(f"{name}={value}") for name, value in insider.attributes}
    marked = [zone for zone in policy.zones if zone.attribute and case_ignore_key(zone.attribute) in held]
    if len(marked) > 1:
        return Whereabouts(None, agreed=False)
    by_directory = marked[0] if marked else None
    if source_address is None:
        if by_directory is None:
            return Whereabouts(None, known=False)
        return Whereabouts(by_directory.id, high=by_directory.sensitivity is Sensitivity.HIGH)
    address = _address(source_address)
    if address is None:
        return Whereabouts(None, agreed=False)
    by_network = next((zone for zone in policy.zones if any(address in n for n in zone.networks)), None)
    expected = by_network if by_network is not None and by_network.attribute is not None else None
    if by_directory is not expected:
        return Whereabouts(None, agreed=False)
    if by_network is None:
        return Whereabouts(None)
    return Whereabouts(by_network.id, high=by_network.sensitivity is Sensitivity.HIGH)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """A dual-stack socket reports IPv4 peers as ::ffff:a.b.c.d: the same machine, hence the same zone."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
