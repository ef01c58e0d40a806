"""[inside], [outside], [admin]: the three listeners, each with its own address, origin and route table."""

from __future__ import annotations

import unicodedata
from ipaddress import ip_address
from itertools import combinations
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from config.section import FilePath, HostName, HttpsOrigin, ListenAddress, LocalAccount, Section

_ADDRESS = "Address to listen on. Wildcard addresses are refused: name the one network this listener serves."
_PORT = "TCP port to listen on."
_ORIGIN = (
    "What people type into the browser: scheme, host and port. Requests of any other origin are refused."
)


_GROUP = (
    "Group of the directory, spelt as in policy rules, whose members may sign in here as {role}. Without it, "
    "nobody may."
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
    """Where operators, policy administrators and auditors work, each in a role of their own. Keep it on
    loopback or on the management network."""

    address: ListenAddress = Field(
        default="127.0.0.1", description=_ADDRESS, json_schema_extra={"unit": "address"}
    )
    port: int = Field(default=7443, ge=1, le=65535, description=_PORT, json_schema_extra={"unit": "port"})
    origin: HttpsOrigin = Field(
        default="https://127.0.0.1:7443", description=_ORIGIN, json_schema_extra={"unit": "origin"}
    )
    operator_group: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description=_GROUP.format(role="operator: sees live sessions and ends them"),
        json_schema_extra={"unit": "group"},
    )
    policy_administrator_group: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description=_GROUP.format(role="policy administrator: changes the policy"),
        json_schema_extra={"unit": "group"},
    )
    auditor_group: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description=_GROUP.format(role="auditor: sees sessions and policy, changes nothing"),
        json_schema_extra={"unit": "group"},
    )
    second_factors: tuple[SecretStr, ...] = Field(
        default=(),
        max_length=64,
        description="One LOGIN:SECRET for each person, as `turngate admin enrol` prints it. Nobody of the "
        "groups signs in here without the codes that are made from it.",
        json_schema_extra={"unit": "people"},
    )
    second_factors_file: FilePath | None = Field(
        default=None,
        description="File with one LOGIN:SECRET a line; readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )
    security_key_required: bool = Field(
        default=False,
        description="Whoever has a security key signs in here with one of theirs alone: a code, which a page "
        "that only looks like this one can ask for, is not enough for them any more.",
        json_schema_extra={"unit": "yes or no"},
    )
    break_glass_account: LocalAccount | None = Field(
        default=None,
        min_length=20,
        max_length=512,
        description="NAME:HASH, as `turngate emergency enrol` prints it, of the account that does what "
        "operators and policy administrators do, when the directory is gone or nobody else can sign in. Its "
        "use is an alarm.",
        json_schema_extra={"unit": "account"},
    )
    break_glass_account_file: FilePath | None = Field(
        default=None,
        description="File whose first line is that NAME:HASH; readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )
    session_seconds: int = Field(
        default=3600,
        ge=300,
        le=43200,
        description="How long a sign-in here lasts. None outlives a restart.",
        json_schema_extra={"unit": "seconds"},
    )

    @property
    def has_groups(self) -> bool:
        """Whether anybody of the directory has a role here."""
        return any((self.operator_group, self.policy_administrator_group, self.auditor_group))

    @property
    def host_name(self) -> str | None:
        """That of the origin; None where it has an address, for which browsers make no security keys."""
        host = urlsplit(self.origin).hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return host
        return None

    @model_validator(mode="after")
    def _keys_have_a_page(self) -> Self:
        if self.security_key_required and self.host_name is None:
            raise ValueError("security_key_required: there are no security keys where origin has an address")
        return self

    @model_validator(mode="after")
    def _roles_are_apart(self) -> Self:
        groups = {
            name: _as_directories_compare(group)
            for name in ("operator_group", "policy_administrator_group", "auditor_group")
            if (group := getattr(self, name)) is not None
        }
        for one, other in combinations(groups, 2):
            if groups[one] == groups[other]:
                raise ValueError(f"{one} and {other} name the same group: these roles are kept apart")
        return self


def _as_directories_compare(group: str) -> str:
    """As `auth.case_ignore`, which this room does not know: neither case nor spaces make another group."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", group).casefold())
    return " ".join(folded.split())
