"""Zone: a part of the house, told by network and by directory."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from config.policy.declaration import Identifier, PolicyDeclaration

_MAPPED_IPV4 = IPv6Network("::ffff:0:0/96")


class Sensitivity(StrEnum):
    NORMAL = "normal"
    HIGH = "high"


def _network(value: object) -> IPv4Network | IPv6Network:
    if not isinstance(value, str):
        raise PydanticCustomError("network_text", "write a network as text, such as 10.1.0.0/16")
    network = ip_network(value)
    if network.prefixlen == 0:
        raise ValueError("every address there is makes no zone; a rule for everyone says who.any = true")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED_IPV4):
        raise ValueError("write an IPv4 network as IPv4")
    return network


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), WithJsonSchema({"type": "string"})]


class Zone(PolicyDeclaration):
    """A part of the house. Network and directory must name the same zone, else everything is refused."""

    id: Identifier = Field(description="Name that rules and records use.")
    networks: tuple[Network, ...] = Field(
        max_length=1000,
        description="Source networks in CIDR form. No address may be in two zones; none means nobody.",
    )
    attribute: Annotated[str, StringConstraints(pattern=r"^[^=\s]{1,128}=[^\r\n]{1,256}$")] | None = Field(
        default=None,
        description="Directory attribute, name=value, that marks this zone's people: they must have it.",
    )
    sensitivity: Sensitivity = Field(
        default=Sensitivity.NORMAL,
        description="A zone of high sensitivity has no external communication at all.",
    )
