"""[relay]: the media relay, its listeners, credentials and bounds."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.section import FilePath, Section, listen_address


def relay_listener(text: str) -> str:
    """The canonical `udp://address:port` of one listener, or tcp:// or tls://; ValueError otherwise."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be a listener such as udp://127.0.0.1:3478") from None
    if parts.scheme not in ("udp", "tcp", "tls") or not parts.hostname or port is None:
        raise ValueError("must be a listener such as udp://127.0.0.1:3478, tcp://[::1]:3478 or tls://...")
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be udp://, tcp:// or tls://, an address and a port only")
    host = listen_address(parts.hostname)
    return f"{parts.scheme}://[{host}]:{port}" if ":" in host else f"{parts.scheme}://{host}:{port}"


def _alternate_server(text: str) -> str:
    """Written as a listener is, without the transport: clients keep theirs."""
    try:
        server = relay_listener(f"udp://{text}").removeprefix("udp://")
    except ValueError:
        server = ""
    if not server or server.endswith(":0"):
        raise ValueError("must be an address and a port, such as 192.0.2.7:3478 or [2001:db8::7]:3478")
    return server


def _relayed_prefix(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("must be a network in CIDR form, such as 198.18.0.0/15") from None
    if network.num_addresses < 256:
        raise ValueError("must hold at least 256 addresses: every session has one of its own")
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen < 64:
        raise ValueError("must be a /64 or longer")
    return str(network)


RelayListener = Annotated[str, Field(max_length=64), AfterValidator(relay_listener)]
AlternateServer = Annotated[str, Field(max_length=64), AfterValidator(_alternate_server)]
Secret = Annotated[SecretStr, Field(min_length=20, max_length=1024)]
RelayedPrefix = Annotated[str, Field(max_length=50), AfterValidator(_relayed_prefix)]


class RelaySettings(Section):
    """The closed TURN relay. It forwards between the parties of one session and reaches nothing else."""

    listen: tuple[RelayListener, ...] = Field(
        default=("udp://127.0.0.1:3478",),
        min_length=1,
        max_length=16,
        description="udp://, tcp:// and tls:// listeners. Port 0 takes a free port; wildcards are refused.",
        json_schema_extra={"unit": "listeners"},
    )
    realm: str = Field(
        default="turngate",
        min_length=1,
        max_length=32,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="TURN realm. Short: answers to strangers may be three times as long as what was asked.",
        json_schema_extra={"unit": "text"},
    )
    secrets: tuple[Secret, ...] = Field(
        default=(),
        max_length=8,
        description="Shared secrets of TURN credentials: the first signs, all verify.",
        json_schema_extra={"unit": "secrets"},
    )
    secrets_file: FilePath | None = Field(
        default=None,
        description="File with one secret a line, the signing one first; readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )
    revocations_file: FilePath | None = Field(
        default=None,
        description="File that says which credentials, sessions and users a relay alone lets in no more.",
        json_schema_extra={"unit": "path"},
    )
    relayed_prefix: RelayedPrefix = Field(
        default="198.18.0.0/15",
        description="Virtual network the relayed addresses are taken from; routed nowhere.",
        json_schema_extra={"unit": "network"},
    )
    pairing: Literal["session", "any"] = Field(
        default="session",
        description="Who may reach whom: the parties of one `session`, or `any` two allocations.",
        json_schema_extra={"unit": "choice"},
    )
    plane: Literal["auto", "native", "asyncio"] = Field(
        default="auto",
        description="Forwarding plane; `auto` takes the native one where it is built.",
        json_schema_extra={"unit": "choice"},
    )
    plane_workers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Threads of the native plane for each UDP listener; 0 for one a processor.",
        json_schema_extra={"unit": "threads"},
    )
    legacy_channels: bool = Field(
        default=False,
        description="Accept channel numbers 0x5000-0x7FFE of RFC 5766 for old clients.",
        json_schema_extra={"unit": "yes or no"},
    )
    default_lifetime_seconds: int = Field(
        default=120,
        ge=20,
        le=3600,
        description="Lifetime when the client asks for none; short, since closed tabs say nothing.",
        json_schema_extra={"unit": "seconds"},
    )
    max_lifetime_seconds: int = Field(
        default=600,
        ge=20,
        le=3600,
        description="The longest lifetime a client may ask for.",
        json_schema_extra={"unit": "seconds"},
    )
    max_allocations_per_credential: int = Field(
        default=32,
        ge=2,
        le=10000,
        description="Live allocations of one credential; one more replaces the oldest.",
        json_schema_extra={"unit": "allocations"},
    )
    max_allocations: int = Field(
        default=100000,
        ge=2,
        le=1000000,
        description="Live allocations in all; above it Allocate is answered 508.",
        json_schema_extra={"unit": "allocations"},
    )
    max_streams: int = Field(
        default=10000,
        ge=2,
        le=1000000,
        description="TCP and TLS connections of clients in all; further ones are not taken.",
        json_schema_extra={"unit": "connections"},
    )
    unauthenticated_answers_per_second: int = Field(
        default=50,
        ge=1,
        le=1000000,
        description="Answers to requests without valid credentials, per source /24 or /48.",
        json_schema_extra={"unit": "answers per second"},
    )
    unauthenticated_answers_burst: int = Field(
        default=500,
        ge=1,
        le=1000000,
        description="How many such answers may go out at once to one source /24 or /48.",
        json_schema_extra={"unit": "answers"},
    )
    dtls_budget_bytes: int = Field(
        default=131072,
        ge=4096,
        le=1 << 30,
        description="DTLS a session may carry in all: handshakes, not data channels.",
        json_schema_extra={"unit": "bytes"},
    )
    alternate_servers: tuple[AlternateServer, ...] = Field(
        default=(),
        max_length=4,
        description="Where a draining relay sends new clients, by address family; without one it refuses.",
        json_schema_extra={"unit": "address and port"},
    )
    drain_seconds: int = Field(
        default=3600,
        ge=1,
        le=86400,
        description="How long a draining relay waits for its allocations to end before it stops.",
        json_schema_extra={"unit": "seconds"},
    )
    session_bits_per_second: int = Field(
        default=20_000_000,
        ge=16_000,
        le=1_000_000_000,
        description="What each party of a call may send, unless policy says less; not for a relay alone.",
        json_schema_extra={"unit": "bits per second"},
    )
    socket_buffer_bytes: int = Field(
        default=4194304,
        ge=65536,
        le=1 << 28,
        description="Send and receive buffer asked for per listener; the system may grant less.",
        json_schema_extra={"unit": "bytes"},
    )

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if self.default_lifetime_seconds > self.max_lifetime_seconds:
            raise ValueError("default_lifetime_seconds is above max_lifetime_seconds")
        if len(set(self.listen)) != len(self.listen) and not any(one.endswith(":0") for one in self.listen):
            raise ValueError("listen names the same listener twice")
        return self
