"""[ldap]: the servers of an OpenLDAP or Active Directory, and how people and groups are found there."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.search_filter import search_filter
from config.section import FilePath, Section, host_name

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


def _server_url(text: str) -> str:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("must be ldaps://HOST[:PORT] or ldap://HOST[:PORT]") from None
    beyond = url.path not in ("", "/") or url.query or url.fragment or url.username is not None
    if url.scheme not in ("ldaps", "ldap") or not url.hostname or beyond or port == 0:
        raise ValueError("must be ldaps://HOST[:PORT] or ldap://HOST[:PORT]")
    host = host_name(url.hostname)
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}:{port or (636 if url.scheme == 'ldaps' else 389)}"


def _attribute(text: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        raise ValueError("must be the name of an attribute: letters, digits and dashes, a letter first")
    return text


ServerUrl = Annotated[str, AfterValidator(_server_url)]
AttributeName = Annotated[str, AfterValidator(_attribute)]


class LdapSettings(Section):
    """How the directory is reached and read. Every connection is encrypted, and the server's certificate is
    verified."""

    servers: tuple[ServerUrl, ...] = Field(
        default=(),
        max_length=16,
        description="Servers in the order in which they are asked: `ldaps://HOST[:PORT]`, or "
        "`ldap://HOST[:PORT]` for StartTLS. One that cannot be reached is passed over.",
        json_schema_extra={"unit": "servers"},
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that sign the servers' certificates; without it, those of "
        "the system.",
        json_schema_extra={"unit": "path"},
    )
    bind_dn: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Name of the service account that reads people and groups.",
        json_schema_extra={"unit": "DN"},
    )
    bind_password: SecretStr | None = Field(
        default=None,
        min_length=20,
        max_length=1024,
        description="Password of the service account. Nobody types it: it is long.",
        json_schema_extra={"unit": "secret"},
    )
    bind_password_file: FilePath | None = Field(
        default=None,
        description="File whose first line is that password; readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )
    people_base: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Name below which people are found.",
        json_schema_extra={"unit": "DN"},
    )
    people_filter: Annotated[str, AfterValidator(search_filter)] = Field(
        default="",
        max_length=4096,
        description="Filter that an entry has to match to be a person; empty for inetOrgPerson (OpenLDAP) "
        "or users that are no computers (Active Directory).",
        json_schema_extra={"unit": "filter"},
    )
    login_attribute: AttributeName | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Attribute that people sign in by; unset for `uid` (OpenLDAP) or `sAMAccountName` "
        "(Active Directory).",
        json_schema_extra={"unit": "attribute"},
    )
    name_attribute: AttributeName = Field(
        default="displayName",
        min_length=1,
        max_length=128,
        description="Attribute with the name that others see; `cn` where an entry has none.",
        json_schema_extra={"unit": "attribute"},
    )
    policy_attributes: tuple[AttributeName, ...] = Field(
        default=("department", "departmentNumber", "employeeType", "l", "o", "ou", "title"),
        max_length=32,
        description="Attributes that policy may look at; no others are read.",
        json_schema_extra={"unit": "attributes"},
    )
    groups_base: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Name below which groups are found; others give nobody anything. Who may create groups "
        "there decides who is what.",
        json_schema_extra={"unit": "DN"},
    )
    nested_groups: Literal["off", "expand", "chain"] = Field(
        default="expand",
        description="Groups in groups: `off` reads direct groups only, `expand` follows them level by level, "
        "`chain` lets Active Directory do so (slow in large ones, refused where it is not supported), also "
        "through groups outside `groups_base`.",
        json_schema_extra={"unit": "choice"},
    )
    timeout_seconds: int = Field(
        default=3,
        ge=1,
        le=30,
        description="How long one step of one server may take before the next server is asked.",
        json_schema_extra={"unit": "seconds"},
    )
    threads: int = Field(
        default=4,
        ge=1,
        le=32,
        description="Passwords checked at the same time.",
        json_schema_extra={"unit": "threads"},
    )
    poll_seconds: int = Field(
        default=3,
        ge=1,
        le=60,
        description="How often the directory is asked about everybody who has something open. Whoever is "
        "disabled, removed or put into other groups loses access within about this time.",
        json_schema_extra={"unit": "seconds"},
    )
    lockout_threshold: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="Wrong passwords after which the directory itself locks an account. When set, "
        "`sign_in.max_failures_per_login` must be below it.",
        json_schema_extra={"unit": "failures"},
    )

    lockout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=31_536_000,
        description="How long OpenLDAP's password policy locks an account (`pwdLockoutDuration`). An entry "
        "shows its lock until the right password comes, also when it is over; unset, it counts as locked "
        "that long. Active Directory tells itself.",
        json_schema_extra={"unit": "seconds"},
    )

    @model_validator(mode="after")
    def _servers_differ(self) -> Self:
        places = {url.partition("://")[2] for url in self.servers}
        if len(places) < len(self.servers):
            raise ValueError("servers names one server twice")
        return self
