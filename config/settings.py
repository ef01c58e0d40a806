"""Everything an administrator may set, in one value; `loading` makes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from config.alarms import AlarmSettings
from config.audit import AuditSettings
from config.calls import CallSettings
from config.chat import ChatSettings
from config.directory import DirectorySettings
from config.emergency import EmergencySettings
from config.gateway import GatewaySettings
from config.guests import GuestSettings
from config.invitations import InvitationSettings
from config.ldap import LdapSettings
from config.listeners import AdminSettings, InsideSettings, OutsideSettings
from config.policy_file import PolicySettings
from config.relay import RelaySettings
from config.section import FilePath, Section
from config.sign_in import SignInSettings
from config.tls import TlsSettings

LISTENERS_CLASH = "listeners_clash"
"""Type of the validation error that concerns two sections; its context names them."""


class Settings(Section):
    """The configuration of one Turngate. Its defaults expose nothing: every listener is on loopback."""

    data_directory: FilePath = Field(
        default=Path("var"),
        description="Directory of the record, of keys Turngate makes, of all that outlives a restart.",
        json_schema_extra={"unit": "path"},
    )
    inside: InsideSettings = InsideSettings()
    outside: OutsideSettings = OutsideSettings()
    admin: AdminSettings = AdminSettings()
    tls: TlsSettings = TlsSettings()
    gateway: GatewaySettings = GatewaySettings()
    sign_in: SignInSettings = SignInSettings()
    directory: DirectorySettings = DirectorySettings()
    ldap: LdapSettings = LdapSettings()
    invitations: InvitationSettings = InvitationSettings()
    guests: GuestSettings = GuestSettings()
    chat: ChatSettings = ChatSettings()
    calls: CallSettings = CallSettings()
    audit: AuditSettings = AuditSettings()
    policy: PolicySettings = PolicySettings()
    emergency: EmergencySettings = EmergencySettings()
    alarms: AlarmSettings = AlarmSettings()
    relay: RelaySettings = RelaySettings()

    def listeners(self) -> Iterator[tuple[str, InsideSettings | OutsideSettings | AdminSettings]]:
        """The three listeners with the names of their sections."""
        yield "inside", self.inside
        yield "outside", self.outside
        yield "admin", self.admin

    @model_validator(mode="after")
    def _listeners_are_apart(self) -> Self:
        for (name, one), (other_name, other) in combinations(self.listeners(), 2):
            # Cookies and the Origin check separate inside from outside only while the origins differ.
            for what, clash in (
                ("address and port", (one.address, one.port) == (other.address, other.port)),
                ("origin", one.origin == other.origin),
            ):
                if clash:
                    raise PydanticCustomError(
                        LISTENERS_CLASH,
                        "has the same {what} as [{other}]",
                        {"what": what, "name": name, "other": other_name},
                    )
        return self
