"""What the sections of the configuration share: their base model and the types of their fields."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

MAX_PATH_CHARACTERS = 4096
"""PATH_MAX of Linux."""

_HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)


class Section(BaseModel):
    """One section of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _path_text(value: object) -> object:
    if isinstance(value, str):
        if not value:
            raise ValueError("names no file; leave the setting out instead")
        if "\0" in value or len(value) > MAX_PATH_CHARACTERS:
            raise ValueError(
                f"must be a path of at most {MAX_PATH_CHARACTERS} characters without a zero byte"
            )
    return value


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def listen_address(text: str) -> str:
    """The canonical form of one unicast address; ValueError for anything wider or not an address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address of this machine, such as 127.0.0.1") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    if address.is_unspecified:
        raise ValueError("a wildcard address would listen on every network; name one address of this machine")
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise ValueError("must be a unicast address")
    return str(address)


def host_name(text: str) -> str:
    """A DNS name or an address, in lower case; ValueError otherwise."""
    if _is_address(text):
        return listen_address(text)
    host = text.lower()
    labels = host.split(".")
    if not all(_HOST_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("must be a host name or an address")
    return host


def https_origin(text: str) -> str:
    """An origin as browsers send it in `Origin` (RFC 6454 section 6.2): lower case, default port left out."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be an origin such as https://edge.example.org:8443") from None
    if parts.scheme != "https":
        raise ValueError("must begin with https://")
    if (
        not parts.hostname
        or parts.username is not None
        or parts.path
        or "?" in text
        or "#" in text
        or port == 0
    ):
        raise ValueError("must be scheme, host and optional port only, such as https://edge.example.org:8443")
    host = host_name(parts.hostname)
    bracketed = f"[{host}]" if ":" in host else host
    return f"https://{bracketed}" + (f":{port}" if port not in (None, 443) else "")


def local_account(secret: SecretStr) -> SecretStr:
    """The same if it has the form NAME:HASH; ValueError otherwise."""
    name, _, password_hash = secret.get_secret_value().partition(":")
    if not (0 < len(name) <= 64 and name.isascii() and name.replace("-", "").isalnum() and password_hash):
        raise ValueError("must be NAME:{ARGON2}... as `turngate emergency enrol NAME` prints it")
    return secret


FilePath = Annotated[Path, BeforeValidator(_path_text)]
"""A path; a relative one is taken from the working directory."""

ListenAddress = Annotated[str, Field(max_length=45), AfterValidator(listen_address)]
HostName = Annotated[str, Field(max_length=253), AfterValidator(host_name)]
HttpsOrigin = Annotated[str, Field(max_length=300), AfterValidator(https_origin)]
LocalAccount = Annotated[SecretStr, AfterValidator(local_account)]
