"""[inside], [outside], [admin]: the three listeners, each with its own address, origin and route table."""

from __future__ import annotations

from pydantic import Field

from config.section import HostName, HttpsOrigin, ListenAddress, Section

_ADDRESS = "Address to listen on. Wildcard addresses are refused: name the one network this listener serves."
_PORT = "TCP port to listen on."
_ORIGIN = (
    "What people type into the browser: scheme, host and port. Requests of any other origin are refused."
)


class InsideSettings(Section):
    """Where insiders sign in and find the full client."""

    address: ListenAddress = Field(
        default="127.0.0.1", description=_ADDRESS, json_schema_extra={"unit": "address"}
    )
    port: int = Field(default=8443, ge=1, le=65535, description=_PORT, json_schema_extra={"unit": "port"})
    origin: HttpsOrigin = Field(
        default="https://127.0.0.1:8443", description=_ORIGIN, json_schema_extra={"unit": "origin"}
    )
    relay_host: HostName = Field(
        default="127.0.0.1",
        description="Name or address of the media relay as insiders reach it.",
        json_schema_extra={"unit": "host"},
    )


class OutsideSettings(Section):
    """Where guests redeem an invitation; nothing else is served there."""

    address: ListenAddress = Field(
        default="127.0.0.1", description=_ADDRESS, json_schema_extra={"unit": "address"}
    )
    port: int = Field(default=9443, ge=1, le=65535, description=_PORT, json_schema_extra={"unit": "port"})
    origin: HttpsOrigin = Field(
        default="https://127.0.0.1:9443",
        description=_ORIGIN + " Invitation links begin with it.",
        json_schema_extra={"unit": "origin"},
    )
    relay_host: HostName = Field(
        default="127.0.0.1",
        description="Name or address of the media relay as guests reach it.",
        json_schema_extra={"unit": "host"},
    )


class AdminSettings(Section):
    """Where operators work. Keep it on loopback or on the management network."""

    address: ListenAddress = Field(
        default="127.0.0.1", description=_ADDRESS, json_schema_extra={"unit": "address"}
    )
    port: int = Field(default=7443, ge=1, le=65535, description=_PORT, json_schema_extra={"unit": "port"})
    origin: HttpsOrigin = Field(
        default="https://127.0.0.1:7443", description=_ORIGIN, json_schema_extra={"unit": "origin"}
    )
